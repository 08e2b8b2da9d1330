/**
 * Generators for tests of the policy engines: random worlds, and packets that probe where their rules begin and end.
 * Only for tests; needs fast-check.
 */
export * from "./build.ts";
export * from "./engines.ts";
export * from "./kept-case.ts";
export * from "./packets.ts";
export * from "./worlds.ts";
