/** From the decisions of cells to the entries of a longest-prefix table over (protocol, port). */
import type { ProtocolNumber } from "../model.ts";
import { type CellSpace, HIGHEST_PORT, OTHER_PROTOCOLS } from "./cells.ts";

const PORT_BITS = 16;

export interface PortTableEntry {
  /** `null` = every protocol. */
  readonly protocol: ProtocolNumber | null;
  readonly port: number;
  readonly portBits: number;
  readonly decision: number;
}

interface Segment {
  readonly low: number;
  readonly high: number;
  readonly decision: number;
}

/** The 0-bit entry first, then by protocol: its default where it needs one, then its prefixes by port. */
export function buildPortTable(space: CellSpace, decisions: Int32Array): readonly PortTableEntry[] {
  const anyProtocol = decisions[OTHER_PROTOCOLS] ?? 0;
  const entries: PortTableEntry[] = [{ protocol: null, port: 0, portBits: 0, decision: anyProtocol }];
  for (const [protocol, { firstCell, starts }] of space.protocols) {
    const segments = joinCells(starts, decisions.subarray(firstCell, firstCell + starts.length));
    const protocolDefault = cheapestDefault(segments, anyProtocol);
    if (protocolDefault !== anyProtocol) entries.push({ protocol, port: 0, portBits: 0, decision: protocolDefault });
    for (const { low, high, decision } of segments) {
      if (decision === protocolDefault) continue;
      for (const { port, portBits } of rangeToPrefixes(low, high)) entries.push({ protocol, port, portBits, decision });
    }
  }
  return entries;
}

function joinCells(starts: readonly number[], decisions: Int32Array): readonly Segment[] {
  const segments: Segment[] = [];
  for (let first = 0; first < starts.length; ) {
    const decision = decisions[first] ?? 0;
    let next = first + 1;
    while (next < starts.length && decisions[next] === decision) next++;
    segments.push({ low: starts[first] ?? 0, high: (starts[next] ?? HIGHEST_PORT + 1) - 1, decision });
    first = next;
  }
  return segments;
}

/** The decision that leaves the fewest entries to write; the class default needs no entry of its own. */
function cheapestDefault(segments: readonly Segment[], anyProtocol: number): number {
  if (segments.length === 1) return anyProtocol;
  const saved = new Map<number, number>([[anyProtocol, 1]]);
  for (const { low, high, decision } of segments) {
    saved.set(decision, (saved.get(decision) ?? 0) + prefixCount(low, high));
  }
  let best = anyProtocol;
  for (const [decision, count] of saved) if (count > (saved.get(best) ?? 0)) best = decision;
  return best;
}

/** Prefixes that together hold exactly the ports from `low` to `high`; at most 30. */
export function rangeToPrefixes(low: number, high: number): readonly { port: number; portBits: number }[] {
  const prefixes: { port: number; portBits: number }[] = [];
  for (let port = low; port <= high; ) {
    const sizeBits = largestBlockBits(port, high);
    prefixes.push({ port, portBits: PORT_BITS - sizeBits });
    port += 1 << sizeBits;
  }
  return prefixes;
}

/** How many {@link rangeToPrefixes} gives. */
export function prefixCount(low: number, high: number): number {
  let count = 0;
  for (let port = low; port <= high; port += 1 << largestBlockBits(port, high)) count++;
  return count;
}

/** Logarithm of the size of the largest aligned block that starts at `port` and does not go beyond `high`. */
export function largestBlockBits(port: number, high: number): number {
  const alignedBits = port === 0 ? PORT_BITS : 31 - Math.clz32(port & -port);
  const fittingBits = 31 - Math.clz32(high - port + 1);
  return Math.min(alignedBits, fittingBits);
}
