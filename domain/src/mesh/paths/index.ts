export { findPaths, MAX_PATH_COUNT, type MeshStructure, structureOfGraph, USUAL_PATH_COUNT } from "./find.ts";
export { findAllPaths } from "./find-all.ts";
export { figuresOfGraph } from "./graph-figures.ts";
export { hopCost } from "./graph-index.ts";
export { joinedPartCounts, treeRoot } from "./joined-parts.ts";
export * from "./model.ts";
export { type ObservationOf, observedPath } from "./observed.ts";
export { resolveNode } from "./resolve.ts";
