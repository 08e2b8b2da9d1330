/** The figures of a graph by itself, as one from the history: nobody's word about it is at hand. */
import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { idsOf, linkFigures, nodeFigures } from "../topology/figures.ts";
import type { MeshGraph } from "../topology/graph.ts";
import { GRAPH_PROVIDERS } from "../topology/identity.ts";
import type { MeshFigures } from "../topology/summary.ts";
import { structureOfGraph } from "./find.ts";

/** Peers of daemons are no part of a graph: their counts are 0. */
export function figuresOfGraph(graph: MeshGraph): MeshFigures {
  const nodes = [...graph.nodes.values()];
  const structures = GRAPH_PROVIDERS.map((provider) => ({ provider, ...structureOfGraph(graph, provider) }));
  const diameters = structures.flatMap(({ diameterHops }) => diameterHops ?? []);
  const versions = new Map<string, number>();
  for (const { generation, daemon } of nodes.flatMap(({ identities }) => identities)) {
    if (daemon !== MeshProviderState.UP || generation === "") continue;
    versions.set(generation, (versions.get(generation) ?? 0) + 1);
  }
  return {
    ...nodeFigures(nodes),
    ...linkFigures(graph.links.values()),
    partitionCount: Math.max(0, ...structures.map(({ parts }) => parts.length)),
    partitions: structures.flatMap(({ provider, parts }) => parts.map((nodeIds) => ({ provider, nodeIds }))),
    articulationPoints: idsOf(structures.map(({ articulationPoints }) => articulationPoints)),
    singleUplinks: idsOf(structures.map(({ singleUplinks }) => singleUplinks)),
    diameterHops: diameters.length === 0 ? null : Math.max(...diameters),
    ...{ peersConfigured: 0, peersUp: 0, versions, problems: [] },
  };
}
