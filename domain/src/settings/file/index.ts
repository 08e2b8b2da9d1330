/** The settings file: reading it with the place of every problem, and changing single nodes of it. */
export * from "./codes.ts";
export * from "./edit.ts";
export * from "./new-file.ts";
export * from "./read.ts";
