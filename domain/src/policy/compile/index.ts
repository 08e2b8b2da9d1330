export { compile } from "./compile.ts";
export { type Compiler, createCompiler } from "./compiler.ts";
export { MAX_PROGRAM_ENTRIES } from "./limits.ts";
