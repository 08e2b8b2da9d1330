const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58, sctp: 132 };

export interface AskedPort {
  readonly protocol?: number;
  readonly port?: number;
}

/** `443`, `443/tcp`, `udp`; `null` while it is none of these. */
export function parsePortText(text: string): AskedPort | null {
  const match = /^\s*(\d{1,5})?\s*(?:\/?\s*([a-z]+\d?))?\s*$/i.exec(text);
  if (!match) return null;
  const [, number, name] = match;
  const protocol = name === undefined ? undefined : PROTOCOLS[name.toLowerCase()];
  if (name !== undefined && protocol === undefined) return null;
  const port = number === undefined ? undefined : Number(number);
  if (port !== undefined && port > 65_535) return null;
  if (port === undefined && protocol === undefined) return null;
  return { ...(protocol === undefined ? {} : { protocol }), ...(port === undefined ? {} : { port }) };
}
