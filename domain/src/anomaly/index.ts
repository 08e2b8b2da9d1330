export * from "./chains.ts";
export { createAnomalyEngine } from "./create-engine.ts";
export * from "./engine.ts";
export * from "./feeding.ts";
export * from "./finding.ts";
export * from "./model.ts";
