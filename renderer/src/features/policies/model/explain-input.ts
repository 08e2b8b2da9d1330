/** What a person types as a port: `443`, `443/tcp`, `53/udp`, `icmp`, `icmp/8`, `icmpv6/128/0`. */
export interface ProtocolPort {
  readonly protocol: number;
  /** `type << 8 | code` for ICMP. */
  readonly port: number;
}

const PROTOCOLS: Record<string, number> = { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmpv6: 58 };

/** Returns null when the text is none of the forms. */
export function parseProtocolPort(text: string): ProtocolPort | null {
  const parts = text.trim().toLowerCase().split("/");
  const [first = "", second, third] = parts;
  if (parts.length > 3) return null;
  const icmp = first === "icmp" || first === "icmpv6" ? PROTOCOLS[first] : undefined;
  if (icmp !== undefined) {
    const echo = icmp === 1 ? 8 : 128;
    const type = second === undefined ? echo : wholeNumber(second, 255);
    const code = third === undefined ? 0 : wholeNumber(third, 255);
    return type === null || code === null ? null : { protocol: icmp, port: (type << 8) | code };
  }
  const port = wholeNumber(first, 65_535);
  const protocol = PROTOCOLS[second ?? "tcp"];
  if (port === null || port === 0 || protocol === undefined || third !== undefined) return null;
  return protocol === 1 || protocol === 58 ? null : { protocol, port };
}

function wholeNumber(text: string, largest: number): number | null {
  if (!/^\d{1,5}$/.test(text)) return null;
  const value = Number(text);
  return value <= largest ? value : null;
}
