/** Functions over the whole (protocol, port) space, kept as few segments and worked on segment by segment. */
import type { ProtocolNumber } from "../model.ts";

export const HIGHEST_PORT = 0xffff;
export const HIGHEST_PROTOCOL = 0xff;

export interface Segment<Value> {
  /** Inclusive. */
  readonly low: number;
  readonly high: number;
  readonly value: Value;
}

/** A value for every protocol and port. Equal functions have equal forms. */
export interface PortSpace<Value> {
  /** For protocols that are not in `protocols`. */
  readonly otherwise: Value;
  /** Ascending. Each covers all ports without gaps, neighbours differ, and one that says only `otherwise` is left out. */
  readonly protocols: ReadonlyMap<ProtocolNumber, readonly Segment<Value>[]>;
}

export function constantSpace<Value>(value: Value): PortSpace<Value> {
  return { otherwise: value, protocols: new Map() };
}

/** `segments` of one protocol cover all ports in order; neighbours may be equal. */
export function makeSpace<Value>(
  otherwise: Value,
  protocols: Iterable<readonly [ProtocolNumber, readonly Segment<Value>[]]>,
): PortSpace<Value> {
  const kept: [ProtocolNumber, readonly Segment<Value>[]][] = [];
  for (const [protocol, segments] of protocols) {
    const joined = joinNeighbours(segments);
    if (joined.length > 1 || joined[0]?.value !== otherwise) kept.push([protocol, joined]);
  }
  return { otherwise, protocols: new Map(kept.sort(([left], [right]) => left - right)) };
}

function joinNeighbours<Value>(segments: readonly Segment<Value>[]): readonly Segment<Value>[] {
  const joined: { low: number; high: number; value: Value }[] = [];
  for (const { low, high, value } of segments) {
    const last = joined.at(-1);
    if (last && last.value === value) last.high = high;
    else joined.push({ low, high, value });
  }
  return joined;
}

/** The ranges that a list covers: `true` inside. They may overlap. */
export function coveredSpace(
  ranges: readonly { readonly protocol: ProtocolNumber; readonly low: number; readonly high: number }[],
): PortSpace<boolean> {
  const byProtocol = new Map<ProtocolNumber, { low: number; high: number }[]>();
  for (const { protocol, low, high } of ranges) {
    byProtocol.set(protocol, [...(byProtocol.get(protocol) ?? []), { low, high }]);
  }
  return makeSpace(
    false,
    [...byProtocol].map(([protocol, own]) => [protocol, segmentsCovered(own)] as const),
  );
}

function segmentsCovered(ranges: { low: number; high: number }[]): readonly Segment<boolean>[] {
  const segments: Segment<boolean>[] = [];
  let next = 0;
  for (const { low, high } of ranges.sort((left, right) => left.low - right.low)) {
    if (low > next) segments.push({ low: next, high: low - 1, value: false });
    if (high >= next) segments.push({ low: Math.max(low, next), high, value: true });
    next = Math.max(next, high + 1);
  }
  if (next <= HIGHEST_PORT) segments.push({ low: next, high: HIGHEST_PORT, value: false });
  return segments;
}

export function mapSpace<Value, Result>(space: PortSpace<Value>, map: (value: Value) => Result): PortSpace<Result> {
  return makeSpace(
    map(space.otherwise),
    [...space.protocols].map(
      ([protocol, segments]) =>
        [protocol, segments.map(({ low, high, value }) => ({ low, high, value: map(value) }))] as const,
    ),
  );
}

export function combineSpaces<Left, Right, Result>(
  left: PortSpace<Left>,
  right: PortSpace<Right>,
  combine: (left: Left, right: Right) => Result,
): PortSpace<Result> {
  const protocols = new Set([...left.protocols.keys(), ...right.protocols.keys()]);
  return makeSpace(
    combine(left.otherwise, right.otherwise),
    [...protocols].map(
      (protocol) =>
        [protocol, combineSegments(segmentsOf(left, protocol), segmentsOf(right, protocol), combine)] as const,
    ),
  );
}

export function segmentsOf<Value>(space: PortSpace<Value>, protocol: ProtocolNumber): readonly Segment<Value>[] {
  return space.protocols.get(protocol) ?? [{ low: 0, high: HIGHEST_PORT, value: space.otherwise }];
}

function combineSegments<Left, Right, Result>(
  left: readonly Segment<Left>[],
  right: readonly Segment<Right>[],
  combine: (left: Left, right: Right) => Result,
): readonly Segment<Result>[] {
  const segments: Segment<Result>[] = [];
  let leftIndex = 0;
  let rightIndex = 0;
  for (let low = 0; low <= HIGHEST_PORT; ) {
    const [one, other] = [left[leftIndex], right[rightIndex]];
    if (!one || !other) throw new Error("segments cover all ports");
    const high = Math.min(one.high, other.high);
    segments.push({ low, high, value: combine(one.value, other.value) });
    if (one.high === high) leftIndex += 1;
    if (other.high === high) rightIndex += 1;
    low = high + 1;
  }
  return segments;
}

export function valueAt<Value>(space: PortSpace<Value>, protocol: ProtocolNumber, port: number): Value {
  const segments = space.protocols.get(protocol);
  if (!segments) return space.otherwise;
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((segments[middle]?.high ?? HIGHEST_PORT) < port) low = middle + 1;
    else high = middle;
  }
  return segments[low]?.value ?? space.otherwise;
}

/** A part of the space that has one value: a range of one protocol, or all protocols but some. */
export interface PortPart<Value> {
  /** `null` = every protocol but `exceptProtocols`. */
  readonly protocol: ProtocolNumber | null;
  /** Ascending; empty unless `protocol` is `null`. */
  readonly exceptProtocols: readonly ProtocolNumber[];
  /** Inclusive; 0 to 65535 for every protocol. `type << 8 | code` for ICMP. */
  readonly low: number;
  readonly high: number;
  readonly value: Value;
}

/** The whole space in parts, each place once. */
export function partsOf<Value>(space: PortSpace<Value>): readonly PortPart<Value>[] {
  const parts: PortPart<Value>[] = [];
  for (const [protocol, segments] of space.protocols) {
    for (const segment of segments) parts.push({ protocol, exceptProtocols: [], ...segment });
  }
  const exceptProtocols = [...space.protocols.keys()];
  if (exceptProtocols.length <= HIGHEST_PROTOCOL) {
    parts.push({ protocol: null, exceptProtocols, low: 0, high: HIGHEST_PORT, value: space.otherwise });
  }
  return parts;
}

/** Text that equal spaces have in common and different ones do not. */
export function spaceKey(space: PortSpace<number>): string {
  let key = `${space.otherwise}`;
  for (const [protocol, segments] of space.protocols) {
    key += `|${protocol}`;
    for (const { low, value } of segments) key += `,${low}:${value}`;
  }
  return key;
}

/** Whether any place has a value for which it holds; a space of all protocols has no `otherwise` left. */
export function hasValue<Value>(space: PortSpace<Value>, holds: (value: Value) => boolean): boolean {
  if (space.protocols.size <= HIGHEST_PROTOCOL && holds(space.otherwise)) return true;
  for (const segments of space.protocols.values()) {
    for (const { value } of segments) if (holds(value)) return true;
  }
  return false;
}

/** Text that spaces have in common for which it holds at the same places. */
export function truthKey<Value>(space: PortSpace<Value>, holds: (value: Value) => boolean): string {
  const otherwise = holds(space.otherwise);
  let key = otherwise ? "1" : "0";
  for (const [protocol, segments] of space.protocols) {
    let own = "";
    let last: boolean | null = null;
    for (const { low, value } of segments) {
      const isTrue = holds(value);
      if (isTrue === last) continue;
      own += `${isTrue ? "+" : "-"}${low}`;
      last = isTrue;
    }
    if (own !== (otherwise ? "+0" : "-0")) key += `|${protocol}${own}`;
  }
  return key;
}

/** The order in which protocols are named: those that people use first, then by number. */
const PREFERRED_PROTOCOLS: readonly ProtocolNumber[] = [6, 17, 1, 58, 132];

export function compareProtocols(left: ProtocolNumber, right: ProtocolNumber): number {
  return protocolRank(left) - protocolRank(right);
}

function protocolRank(protocol: ProtocolNumber): number {
  const preferred = PREFERRED_PROTOCOLS.indexOf(protocol);
  return preferred < 0 ? PREFERRED_PROTOCOLS.length + protocol : preferred;
}

/** The first place whose value is wanted, in the order of {@link compareProtocols} and then by port. */
export function firstPlace<Value>(
  space: PortSpace<Value>,
  isWanted: (value: Value) => boolean,
): { readonly protocol: ProtocolNumber; readonly port: number } | null {
  let best: { protocol: ProtocolNumber; port: number } | null = null;
  for (const { protocol, exceptProtocols, low, value } of partsOf(space)) {
    if (!isWanted(value)) continue;
    const place = { protocol: protocol ?? firstProtocol(exceptProtocols), port: low };
    const order = best === null ? -1 : compareProtocols(place.protocol, best.protocol) || place.port - best.port;
    if (order < 0) best = place;
  }
  return best;
}

function firstProtocol(except: readonly ProtocolNumber[]): ProtocolNumber {
  const taken = new Set(except);
  const preferred = PREFERRED_PROTOCOLS.find((protocol) => !taken.has(protocol));
  if (preferred !== undefined) return preferred;
  let protocol = 0;
  while (taken.has(protocol)) protocol += 1;
  return protocol;
}
