/** Sets of (protocol, port): inclusive port ranges of some protocols by name, and of all the others alike. */
import { type PortMatch, PROTOCOL, type ProtocolNumber, type SourceRange } from "../model.ts";

export interface PortRange {
  readonly low: number;
  readonly high: number;
}

export interface Services {
  readonly named: ReadonlyMap<ProtocolNumber, readonly PortRange[]>;
  readonly others: readonly PortRange[];
}

export const EVERY_PORT: readonly PortRange[] = [{ low: 0, high: 0xffff }];
export const ALL_SERVICES: Services = { named: new Map(), others: EVERY_PORT };
const PROTOCOL_COUNT = 256;
const WITH_PORTS: readonly ProtocolNumber[] = [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.sctp];

export function hasPorts(protocol: ProtocolNumber): boolean {
  return WITH_PORTS.includes(protocol);
}

/** These ranges of one protocol, and `others` of every other one. */
export function servicesOf(
  protocol: ProtocolNumber,
  ranges: readonly PortRange[],
  others: readonly PortRange[] = [],
): Services {
  return { named: new Map([[protocol, ranges]]), others };
}

/** These ranges of every protocol with ports, and `others` of those without. */
export function servicesWithPorts(ranges: readonly PortRange[], others: readonly PortRange[] = []): Services {
  return { named: new Map(WITH_PORTS.map((protocol) => [protocol, ranges])), others };
}

export function intersectServices(left: Services, right: Services): Services {
  const names = new Set([...left.named.keys(), ...right.named.keys()]);
  const rangesOf = ({ named, others }: Services, protocol: ProtocolNumber) => named.get(protocol) ?? others;
  return {
    named: new Map([...names].map((name) => [name, intersectRanges(rangesOf(left, name), rangesOf(right, name))])),
    others: intersectRanges(left.others, right.others),
  };
}

function intersectRanges(left: readonly PortRange[], right: readonly PortRange[]): readonly PortRange[] {
  return left.flatMap((one) =>
    right
      .map((other) => ({ low: Math.max(one.low, other.low), high: Math.min(one.high, other.high) }))
      .filter(({ low, high }) => low <= high),
  );
}

/** Every port that is in none of the ranges. */
export function complementRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  return ranges.reduce<readonly PortRange[]>((left, { low, high }) => {
    const outside = [
      { low: 0, high: low - 1 },
      { low: high + 1, high: 0xffff },
    ].filter((range) => range.low <= range.high);
    return intersectRanges(left, outside);
  }, EVERY_PORT);
}

/** Port matches of the model; `null` = every port and protocol. */
export function portMatches({ named, others }: Services, source: SourceRange): readonly PortMatch[] | null {
  const isWhole = (ranges: readonly PortRange[]) => ranges.some(({ low, high }) => low === 0 && high === 0xffff);
  if (isWhole(others) && [...named.values()].every(isWhole)) return null;
  const protocols = others.length === 0 ? [...named.keys()] : Array.from({ length: PROTOCOL_COUNT }, (_, each) => each);
  return protocols.flatMap((protocol) =>
    (named.get(protocol) ?? others).map(({ low, high }): PortMatch => ({ kind: "range", protocol, low, high, source })),
  );
}
