/** Sets of packets, seen from a subject in one direction: unions of boxes, each a set of remote addresses × a set of ports. */
import { PROTOCOL } from "../model.ts";
import { intersect, overlaps, type RangeSet, subtract } from "./range-set.ts";

/** `addresses` are atoms of one {@link AddressAtoms}; `ports` are numbers of {@link portNumber}. Neither is empty. */
export interface Box {
  readonly addresses: RangeSet;
  readonly ports: RangeSet;
}

const PORTS_PER_PROTOCOL = 0x1_0000;
const PROTOCOL_COUNT = 256;

/** Every protocol and port. */
export const ALL_PORTS: RangeSet = [0, PROTOCOL_COUNT * PORTS_PER_PROTOCOL];

/** One number for a protocol and a port, `type << 8 | code` for ICMP. */
export function portNumber(protocol: number, port: number): number {
  return protocol * PORTS_PER_PROTOCOL + port;
}

export function portOf(number: number): { readonly protocol: number; readonly port: number } {
  return { protocol: Math.floor(number / PORTS_PER_PROTOCOL), port: number % PORTS_PER_PROTOCOL };
}

/** The boxes without empty ones. */
export function boxes(...candidates: readonly Box[]): readonly Box[] {
  return candidates.filter(({ addresses, ports }) => addresses.length > 0 && ports.length > 0);
}

export function boxesOverlap(one: readonly Box[], other: readonly Box[]): boolean {
  return one.some((left) =>
    other.some((right) => overlaps(left.ports, right.ports) && overlaps(left.addresses, right.addresses)),
  );
}

export function intersectBoxes(one: readonly Box[], other: readonly Box[]): readonly Box[] {
  return one.flatMap((left) =>
    other.flatMap((right) =>
      boxes({
        addresses: intersect(left.addresses, right.addresses),
        ports: intersect(left.ports, right.ports),
      }),
    ),
  );
}

/** What is in `one` and not in `other`. Disjoint boxes stay disjoint. */
export function subtractBoxes(one: readonly Box[], other: readonly Box[]): readonly Box[] {
  let rest = one;
  for (const taken of other) {
    rest = rest.flatMap((box) => {
      if (!overlaps(box.ports, taken.ports) || !overlaps(box.addresses, taken.addresses)) return [box];
      return boxes(
        { addresses: subtract(box.addresses, taken.addresses), ports: box.ports },
        { addresses: intersect(box.addresses, taken.addresses), ports: subtract(box.ports, taken.ports) },
      );
    });
  }
  return rest;
}

/** A port of the set that people know, for an example: TCP or UDP where there is one. */
export function examplePort(ports: RangeSet): { readonly protocol: number; readonly port: number } {
  for (const protocol of [PROTOCOL.tcp, PROTOCOL.udp]) {
    const found = intersect(ports, [portNumber(protocol, 1), portNumber(protocol + 1, 0)]);
    if (found.length > 0) return portOf(found[0]!);
  }
  return portOf(ports[0]!);
}

/** What walking the boxes costs, in steps of a work budget. */
export function weightOf(list: readonly Box[]): number {
  let weight = 0;
  for (const { addresses, ports } of list) weight += 1 + ((addresses.length + ports.length) >> 5);
  return weight;
}
