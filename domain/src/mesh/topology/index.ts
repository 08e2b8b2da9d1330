export { type HeardObservation, type MeshHost, MeshTopologyBuilder, type MeshUpdate } from "./builder.ts";
export { classOfLink, linkClassWord, nodeStateWord } from "./changes.ts";
export * from "./graph.ts";
export {
  canonicalKey,
  foreignNodeId,
  hostNameProblem,
  hostNodeId,
  linkId,
  providerName,
  providerWord,
} from "./identity.ts";
export * from "./limits.ts";
export { CLASS_BOUNDS, classOf, type ScoredFigures, scoreOf, worseClass } from "./score.ts";
export type { GraphPartition, MeshFigures } from "./summary.ts";
