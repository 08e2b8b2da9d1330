/** Text for people: hostile strings made visible, numbers, times, names of protocols. Pure, no clock. */
import { replaceInvisible } from "@wardline/domain/text";

const LONGEST_SHOWN = 1_000;

/**
 * Text from a host, a file or a person, safe to put in a line of the interface: what cannot be seen or would reorder the
 * text around it is written as its code point, and the length is bounded.
 */
export function visibleText(text: string): string {
  const bounded = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
  return replaceInvisible(bounded, (codePoint) => `⟨U+${codePoint.toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

const INTEGER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** `12,345`. */
export function formatCount(count: number | bigint): string {
  return INTEGER.format(count);
}

/** `1 file`, `12 files`. */
export function formatQuantity(count: number | bigint, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 || count === 1n ? singular : plural}`;
}

/** `1.4 MiB`. */
export function formatBytes(bytes: number | bigint): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let amount = Number(bytes);
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${COMPACT.format(amount)} ${units[unit]}`;
}

/** `412/s`, `0.4/s`. */
export function formatRate(perSecond: number): string {
  return `${perSecond >= 10 ? INTEGER.format(perSecond) : COMPACT.format(perSecond)}/s`;
}

/** `now`, `2 s`, `4 min`, `3 h`, `2 d`. */
export function formatAge(ageMs: number): string {
  const seconds = Math.max(0, Math.floor(ageMs / 1000));
  if (seconds < 1) return "under 1 s";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `04:32`, `1:00:00`: what a countdown shows. Rounds up, so that it reads zero only when the time is over. */
export function formatCountdown(remainingMs: number): string {
  const seconds = Math.max(0, Math.ceil(remainingMs / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor((seconds % 3600) / 60))}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

const PROTOCOL_NAMES: Record<number, string> = {
  0: "any",
  1: "ICMP",
  2: "IGMP",
  6: "TCP",
  17: "UDP",
  58: "ICMPv6",
  132: "SCTP",
};

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? `IP ${protocol}`;
}

const ICMP_TYPES: Record<number, string> = { 0: "echo reply", 3: "unreachable", 8: "echo", 11: "time exceeded" };
const ICMPV6_TYPES: Record<number, string> = { 1: "unreachable", 128: "echo", 129: "echo reply", 135: "neighbour" };

/** `TCP 443`, `ICMP echo`, `ICMP type 3 code 4`. The port of ICMP is `type << 8 | code`. */
export function formatProtocolPort(protocol: number, port: number): string {
  const name = protocolName(protocol);
  if (protocol === 1 || protocol === 58) {
    const type = port >> 8;
    const code = port & 0xff;
    const known = (protocol === 1 ? ICMP_TYPES : ICMPV6_TYPES)[type];
    if (known !== undefined && code === 0) return `${name} ${known}`;
    return `${name} type ${type} code ${code}`;
  }
  return protocol === 6 || protocol === 17 || protocol === 132 ? `${name} ${port}` : name;
}

/** `TCP 80–443`, `TCP any port`, `any protocol but TCP`. */
export function formatPortRange(
  protocol: number,
  low: number,
  high: number,
  exceptProtocols: readonly number[] = [],
): string {
  if (protocol === 0)
    return exceptProtocols.length === 0
      ? "any protocol and port"
      : `any protocol but ${exceptProtocols.map(protocolName).join(", ")}`;
  if (low === high) return formatProtocolPort(protocol, low);
  if (low === 0 && high >= 65_535) return `${protocolName(protocol)} any port`;
  return `${protocolName(protocol)} ${low}–${high}`;
}

/** `[2001:db8::1]:443` or `10.0.0.1:443`. */
export function formatAddressPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The part of a key such as `NetworkPolicy/default/web` or `Host/laptop` that people know it by. */
export function shortKey(key: string): string {
  const parts = key.split("/");
  if (parts.length <= 1) return key;
  return parts.slice(1).join("/");
}

/** First twelve digits of a digest, as in `git`. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}
