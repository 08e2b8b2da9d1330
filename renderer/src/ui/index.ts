export * from "./controls.tsx";
export * from "./environment-tag.tsx";
export * from "./overlay.tsx";
export * from "./states.tsx";
export * from "./text.ts";
export * from "./verdict.tsx";
