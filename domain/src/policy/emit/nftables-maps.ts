/** Verdict maps of an nftables table. */
import { formatAddress } from "../address.ts";
import type { ProtocolNumber } from "../model.ts";
import type { NftablesMapPiece } from "./nftables-pieces.ts";
import { portRangeText } from "./nftables-ports.ts";
import type { PortRun } from "./port-rules.ts";
import { type AddressRange, addressOfNumber } from "./regions.ts";

export function addressMap(
  name: string,
  bits: 32 | 128,
  ranges: readonly AddressRange[],
  targetOf: (classId: number) => string,
): NftablesMapPiece {
  const elements = ranges.map(({ low, high, classId }) => {
    return { text: rangeText(low, high, bits), low, high, target: targetOf(classId) };
  });
  return { kind: "map", name, key: bits === 32 ? "type ipv4_addr" : "type ipv6_addr", isInterval: true, elements };
}

export function portMap(name: string, targets: readonly (readonly [run: PortRun, target: string])[]): NftablesMapPiece {
  const elements = targets.map(([run, target]) => {
    return { text: portRangeText(run), low: BigInt(run.low), high: BigInt(run.high), target };
  });
  // Typed by an expression, so that the same map takes ports and ICMP type and code.
  return { kind: "map", name, key: "typeof @th,0,16", isInterval: true, elements };
}

export function protocolMap(name: string, targets: readonly (readonly [ProtocolNumber, string])[]): NftablesMapPiece {
  const elements = targets.map(([protocol, target]) => {
    return { text: String(protocol), low: BigInt(protocol), high: BigInt(protocol), target };
  });
  return { kind: "map", name, key: "type inet_proto", isInterval: false, elements };
}

function rangeText(low: bigint, high: bigint, bits: 32 | 128): string {
  const text = (value: bigint): string => formatAddress(addressOfNumber(value, bits));
  if (low === high) return text(low);
  const size = high - low + 1n;
  const isPrefix = (size & (size - 1n)) === 0n && low % size === 0n;
  if (!isPrefix) return `${text(low)}-${text(high)}`;
  return `${text(low)}/${bits - (size.toString(2).length - 1)}`;
}
