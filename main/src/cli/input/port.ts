import { PROTOCOL, policyPort } from "@wardline/domain/policy";
import { UsageError } from "../exit-code.ts";

/** A port as typed. For ICMP the version follows the family of the addresses, and `port` is `type << 8 | code`. */
export interface TypedPort {
  readonly protocol: "tcp" | "udp" | "sctp" | "icmp";
  /** `null`: an echo request. */
  readonly port: number | null;
}

const USAGE = "Give a port such as 443/tcp, 53/udp, icmp, or an ICMP type such as 8/icmp.";
const MAX_PORT = 65_535;
const MAX_ICMP = 255;
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;

/** @throws UsageError */
export function parsePort(text: string): TypedPort {
  const given = text.trim();
  const match = /^(\d{1,5})(?:\.(\d{1,3}))?(?:\/(tcp|udp|sctp|icmp|icmpv6))?$/i.exec(given);
  const isBareIcmp = /^(icmp|icmpv6)$/i.test(given);
  if (!match && !isBareIcmp) throw new UsageError(`"${text}" is not a port.`, USAGE);
  const number = match?.[1] === undefined ? null : Number(match[1]);
  const icmpCode = match?.[2] === undefined ? null : Number(match[2]);
  const name = isBareIcmp ? "icmp" : (match?.[3]?.toLowerCase() ?? "tcp");
  if (name === "icmp" || name === "icmpv6") {
    if (number === null) return { protocol: "icmp", port: null };
    if (number > MAX_ICMP || (icmpCode ?? 0) > MAX_ICMP)
      throw new UsageError(`"${text}": ICMP types end at 255.`, USAGE);
    return { protocol: "icmp", port: (number << 8) | (icmpCode ?? 0) };
  }
  if (icmpCode !== null) throw new UsageError(`"${text}" is not a port.`, USAGE);
  if (number === null) throw new UsageError(`"${text}" has no port number.`, USAGE);
  if (number > MAX_PORT) throw new UsageError(`"${text}": ports end at ${MAX_PORT}.`, USAGE);
  return { protocol: name as "tcp" | "udp" | "sctp", port: number };
}

/**
 * Protocol number and port for addresses of one family.
 *
 * @throws UsageError for an answer to an ICMP query: it passes with its query, and opens nothing that could be judged
 */
export function portOfFamily(typed: TypedPort, family: 4 | 6): { protocol: number; port: number } {
  if (typed.protocol !== "icmp") return { protocol: PROTOCOL[typed.protocol], port: typed.port ?? 0 };
  const protocol = family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6;
  const port = typed.port ?? ECHO_REQUEST[family] << 8;
  const query = policyPort(family, protocol, port);
  if (query === port) return { protocol, port };
  const shown = formatPort(protocol, query);
  throw new UsageError(
    `${formatPort(protocol, port)} answers ${shown}.`,
    `It passes with its query: ask about ${shown}, the other way.`,
  );
}

/** `tcp`, `icmp`, `protocol 47`. */
export function formatProtocol(protocol: number): string {
  return Object.entries(PROTOCOL).find(([, number]) => number === protocol)?.[0] ?? `protocol ${protocol}`;
}

/** `443/tcp`, `8/icmp`, `protocol 47`. */
export function formatPort(protocol: number, port: number): string {
  switch (protocol) {
    case PROTOCOL.tcp:
      return `${port}/tcp`;
    case PROTOCOL.udp:
      return `${port}/udp`;
    case PROTOCOL.sctp:
      return `${port}/sctp`;
    case PROTOCOL.icmp:
    case PROTOCOL.icmpv6: {
      const code = port & 0xff;
      return `${port >> 8}${code === 0 ? "" : `.${code}`}/${protocol === PROTOCOL.icmp ? "icmp" : "icmpv6"}`;
    }
    default:
      return `protocol ${protocol}`;
  }
}
