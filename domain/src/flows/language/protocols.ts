/** Names of IP protocols that people write; any other is its number. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["igmp", 2],
  ["tcp", 6],
  ["udp", 17],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["icmpv6", 58],
  ["ospf", 89],
  ["sctp", 132],
  ["udplite", 136],
]);
const OTHER_WORDS: ReadonlyMap<string, number> = new Map([
  ["icmp6", 58],
  ["ipv6-icmp", 58],
]);
const NAMES: ReadonlyMap<number, string> = new Map([...NUMBERS].map(([name, number]) => [number, name]));

export const PROTOCOL_NAMES: readonly string[] = [...NUMBERS.keys()];

/** `null` = no such protocol. */
export function protocolNumber(text: string): number | null {
  const lower = text.toLowerCase();
  const named = NUMBERS.get(lower) ?? OTHER_WORDS.get(lower);
  if (named !== undefined) return named;
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : null;
}

/** `tcp`, or the number where there is no usual name. */
export function protocolName(number: number): string {
  return NAMES.get(number) ?? String(number);
}
