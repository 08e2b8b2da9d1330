/** Who talked to whom, and what changed between two windows. */
import { create } from "@bufbuild/protobuf";
import {
  type CompareServiceMapsRequest,
  type CompareServiceMapsResponse,
  CompareServiceMapsResponseSchema,
  type GetServiceMapRequest,
  type GetServiceMapResponse,
  GetServiceMapResponseSchema,
  MapEdgeSchema,
  MapNodeSchema,
  ServiceMapSchema,
  MapChangeKind as WireChangeKind,
  type MapEdge as WireEdge,
  MapGrouping as WireGrouping,
  type ServiceMap as WireMap,
  type MapNode as WireNode,
  MapNodeKind as WireNodeKind,
} from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  buildServiceMaps,
  compareServiceMaps,
  type FlowDimension,
  type FlowQuery,
  type MapChangeKind,
  type MapEdge,
  type MapGrouping,
  type MapNode,
  type MapNodeKind,
  type MapSums,
  type ServiceMap,
} from "@wardline/domain/flows";
import { pageSize } from "../../rpc/guard.ts";
import type { HistoryGroup, SearchProgress } from "../flow-history.ts";
import type { EndpointFacts } from "./endpoint-book.ts";
import { observedNames } from "./observed-names.ts";
import { readQuery } from "./read-query.ts";
import type { QueryPorts } from "./records.ts";
import { NOTHING_SEARCHED, toWireSearched, toWireSums } from "./wire.ts";

const BY = [
  ...(["host", "direction", "source", "destination", "protocol", "port", "verdict", "policy", "subject"] as const),
] satisfies readonly FlowDimension[];
/** Different talks of a window; the smallest beyond are left out, and the answer says so. A map is made in one turn. */
const MAX_TALKS = 20_000;
const MAX_EDGES = 10_000;
const MAX_CHANGES = 1_000;
const DAY_MS = 86_400_000;

/** @throws Failure QUERY_INVALID, INVALID_ARGUMENT, and of the store */
export async function getServiceMap(
  ports: QueryPorts,
  request: GetServiceMapRequest,
  signal: AbortSignal,
): Promise<GetServiceMapResponse> {
  const facts = await ports.book.facts();
  const window = await readWindow(ports, request, facts, signal);
  const [map] = await mapsOf(ports, request, [window], facts, signal);
  return create(GetServiceMapResponseSchema, map ? { map: toWireMap(map, window) } : {});
}

/** @throws Failure QUERY_INVALID, INVALID_ARGUMENT, and of the store */
export async function compareMaps(
  ports: QueryPorts,
  request: CompareServiceMapsRequest,
  signal: AbortSignal,
): Promise<CompareServiceMapsResponse> {
  const { before, after } = request;
  if (!before || !after || (before.query?.text ?? "") !== (after.query?.text ?? "")) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "Two windows of one query are compared: both need the same text.",
    });
  }
  const facts = await ports.book.facts();
  const earlier = await readWindow(ports, before, facts, signal);
  const later = await readWindow(ports, after, facts, signal);
  if (earlier.query.sinceMs === later.query.sinceMs && earlier.query.untilMs === later.query.untilMs) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "Both windows are the same, so nothing can have changed between them.",
      hint: "Leave since and until out of the query: they count before the windows that are compared.",
    });
  }
  const [first, second] = await mapsOf(ports, after, [earlier, later], facts, signal);
  if (!first || !second) return create(CompareServiceMapsResponseSchema);
  const changes = compareServiceMaps(
    { map: first, windowMs: earlier.untilMs - earlier.sinceMs },
    { map: second, windowMs: later.untilMs - later.sinceMs },
    MAX_CHANGES,
  );
  return create(CompareServiceMapsResponseSchema, {
    changes: changes.map((change) => ({
      kind: CHANGE_KINDS[change.kind],
      source: toWireNode(change.source),
      ...(change.destination ? { destination: toWireNode(change.destination) } : {}),
      ...{ protocol: change.protocol, port: change.port, sentence: change.sentence },
      ...(change.before ? { before: toWireEdge(change.before) } : {}),
      ...(change.after ? { after: toWireEdge(change.after) } : {}),
    })),
    before: toWireMap(first, earlier),
    after: toWireMap(second, later),
  });
}

interface ReadWindow {
  readonly query: FlowQuery;
  readonly sums: readonly MapSums[];
  readonly progress: SearchProgress;
  readonly leftOut: number;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly tookMs: number;
}

async function readWindow(
  { history, clock }: QueryPorts,
  request: GetServiceMapRequest,
  facts: EndpointFacts,
  signal: AbortSignal,
): Promise<ReadWindow> {
  const startedMs = clock.nowMs();
  const query = readQuery(request.query, startedMs, facts);
  // By records, because what is denied has no connections.
  const options = { by: BY, order: "records" as const, limit: MAX_TALKS, labels: facts.labels };
  let groups: readonly HistoryGroup[] = [];
  let groupCount = 0;
  let progress: SearchProgress = NOTHING_SEARCHED;
  for await (const answer of history.group(query, options, signal)) ({ groups, groupCount, progress } = answer);
  const untilMs = query.untilMs ?? startedMs;
  const oldestMs = query.sinceMs ?? (await history.state()).oldestMs ?? untilMs - DAY_MS;
  return {
    query,
    sums: groups.map(sumsOfGroup),
    progress,
    leftOut: Math.max(0, groupCount - groups.length),
    sinceMs: Math.min(oldestMs, untilMs - 1),
    untilMs,
    tookMs: clock.nowMs() - startedMs,
  };
}

function sumsOfGroup({ values, sums }: HistoryGroup): MapSums {
  const [host = "", direction, source = "", destination = "", protocol, port, verdict, policies = "", subjectKey = ""] =
    values;
  return {
    host,
    direction: direction === "ingress" ? "ingress" : "egress",
    sourceAddress: source,
    destinationAddress: destination,
    protocol: Number(protocol),
    port: Number(port || 0),
    verdict: verdict === "deny" ? "deny" : "allow",
    policyKeys: policies === "" ? [] : policies.split(", "),
    subjectKey,
    sums,
  };
}

async function mapsOf(
  ports: QueryPorts,
  request: GetServiceMapRequest,
  windows: readonly ReadWindow[],
  facts: EndpointFacts,
  signal: AbortSignal,
): Promise<ServiceMap[]> {
  const maxNodes = pageSize(request.maxNodes, 200, 1_000);
  const options = { grouping: groupingOf(request), maxNodes };
  const nameless = new Set<string>();
  for (const { sums } of windows) {
    for (const { direction, sourceAddress, destinationAddress } of sums) {
      const address = direction === "ingress" ? sourceAddress : destinationAddress;
      if (facts.nameOf(address) === "") nameless.add(address);
    }
  }
  const first = windows[0]?.query ?? { where: { kind: "all" as const }, sinceMs: null, untilMs: null };
  const whole = { ...first, sinceMs: earliest(windows), untilMs: windows.at(-1)?.query.untilMs ?? null };
  const observed = await observedNames(ports, whole, [...nameless], signal);
  const inventory = {
    inventory: facts.inventory,
    nameOf: (address: string) => facts.nameOf(address) || (observed.get(address) ?? ""),
  };
  return buildServiceMaps(
    windows.map(({ sums }) => sums),
    inventory,
    options,
  );
}

function earliest(windows: readonly ReadWindow[]): number | null {
  return windows.some(({ query }) => query.sinceMs === null)
    ? null
    : Math.min(...windows.map(({ sinceMs }) => sinceMs));
}

function groupingOf({ grouping, labelKey }: GetServiceMapRequest): MapGrouping {
  if (grouping === WireGrouping.WORKLOAD) return { by: "workload" };
  if (grouping !== WireGrouping.LABEL) return { by: "host" };
  if (labelKey !== "" && labelKey.length <= 317) return { by: "label", key: labelKey };
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "A map by label needs the key of the label, such as app.",
  });
}

function toWireMap(map: ServiceMap, { progress, leftOut, tookMs }: ReadWindow): WireMap {
  const gaps: string[] = [];
  if (leftOut > 0) gaps.push(`the ${leftOut.toLocaleString("en")} smallest talks are not in the map`);
  const cut = map.edges.length - MAX_EDGES;
  if (cut > 0) gaps.push(`the ${cut.toLocaleString("en")} smallest edges are not in the map`);
  return create(ServiceMapSchema, {
    nodes: map.nodes.map(toWireNode),
    edges: map.edges.slice(0, MAX_EDGES).map(toWireEdge),
    searched: toWireSearched(progress, tookMs, gaps),
    mergedNodes: map.mergedNodes,
  });
}

const NODE_KINDS: Record<MapNodeKind, WireNodeKind> = {
  host: WireNodeKind.HOST,
  group: WireNodeKind.GROUP,
  workload: WireNodeKind.WORKLOAD,
  external: WireNodeKind.EXTERNAL,
};
const CHANGE_KINDS: Record<MapChangeKind, WireChangeKind> = {
  "new-edge": WireChangeKind.NEW_EDGE,
  "gone-edge": WireChangeKind.GONE_EDGE,
  verdict: WireChangeKind.VERDICT,
  volume: WireChangeKind.VOLUME,
  "new-node": WireChangeKind.NEW_NODE,
  "gone-node": WireChangeKind.GONE_NODE,
};

function toWireNode({ id, kind, name, addresses, labels, members }: MapNode): WireNode {
  const shown = { id, name, members, addresses: [...addresses], labels: Object.fromEntries(labels) };
  return create(MapNodeSchema, { ...shown, kind: NODE_KINDS[kind] });
}

function toWireEdge(edge: MapEdge): WireEdge {
  const { sourceId, destinationId, protocol, port } = edge;
  return create(MapEdgeSchema, {
    ...{ sourceId, destinationId, protocol, port, policyKeys: [...edge.policyKeys], seenByBoth: edge.isSeenByBoth },
    allowed: toWireSums(edge.allowed),
    denied: toWireSums(edge.denied),
  });
}
