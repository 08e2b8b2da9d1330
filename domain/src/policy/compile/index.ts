export { MAX_PROGRAM_ENTRIES } from "./class-table.ts";
export { compile } from "./compile.ts";
