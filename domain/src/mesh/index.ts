/** The meshes between hosts: what they are called, one picture of them, ways through it, and how it was before. */
export * from "./flapping.ts";
export * from "./paths/index.ts";
export * from "./peer-uri.ts";
export * from "./topology/index.ts";
export * from "./yggdrasil-address.ts";
