/** Conformance vectors: literal verdicts of other projects' tests, asked of our engines. docs/conformance.md. */
export { compiledEngine, type ProgramQuestions, programEngine, referenceEngine } from "./engines.ts";
export * from "./judge.ts";
export { readVectorFile } from "./read.ts";
export * from "./test-run.ts";
export * from "./vector.ts";
