export * from "./diagnostic.ts";
export * from "./evaluation.ts";
export * from "./model.ts";
export * from "./program.ts";
