/** Labelled traffic for tests and benchmarks. */
export * from "../detectors/isolation-forest.ts";
export { FEATURE_COUNT, FEATURES } from "../features/window.ts";
export * from "./attacks.ts";
export * from "./host-kinds.ts";
export * from "./minute-vectors.ts";
export * from "./scenarios.ts";
