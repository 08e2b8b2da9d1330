/** The settings of the console: which there are and what they take. Reading and changing their file is in `file/`. */
export * from "./definition.ts";
export * from "./table.ts";
export * from "./values.ts";
