/** What one window of a service map has that the other has not, or much more of. */
import { protocolName } from "../language/protocols.ts";
import { hasPorts } from "../match.ts";
import { edgeKey } from "./build.ts";
import {
  type FlowSums,
  type MapEdge,
  type MapNode,
  NO_SUMS,
  plusSums,
  type ServiceMap,
  weightOfEdge,
} from "./model.ts";

export type MapChangeKind = "new-edge" | "gone-edge" | "verdict" | "volume" | "new-node" | "gone-node";

export interface MapChange {
  readonly kind: MapChangeKind;
  readonly source: MapNode;
  /** `null` for changes of nodes. */
  readonly destination: MapNode | null;
  readonly protocol: number;
  readonly port: number;
  readonly before: MapEdge | null;
  readonly after: MapEdge | null;
  /** For a person: `web-1 talks to 203.0.113.9 on tcp/4444: 120 connections, none before`. */
  readonly sentence: string;
}

/** A map and how long its window was, above 0. Both maps are of one `buildServiceMaps`, so that they put together the same. */
export interface MapOfWindow {
  readonly map: ServiceMap;
  readonly windowMs: number;
}

/** As much more or less, per hour, is a change. */
const VOLUME_FACTOR = 10;
/** Less than this in the larger window says nothing. */
const LEAST_COUNT = 10;
const LEAST_BYTES = 100_000;
const HOUR_MS = 3_600_000;
const ORDER: readonly MapChangeKind[] = ["verdict", "new-edge", "new-node", "volume", "gone-edge", "gone-node"];

/** Found, and not yet put into words: of many changes only the first are. */
interface Found {
  readonly key: string;
  readonly kind: MapChangeKind;
  readonly size: number;
  readonly say: () => MapChange;
}

/**
 * Most important first: verdicts, then what is new, volumes, what is gone; the largest of each first.
 * @param limit how many are put into words
 */
export function compareServiceMaps(
  before: MapOfWindow,
  after: MapOfWindow,
  limit = Number.POSITIVE_INFINITY,
): MapChange[] {
  const nodes = new Map([...before.map.nodes, ...after.map.nodes].map((node) => [node.id, node] as const));
  const earlier = new Map(before.map.edges.map((edge) => [edgeKey(edge), edge] as const));
  const later = new Map(after.map.edges.map((edge) => [edgeKey(edge), edge] as const));
  const found: Found[] = [];
  for (const key of new Set([...later.keys(), ...earlier.keys()])) {
    const change = edgeChange(
      key,
      earlier.get(key) ?? null,
      later.get(key) ?? null,
      nodes,
      before.windowMs,
      after.windowMs,
    );
    if (change) found.push(change);
  }
  found.push(...nodeChanges("new-node", before.map, after.map), ...nodeChanges("gone-node", after.map, before.map));
  found.sort(
    (left, right) =>
      ORDER.indexOf(left.kind) - ORDER.indexOf(right.kind) || right.size - left.size || (left.key < right.key ? -1 : 1),
  );
  return found.slice(0, limit).map(({ say }) => say());
}

function edgeChange(
  key: string,
  before: MapEdge | null,
  after: MapEdge | null,
  nodes: ReadonlyMap<string, MapNode>,
  beforeMs: number,
  afterMs: number,
): Found | null {
  const edge = after ?? before;
  const source = edge && nodes.get(edge.sourceId);
  const destination = edge && nodes.get(edge.destinationId);
  if (!edge || !source || !destination) return null;
  const what = judge(before, after, beforeMs, afterMs);
  if (!what) return null;
  const { kind, text } = what;
  const { protocol, port } = edge;
  const say = () => {
    const talk = kind === "gone-edge" ? "no longer talks" : "talks";
    const sentence = `${source.name} ${talk} to ${destination.name} on ${serviceOf(edge)}: ${text()}`;
    return { kind, source, destination, protocol, port, before, after, sentence };
  };
  const size = Math.max(before ? weightOfEdge(before) : 0, after ? weightOfEdge(after) : 0);
  return { key, kind, size, say };
}

function judge(
  before: MapEdge | null,
  after: MapEdge | null,
  beforeMs: number,
  afterMs: number,
): { readonly kind: MapChangeKind; readonly text: () => string } | null {
  if (before === null) return after && { kind: "new-edge", text: () => `${countOf(after)}, none before` };
  if (after === null) return { kind: "gone-edge", text: () => `${countOf(before)} before, none now` };
  const was = verdictOf(before);
  const is = verdictOf(after);
  if (was !== is) {
    const text = () => `${VERDICT_WORDS[is]} now (${countOf(after)}), ${VERDICT_WORDS[was]} before`;
    return { kind: "verdict", text };
  }
  const volume = volumeChange(before, after, beforeMs, afterMs);
  return volume === null ? null : { kind: "volume", text: () => volume };
}

const VERDICT_WORDS = { allowed: "allowed", denied: "denied", both: "allowed in part and denied in part" } as const;

function verdictOf({ allowed, denied }: MapEdge): keyof typeof VERDICT_WORDS {
  if (denied.records === 0) return "allowed";
  return allowed.records === 0 ? "denied" : "both";
}

/** Connections and denied packets, then bytes; `null` when neither changed by much. */
function volumeChange(before: MapEdge, after: MapEdge, beforeMs: number, afterMs: number): string | null {
  const isPerHour = beforeMs !== afterMs;
  const say = (countBefore: number, countAfter: number, least: number, unit: string) => {
    if (Math.max(countBefore, countAfter) < least) return null;
    const was = isPerHour ? (countBefore * HOUR_MS) / beforeMs : countBefore;
    const is = isPerHour ? (countAfter * HOUR_MS) / afterMs : countAfter;
    if (Math.max(was, is) < VOLUME_FACTOR * Math.min(was, is)) return null;
    const factor = is > was ? `${factorText(is, was)} as much` : `${factorText(was, is)} less`;
    return `${factor}: ${amount(is)} ${unit}${isPerHour ? " an hour" : ""}, ${amount(was)} before`;
  };
  const unit = verdictOf(after) === "denied" ? "denied packets" : "connections";
  return (
    say(weightOfEdge(before), weightOfEdge(after), LEAST_COUNT, unit) ??
    say(bytesOfEdge(before), bytesOfEdge(after), LEAST_BYTES, "bytes")
  );
}

function factorText(large: number, small: number): string {
  return small === 0 ? "much" : `${Math.round(large / small).toLocaleString("en")} times`;
}

function amount(value: number): string {
  return (value < 10 ? Math.round(value * 10) / 10 : Math.round(value)).toLocaleString("en");
}

function bytesOfEdge({ allowed }: MapEdge): number {
  return allowed.originatorBytes + allowed.responderBytes;
}

function nodeChanges(kind: "new-node" | "gone-node", without: ServiceMap, with_: ServiceMap): Found[] {
  const known = new Set(without.nodes.map(({ id }) => id));
  // An address outside is said by the edge that it is on.
  const nodes = with_.nodes.filter(({ id, kind: what }) => what !== "external" && !known.has(id));
  return nodes.map((source) => ({
    ...{ key: source.id, kind, size: 0 },
    say: () => ({
      ...{ kind, source, destination: null, protocol: 0, port: 0, before: null, after: null },
      sentence: kind === "new-node" ? `${source.name} is new` : `${source.name} is not seen any more`,
    }),
  }));
}

/** `tcp/443`, `icmp`, `tcp, several ports`. */
function serviceOf({ protocol, port }: MapEdge): string {
  if (!hasPorts(protocol)) return protocolName(protocol);
  return port === 0 ? `${protocolName(protocol)}, several ports` : `${protocolName(protocol)}/${port}`;
}

/** `120 connections`, `5 denied packets`, or both. */
function countOf({ allowed, denied }: MapEdge): string {
  const parts = [
    allowed.records > 0 ? counted(allowed.connections, "connection") : "",
    denied.records > 0 ? counted(denied.deniedPackets, "denied packet") : "",
  ];
  return parts.filter((part) => part !== "").join(" and ");
}

function counted(count: number, word: string): string {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** Of all edges: what a map is about. */
export function totalOfMap({ edges }: ServiceMap): { readonly allowed: FlowSums; readonly denied: FlowSums } {
  const sum = (pick: (edge: MapEdge) => FlowSums) =>
    edges.reduce((total, edge) => plusSums(total, pick(edge)), NO_SUMS);
  return { allowed: sum(({ allowed }) => allowed), denied: sum(({ denied }) => denied) };
}
