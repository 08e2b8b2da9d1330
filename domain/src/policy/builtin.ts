import { parseAddress } from "./address.ts";
import { PROTOCOL, type ProtocolNumber } from "./model.ts";
import type { BUILTIN_DECISIONS } from "./program.ts";

export type BuiltinName = keyof typeof BUILTIN_DECISIONS;

/** Prefixes whose traffic never leaves the host. */
export const LOOPBACK_PREFIXES = [
  { family: 4, firstByte: 127, prefixLength: 8 },
  { family: 6, address: "::1", prefixLength: 128 },
] as const;

/**
 * ICMP without which IP itself breaks. The eBPF header has the same list, compared by a test.
 * RFC 4861 (neighbour discovery: 133 to 137), RFC 8201 (packet too big), RFC 1191 (fragmentation needed).
 */
export const ESSENTIAL_ICMP = [
  { builtin: "neighborDiscovery", family: 6, protocol: PROTOCOL.icmpv6, typeLow: 133, typeHigh: 137, code: null },
  { builtin: "pathMtu", family: 6, protocol: PROTOCOL.icmpv6, typeLow: 2, typeHigh: 2, code: null },
  { builtin: "pathMtu", family: 4, protocol: PROTOCOL.icmp, typeLow: 3, typeHigh: 3, code: 4 },
] as const satisfies readonly { builtin: BuiltinName; [field: string]: unknown }[];

export interface BuiltinQuestion {
  readonly remote: string;
  /** Address of the subject in this packet, when known. */
  readonly local: string | null;
  readonly protocol: ProtocolNumber;
  /** `type << 8 | code` for ICMP. */
  readonly port: number;
}

/**
 * What the datapath decides before it asks any policy, as far as addresses and ICMP type tell: traffic of a host with
 * itself, and ICMP that IP needs. `null` = the policy decides. The reference and the compiled lookup both ask here.
 */
export function builtinDecision(question: BuiltinQuestion): BuiltinName | null {
  const remote = parseAddress(question.remote);
  if (!remote.ok) return null;
  const local = question.local === null ? null : parseAddress(question.local);
  return builtinOf(remote, local?.ok ? local : null, question.protocol, question.port);
}

/** The same for addresses that are read already. */
export function builtinOf(
  remote: AddressBytes,
  local: AddressBytes | null,
  protocol: ProtocolNumber,
  port: number,
): BuiltinName | null {
  if (isLoopback(remote) || (local !== null && sameAddress(local, remote))) return "loopback";
  if (protocol !== PROTOCOL.icmp && protocol !== PROTOCOL.icmpv6) return null;
  for (const entry of ESSENTIAL_ICMP) {
    const type = port >> 8;
    const matches =
      entry.family === remote.family &&
      entry.protocol === protocol &&
      type >= entry.typeLow &&
      type <= entry.typeHigh &&
      (entry.code === null || entry.code === (port & 0xff));
    if (matches) return entry.builtin;
  }
  return null;
}

export interface AddressBytes {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

function isLoopback(address: AddressBytes): boolean {
  if (address.family === 4) return address.bytes[0] === LOOPBACK_PREFIXES[0].firstByte;
  return address.bytes.every((byte, position) => byte === (position === 15 ? 1 : 0));
}

function sameAddress(left: AddressBytes, right: AddressBytes): boolean {
  return left.family === right.family && left.bytes.every((byte, position) => byte === right.bytes[position]);
}
