/** Verdict maps of an nftables script. */
import { formatAddress } from "../address.ts";
import type { ProtocolNumber } from "../model.ts";
import { type AddressRange, addressOfNumber } from "./regions.ts";

export function* addressMap(
  name: string,
  bits: 32 | 128,
  ranges: readonly AddressRange[],
  targetOf: (classId: number) => string,
): Iterable<string> {
  const type = bits === 32 ? "ipv4_addr" : "ipv6_addr";
  const elements = ranges.map(({ low, high, classId }) => `${rangeText(low, high, bits)} : goto ${targetOf(classId)}`);
  yield* map(name, `type ${type} : verdict`, elements, "interval");
}

/** Ports as text (`80`, `1024-2047`) with where they lead. */
export function* portMap(
  name: string,
  targets: readonly (readonly [ports: string, target: string])[],
): Iterable<string> {
  const elements = targets.map(([ports, target]) => `${ports} : goto ${target}`);
  // Typed by an expression, so that the same map takes ports and ICMP type and code.
  yield* map(name, "typeof @th,0,16 : verdict", elements, "interval");
}

export function* protocolMap(name: string, targets: readonly (readonly [ProtocolNumber, string])[]): Iterable<string> {
  const elements = targets.map(([protocol, target]) => `${protocol} : goto ${target}`);
  yield* map(name, "type inet_proto : verdict", elements, null);
}

function* map(name: string, type: string, elements: readonly string[], flags: "interval" | null): Iterable<string> {
  yield `map ${name} {`;
  yield `\t${type}`;
  if (flags !== null) yield `\tflags ${flags}`;
  if (elements.length > 0) {
    yield "\telements = {";
    for (const [position, element] of elements.entries()) {
      yield `\t\t${element}${position + 1 < elements.length ? "," : ""}`;
    }
    yield "\t}";
  }
  yield "}";
}

function rangeText(low: bigint, high: bigint, bits: 32 | 128): string {
  const text = (value: bigint): string => formatAddress(addressOfNumber(value, bits));
  if (low === high) return text(low);
  const size = high - low + 1n;
  const isPrefix = (size & (size - 1n)) === 0n && low % size === 0n;
  if (!isPrefix) return `${text(low)}-${text(high)}`;
  return `${text(low)}/${bits - (size.toString(2).length - 1)}`;
}
