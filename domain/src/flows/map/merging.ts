/** Which nodes are put together when there are more than wanted, and which ports of a pair. */
import { formatCidr, parseAddress } from "../../policy/address.ts";
import type { End } from "./ends.ts";
import { MAX_PORTS_OF_PAIR } from "./model.ts";

/** Prefix lengths, finest first. */
const LEVELS = [
  { 4: 24, 6: 64 },
  { 4: 16, 6: 48 },
  { 4: 8, 6: 32 },
  { 4: 0, 6: 0 },
] as const;
const NO_LABELS: ReadonlyMap<string, string> = new Map();
const OTHERS: End = { id: "others", kind: "group", name: "others", labels: NO_LABELS, member: "" };

export interface Merging {
  readonly ends: ReadonlyMap<string, End>;
  readonly mergedNodes: number;
}

/**
 * By weight: the largest stay as they are, at least half of the room for external ones. Small external addresses become
 * networks, the finest for which all of them have room; small hosts and groups become one node.
 * @param weights of each node, by id
 */
export function mergeNodes(
  nodes: ReadonlyMap<string, End>,
  weights: ReadonlyMap<string, number>,
  maxNodes: number,
): Merging {
  if (nodes.size <= maxNodes) return { ends: new Map(), mergedNodes: 0 };
  const bySize = [...nodes.values()].sort(
    (left, right) => (weights.get(right.id) ?? 0) - (weights.get(left.id) ?? 0) || (left.id < right.id ? -1 : 1),
  );
  const inside = bySize.filter(({ kind }) => kind !== "external");
  const external = bySize.filter(({ kind }) => kind === "external");
  const merged = new Map<string, End>();
  // Room for the two families' whole networks, and for the others.
  const insideRoom = Math.max(0, maxNodes - Math.min(external.length, 2));
  if (inside.length > insideRoom) {
    for (const end of inside.slice(Math.max(0, insideRoom - 1))) merged.set(end.id, OTHERS);
  }
  const room = maxNodes - Math.min(inside.length, insideRoom);
  if (external.length > room) for (const [id, end] of externalMerging(external, room)) merged.set(id, end);
  return { ends: merged, mergedNodes: merged.size };
}

function externalMerging(external: readonly End[], room: number): Map<string, End> {
  const single = room < 4 ? 0 : Math.floor(room / 2);
  const small = external.slice(single);
  let result = new Map<string, End>();
  for (const level of LEVELS) {
    result = new Map(small.map((end) => [end.id, networkOf(end, level)]));
    if (new Set([...result.values()].map(({ id }) => id)).size <= room - single) break;
  }
  return result;
}

function networkOf(end: End, level: (typeof LEVELS)[number]): End {
  const parsed = parseAddress(end.id.slice("address:".length));
  if (!parsed.ok) return OTHERS;
  const prefixLength = level[parsed.family];
  const bytes = parsed.bytes.map(
    (byte, index) => byte & (0xff00 >> Math.max(0, Math.min(8, prefixLength - index * 8))),
  );
  const network = formatCidr({ family: parsed.family, bytes, prefixLength });
  return { id: `net:${network}`, kind: "external", name: network, labels: NO_LABELS, member: "" };
}

/** The ports of one pair and protocol that stay single. @param weights by port */
export function keptPorts(weights: ReadonlyMap<number, number>): ReadonlySet<number> | null {
  if (weights.size <= MAX_PORTS_OF_PAIR) return null;
  const bySize = [...weights].sort(([leftPort, left], [rightPort, right]) => right - left || leftPort - rightPort);
  return new Set(bySize.slice(0, MAX_PORTS_OF_PAIR - 1).map(([port]) => port));
}
