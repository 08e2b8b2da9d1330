import type { MeshGraph } from "../topology/graph.ts";
import { GRAPH_PROVIDERS } from "../topology/identity.ts";
import { findPaths } from "./find.ts";
import type { FoundPath, FoundPaths, PathQuery } from "./model.ts";
import { type ObservationOf, observedPath } from "./observed.ts";

/** Computed ways, and after them those that daemons report. @param observationOf `null` = of another time: daemons are not asked. @throws Failure */
export function findAllPaths(graph: MeshGraph, query: PathQuery, observationOf: ObservationOf | null): FoundPaths {
  const computed = findPaths(graph, query);
  if (observationOf === null) return computed;
  const providers = query.provider === null ? GRAPH_PROVIDERS : [query.provider];
  const observed = providers
    .map((provider) => observedPath(graph, observationOf, { ...query, provider }))
    .filter((path): path is FoundPath => path !== null);
  return { ...computed, paths: [...computed.paths, ...observed] };
}
