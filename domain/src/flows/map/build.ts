/** Sums to maps. */
import { type End, EndFinder, type MapInventory } from "./ends.ts";
import { keptPorts, mergeNodes } from "./merging.ts";
import {
  type FlowSums,
  MAX_EDGE_POLICIES,
  MAX_NODE_ADDRESSES,
  type MapEdge,
  type MapGrouping,
  type MapSums,
  plusSums,
  type ServiceMap,
  weightOf,
  weightOfEdge,
} from "./model.ts";
import { countedOnce } from "./views.ts";

export interface MapOptions {
  readonly grouping: MapGrouping;
  /** At least 4. */
  readonly maxNodes: number;
}

export function buildServiceMap(sums: readonly MapSums[], inventory: MapInventory, options: MapOptions): ServiceMap {
  const [map] = buildServiceMaps([sums], inventory, options);
  return map ?? { nodes: [], edges: [], mergedNodes: 0 };
}

/** Maps that can be compared: what is put together in one is put together in all. */
export function buildServiceMaps(
  windows: readonly (readonly MapSums[])[],
  inventory: MapInventory,
  { grouping, maxNodes }: MapOptions,
): ServiceMap[] {
  const finder = new EndFinder(inventory, grouping);
  const flows = windows.map((sums) => countedOnce(sums, finder));
  const nodes = new Map<string, End>();
  const weights = new Map<string, number>();
  for (const flow of flows.flat()) {
    const weight = weightOf(flow.allowed) + weightOf(flow.denied);
    for (const end of [flow.source, flow.destination]) {
      nodes.set(end.id, end);
      weights.set(end.id, (weights.get(end.id) ?? 0) + weight);
    }
  }
  const merged = mergeNodes(nodes, weights, Math.max(4, maxNodes)).ends;
  const ports = portsByPair(flows, merged);
  return flows.map((window) => mapOf(window, ports, merged));
}

/** Everything between two ends on one port. */
export interface MapFlow {
  readonly source: End;
  readonly destination: End;
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  readonly protocol: number;
  readonly port: number;
  readonly allowed: FlowSums;
  readonly denied: FlowSums;
  readonly policyKeys: readonly string[];
  readonly isSeenByBoth: boolean;
}

/** The ports of each pair and protocol that stay single, over all windows; a pair that is not in it keeps all. */
function portsByPair(
  windows: readonly (readonly MapFlow[])[],
  merged: ReadonlyMap<string, End>,
): ReadonlyMap<string, ReadonlySet<number>> {
  const weights = new Map<string, Map<number, number>>();
  for (const flows of windows) {
    for (const { source, destination, protocol, port, allowed, denied } of flows) {
      const key = pairKey(merged.get(source.id) ?? source, merged.get(destination.id) ?? destination, protocol);
      const ports = weights.get(key) ?? new Map<number, number>();
      weights.set(key, ports);
      ports.set(port, (ports.get(port) ?? 0) + weightOf(allowed) + weightOf(denied));
    }
  }
  const kept = new Map<string, ReadonlySet<number>>();
  for (const [key, ports] of weights) {
    const single = keptPorts(ports);
    if (single) kept.set(key, single);
  }
  return kept;
}

function pairKey(source: End, destination: End, protocol: number): string {
  return `${source.id} ${destination.id} ${protocol}`;
}

interface Members {
  readonly end: End;
  readonly addresses: Set<string>;
  /** Ids of what is put together here. */
  readonly ids: Set<string>;
  readonly members: Set<string>;
}

function mapOf(
  flows: readonly MapFlow[],
  ports: ReadonlyMap<string, ReadonlySet<number>>,
  merged: ReadonlyMap<string, End>,
): ServiceMap {
  const nodes = new Map<string, Members>();
  const edges = new Map<string, Edge>();
  for (const flow of flows) {
    const source = merged.get(flow.source.id) ?? flow.source;
    const destination = merged.get(flow.destination.id) ?? flow.destination;
    addMember(nodes, source, flow.source, flow.sourceAddress);
    addMember(nodes, destination, flow.destination, flow.destinationAddress);
    const single = ports.get(pairKey(source, destination, flow.protocol));
    const port = single && !single.has(flow.port) ? 0 : flow.port;
    const ends = { sourceId: source.id, destinationId: destination.id, protocol: flow.protocol, port };
    const key = edgeKey(ends);
    const edge = edges.get(key);
    if (edge) addFlow(edge, flow);
    else edges.set(key, { ...ends, ...flowPart(flow) });
  }
  let mergedNodes = 0;
  for (const { end, ids } of nodes.values()) if (!ids.has(end.id)) mergedNodes += ids.size;
  return {
    nodes: [...nodes.values()].map(nodeOf).sort((left, right) => (left.id < right.id ? -1 : 1)),
    edges: largestFirst(edges),
    mergedNodes,
  };
}

function addMember(nodes: Map<string, Members>, end: End, member: End, address: string): void {
  const node = nodes.get(end.id) ?? {
    end,
    addresses: new Set<string>(),
    ids: new Set<string>(),
    members: new Set<string>(),
  };
  nodes.set(end.id, node);
  node.ids.add(member.id);
  node.members.add(member.member);
  node.addresses.add(address);
}

function nodeOf({ end, addresses, ids, members }: Members): ServiceMap["nodes"][number] {
  const { id, kind, name, labels } = end;
  const shown = [...addresses].sort().slice(0, MAX_NODE_ADDRESSES);
  return { id, kind, name, labels, addresses: shown, members: ids.has(id) ? members.size : ids.size };
}

/** While it is summed up. */
type Edge = { -readonly [Key in keyof Omit<MapEdge, "policyKeys">]: MapEdge[Key] } & {
  readonly policyKeys: Set<string>;
};

function flowPart({ allowed, denied, policyKeys, isSeenByBoth }: MapFlow) {
  return { allowed, denied, policyKeys: new Set(policyKeys), isSeenByBoth };
}

function addFlow(edge: Edge, flow: MapFlow): void {
  edge.allowed = plusSums(edge.allowed, flow.allowed);
  edge.denied = plusSums(edge.denied, flow.denied);
  edge.isSeenByBoth ||= flow.isSeenByBoth;
  for (const key of flow.policyKeys) edge.policyKeys.add(key);
}

/** Those of the same size by their key. Sizes and keys are made once: a large map has many edges of one size. */
function largestFirst(edges: ReadonlyMap<string, Edge>): MapEdge[] {
  const sized = [...edges].map(([key, edge]) => ({ key, edge, size: weightOfEdge(edge) }));
  sized.sort((left, right) => right.size - left.size || (left.key < right.key ? -1 : 1));
  return sized.map(({ edge }) => ({ ...edge, policyKeys: [...edge.policyKeys].sort().slice(0, MAX_EDGE_POLICIES) }));
}

export function edgeKey({
  sourceId,
  destinationId,
  protocol,
  port,
}: Pick<MapEdge, "sourceId" | "destinationId" | "protocol" | "port">): string {
  return `${sourceId} ${destinationId} ${protocol} ${port}`;
}
