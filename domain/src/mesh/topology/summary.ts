/** The picture in figures. */
import { type MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { idsOf, linkFigures, nodeFigures } from "./figures.ts";
import { MESH_LIMITS } from "./limits.ts";
import { identityProblems } from "./nodes.ts";
import type { Picture } from "./picture.ts";
import type { HostRecord } from "./records.ts";

export interface GraphPartition {
  readonly provider: MeshProvider;
  /** Ids of nodes, in order. */
  readonly nodeIds: readonly string[];
}

/** `MeshSummary` but for healing. Lists of ids have at most 200 entries. */
export interface MeshFigures {
  readonly nodes: number;
  /** ONLINE and DEGRADED. */
  readonly nodesOnline: number;
  readonly links: number;
  /** Up, and excellent or good. */
  readonly linksGood: number;
  /** Up, and poor or bad. */
  readonly linksWeak: number;
  /** Not up. */
  readonly linksLost: number;
  readonly linksFlapping: number;
  /** Of the mesh that is split the most: 1 = none is split, 0 = there is no mesh. */
  readonly partitionCount: number;
  /** The largest first, per provider. */
  readonly partitions: readonly GraphPartition[];
  readonly articulationPoints: readonly string[];
  /** Nodes with exactly one link that is up in a mesh they take part in. */
  readonly singleUplinks: readonly string[];
  /** Of the directions that are up and measured. */
  readonly meanLatencyMs: number | null;
  /** The longest of the shortest ways in any mesh; `null` = no link, or too large to be found out in time. */
  readonly diameterHops: number | null;
  readonly peersConfigured: number;
  readonly peersUp: number;
  /** Generation of daemons to number of nodes. */
  readonly versions: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}

export function figuresOf(picture: Picture, hosts: Iterable<HostRecord>): MeshFigures {
  const structures = [...picture.structures.values()].sort((one, other) => one.provider - other.provider);
  const diameters = structures.map((structure) => structure.diameterHops()).filter((hops) => hops !== null);
  const hasUnknown = structures.some((structure) => structure.diameterHops() === null && structure.hasLinks);
  return {
    ...nodeFigures([...picture.nodes.values()].flatMap(({ node }) => node ?? [])),
    ...linkFigures([...picture.links.values()].map(({ link }) => link)),
    partitionCount: Math.max(0, ...structures.map(({ partitionCount }) => partitionCount)),
    partitions: structures.flatMap((structure) =>
      structure.partitions().map((nodeIds) => ({ provider: structure.provider, nodeIds })),
    ),
    articulationPoints: idsOf(structures.map((structure) => structure.articulationPoints())),
    singleUplinks: idsOf(structures.map((structure) => structure.singleUplinks())),
    diameterHops: hasUnknown || diameters.length === 0 ? null : Math.max(...diameters),
    ...hostFigures(picture, hosts),
  };
}

function hostFigures({ claims, isFull }: Picture, hosts: Iterable<HostRecord>) {
  let peersConfigured = 0;
  let peersUp = 0;
  const versions = new Map<string, number>();
  const problems = new Set<string>();
  if (isFull)
    problems.add(`The picture holds ${MESH_LIMITS.nodes} nodes and ${MESH_LIMITS.links} links; others were left out.`);
  for (const host of hosts) {
    for (const sentence of identityProblems(host, claims)) problems.add(sentence);
    for (const { reading, isFresh } of host.providers.values()) {
      if (reading === null || !isFresh) continue;
      peersConfigured += reading.peersConfigured;
      peersUp += reading.peersConfiguredUp;
      const isTold = reading.state === MeshProviderState.UP && reading.generation !== "";
      if (isTold) versions.set(reading.generation, (versions.get(reading.generation) ?? 0) + 1);
      if (reading.isTruncated) problems.add(`${host.name} has more neighbours than are told of.`);
    }
  }
  return { peersConfigured, peersUp, versions, problems: [...problems].slice(0, MESH_LIMITS.problems) };
}
