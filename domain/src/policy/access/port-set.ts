/** Sets of ports as people read them. */
import { PROTOCOL, type ProtocolNumber } from "../model.ts";
import { HIGHEST_PORT, type PortPart } from "./port-space.ts";

/** Protocol, or all but some, with a range of ports. */
export type PortRangePart = Omit<PortPart<unknown>, "value">;

const PROTOCOL_NAMES = new Map<ProtocolNumber, string>(
  Object.entries(PROTOCOL).map(([name, protocol]) => [protocol, name]),
);
const SHOWN_RANGES = 6;

/** Equal texts = equal sets, for parts in the order of `partsOf`. */
export function portSetKey(parts: readonly PortRangePart[]): string {
  return parts
    .map(({ protocol, exceptProtocols, low, high }) => `${protocol}!${exceptProtocols}:${low}-${high}`)
    .join();
}

/** By their lowest part; those of every protocol last. */
export function comparePorts(left: readonly PortRangePart[], right: readonly PortRangePart[]): number {
  const rank = ([part]: readonly PortRangePart[]): number =>
    (part?.protocol ?? 256) * (HIGHEST_PORT + 1) + (part?.low ?? 0);
  return rank(left) - rank(right);
}

/** `443/tcp, 8000-8010/tcp`, `any udp`, `every protocol but tcp`. Parts of one protocol are ascending. */
export function formatPortSet(parts: readonly PortRangePart[]): string {
  const others = parts.find(({ protocol }) => protocol === null);
  const texts = parts.filter(({ protocol }) => protocol !== null).map(formatRange);
  if (others) texts.push(formatOthers(others.exceptProtocols));
  const shown = texts.slice(0, SHOWN_RANGES).join(", ");
  return texts.length > SHOWN_RANGES ? `${shown} and ${texts.length - SHOWN_RANGES} more ranges` : shown;
}

function formatOthers(except: readonly ProtocolNumber[]): string {
  if (except.length === 0) return "any port and protocol";
  return `every protocol but ${except.map(protocolName).join(", ")}`;
}

function formatRange({ protocol, low, high }: PortRangePart): string {
  const name = protocol === null ? "" : protocolName(protocol);
  if (low === 0 && high === HIGHEST_PORT) return `any ${name}`;
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) return `${name} ${icmpRange(low, high)}`;
  return low === high ? `${low}/${name}` : `${low}-${high}/${name}`;
}

function icmpRange(low: number, high: number): string {
  const isWholeTypes = (low & 0xff) === 0 && (high & 0xff) === 0xff;
  if (isWholeTypes) return low >> 8 === high >> 8 ? `type ${low >> 8}` : `types ${low >> 8} to ${high >> 8}`;
  const one = (value: number): string => `type ${value >> 8} code ${value & 0xff}`;
  return low === high ? one(low) : `${one(low)} to ${one(high)}`;
}

function protocolName(protocol: ProtocolNumber): string {
  return PROTOCOL_NAMES.get(protocol) ?? `protocol ${protocol}`;
}
