/** Ports as people say them: `5432`, `udp 53`, `443/tcp`, `ssh`, `8000-8010`, `icmp`, `port http`. */
import type { PortMatch, SourceRange } from "../model.ts";
import { PROTOCOL } from "../model.ts";
import type { Token } from "./lexer.ts";
import type { AskPorts } from "./question.ts";

const NOWHERE: SourceRange = { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 };
const HIGHEST_PORT = 0xffff;

const PROTOCOL_WORDS: ReadonlyMap<string, number> = new Map([
  ["tcp", 6],
  ["udp", 17],
  ["sctp", 132],
  ["icmp", 1],
  ["icmpv6", 58],
  ["icmp6", 58],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["ospf", 89],
  ["igmp", 2],
]);

/** Names that everybody knows (IANA), beside those that the inventory declares. */
const WELL_KNOWN: ReadonlyMap<string, readonly (readonly [protocol: number, port: number])[]> = new Map([
  ["ssh", [[6, 22]]],
  ["telnet", [[6, 23]]],
  ["smtp", [[6, 25]]],
  [
    "dns",
    [
      [17, 53],
      [6, 53],
    ],
  ],
  ["http", [[6, 80]]],
  ["https", [[6, 443]]],
  ["ntp", [[17, 123]]],
  ["ldap", [[6, 389]]],
  ["ldaps", [[6, 636]]],
  ["snmp", [[17, 161]]],
  ["syslog", [[17, 514]]],
  ["smb", [[6, 445]]],
  ["nfs", [[6, 2049]]],
  ["rdp", [[6, 3389]]],
  ["mysql", [[6, 3306]]],
  ["postgres", [[6, 5432]]],
  ["postgresql", [[6, 5432]]],
  ["redis", [[6, 6379]]],
  ["etcd", [[6, 2379]]],
  ["mongodb", [[6, 27_017]]],
  ["kafka", [[6, 9092]]],
  ["prometheus", [[6, 9090]]],
]);

export const PORT_WORDS: readonly string[] = [...WELL_KNOWN.keys(), ...PROTOCOL_WORDS.keys(), "ping"];
const PREPOSITIONS = new Set(["on", "over", "via", "through", "using", "at", "with", "for"]);
const FILLERS = new Set(["port", "ports", "protocol", "service", "the", "a", "any"]);

export interface NamedPorts {
  /** Protocols and numbers under that name in the inventory; empty = nobody has it. */
  ports(name: string): readonly { readonly protocol: number; readonly port: number }[];
}

export type ReadPorts =
  | { readonly kind: "ports"; readonly ports: AskPorts | null }
  /** `choices` are ports that read as one thing. */
  | { readonly kind: "ambiguous"; readonly token: Token; readonly choices: readonly PortChoice[] }
  | { readonly kind: "wrong"; readonly token: Token; readonly message: string; readonly word: string | null };

export interface PortChoice {
  readonly text: string;
  readonly meaning: string;
}

/** Whether ports begin with this word: only ports stand behind these. */
export function beginsPorts(token: Token | undefined): boolean {
  if (!token) return false;
  return (
    PREPOSITIONS.has(token.lower) || token.lower === "port" || token.lower === "ports" || looksLikePort(token.lower)
  );
}

function looksLikePort(lower: string): boolean {
  return (
    /^\d{1,5}([-–]\d{1,5})?(\/[a-z]\w*)?$/.test(lower) ||
    /^[a-z]\w{1,6}\/\d{1,5}([-–]\d{1,5})?$/.test(lower) ||
    PROTOCOL_WORDS.has(lower) ||
    WELL_KNOWN.has(lower)
  );
}

interface Item {
  readonly matches: readonly PortMatch[];
  readonly text: string;
}

/** Never throws. `null` ports = every port and protocol (`any port`). */
export function readPorts(tokens: readonly Token[], names: NamedPorts): ReadPorts {
  const words = tokens.filter(({ lower }, index) => !(index === 0 && PREPOSITIONS.has(lower)));
  const [first] = words;
  const fallback = first ?? tokens[0];
  if (!fallback) throw new Error("ports are read from words");
  if (!first) return wrong(fallback, "Say a port behind it.");
  if (words.length === 2 && /^(any|every|all)$/.test(first.lower) && /^ports?$/.test(words[1]?.lower ?? "")) {
    return { kind: "ports", ports: null };
  }
  const items: Item[] = [];
  for (const group of splitItems(words)) {
    const read = readItem(group, names);
    if ("kind" in read) return read;
    items.push(read);
  }
  if (items.length === 0) return wrong(fallback, "Say a port behind it.");
  const byText = new Map(items.map((item) => [item.text, item]));
  const all = [...byText.values()];
  return {
    kind: "ports",
    ports: { text: all.map(({ text }) => text).join(", "), matches: all.flatMap(({ matches }) => matches) },
  };
}

function wrong(token: Token, message: string, word: string | null = null): ReadPorts & { kind: "wrong" } {
  return { kind: "wrong", token, message, word };
}

/** At commas, `and` and `or`. */
function splitItems(words: readonly Token[]): readonly (readonly Token[])[] {
  const groups: Token[][] = [[]];
  for (const word of words) {
    if (word.lower === "," || word.lower === "and" || word.lower === "or") groups.push([]);
    else if (word.lower.includes(",") && !word.lower.startsWith(",")) {
      for (const [index, part] of word.text.split(",").entries()) {
        if (index > 0) groups.push([]);
        if (part !== "") groups.at(-1)?.push({ ...word, text: part, lower: part.toLowerCase() });
      }
    } else groups.at(-1)?.push(word);
  }
  return groups.filter((group) => group.length > 0);
}

function readItem(words: readonly Token[], names: NamedPorts): Item | Exclude<ReadPorts, { kind: "ports" }> {
  const told = words.filter(({ lower }) => !FILLERS.has(lower));
  const isNamed = words.some(({ lower }) => lower === "port" || lower === "ports");
  const [first, second, third] = told;
  if (!first) return wrong(words[0] as Token, "Say which port.");
  if (told.length > 3 || (third && second?.lower !== "to")) {
    return wrong(second ?? first, "These are no ports. Say them as 5432, udp 53, 8000-8010/tcp or ssh.");
  }
  if (third) return range(first, `${first.lower}-${third.lower}`, null);
  const slashed = /^([^/]+)\/([^/]+)$/.exec(first.lower);
  if (slashed && !second) {
    const [, left = "", right = ""] = slashed;
    return PROTOCOL_WORDS.has(left) ? withProtocol(first, left, right, names) : withProtocol(first, right, left, names);
  }
  if (second) {
    if (PROTOCOL_WORDS.has(first.lower)) return withProtocol(second, first.lower, second.lower, names);
    if (PROTOCOL_WORDS.has(second.lower)) return withProtocol(first, second.lower, first.lower, names);
    return wrong(second, `"${second.text}" is not a protocol.`, second.lower);
  }
  return readWord(first, isNamed, names);
}

function readWord(token: Token, isNamed: boolean, names: NamedPorts): Item | Exclude<ReadPorts, { kind: "ports" }> {
  const { lower } = token;
  if (lower === "ping")
    return item(
      [8, 8]
        .map((type) => type << 8)
        .slice(0, 1)
        .flatMap((low) => [
          rangeMatch(PROTOCOL.icmp, low, low | 0xff),
          rangeMatch(PROTOCOL.icmpv6, 128 << 8, (128 << 8) | 0xff),
        ]),
      "ping",
    );
  const protocol = PROTOCOL_WORDS.get(lower);
  if (protocol !== undefined && !isNamed)
    return item([rangeMatch(protocol, 0, HIGHEST_PORT)], canonicalProtocol(protocol));
  if (/^\d/.test(lower)) return range(token, lower, null);
  return readName(token, null, names);
}

function withProtocol(token: Token, protocolWord: string, rest: string, names: NamedPorts) {
  const protocol = PROTOCOL_WORDS.get(protocolWord);
  if (protocol === undefined) return wrong(token, `"${protocolWord}" is not a protocol.`, protocolWord);
  if (/^\d/.test(rest)) return range(token, rest, protocol);
  if (rest === "any" || rest === "*") return item([rangeMatch(protocol, 0, HIGHEST_PORT)], canonicalProtocol(protocol));
  return readName({ ...token, lower: rest, text: rest }, protocol, names);
}

/** A number without a protocol is TCP, as in policies. */
function range(token: Token, text: string, given: number | null): Item | Exclude<ReadPorts, { kind: "ports" }> {
  const bounds = /^(\d{1,6})(?:[-–](\d{1,6}))?$/.exec(text);
  const low = Number(bounds?.[1] ?? Number.NaN);
  const high = Number(bounds?.[2] ?? bounds?.[1] ?? Number.NaN);
  if (!bounds || low > HIGHEST_PORT || high > HIGHEST_PORT)
    return wrong(token, `"${token.text}" is not a port: they go from 0 to 65535.`);
  if (low > high) return wrong(token, `${low}-${high} is no range: it ends before it begins.`);
  const protocol = given ?? PROTOCOL.tcp;
  if (![6, 17, 132].includes(protocol)) return wrong(token, `${canonicalProtocol(protocol)} has no ports.`);
  const ports = low === high ? String(low) : `${low}-${high}`;
  return item([rangeMatch(protocol, low, high)], `${ports}/${canonicalProtocol(protocol)}`);
}

/** A name means what the inventory says at each destination, and what everybody knows; where these differ, both are offered. */
function readName(
  token: Token,
  protocol: number | null,
  names: NamedPorts,
): Item | Exclude<ReadPorts, { kind: "ports" }> {
  const fitting = (one: number): boolean => protocol === null || protocol === one;
  const name = token.lower.replace(/^name:/, "");
  const known = token.lower.startsWith("name:") ? [] : (WELL_KNOWN.get(name) ?? []).filter(([one]) => fitting(one));
  const declared = names.ports(name).filter((one) => fitting(one.protocol));
  const texts = (list: readonly string[]): string => [...new Set(list)].join(", ");
  const knownText = texts(known.map(([one, port]) => `${port}/${canonicalProtocol(one)}`));
  const declaredText = texts(declared.map((one) => `${one.port}/${canonicalProtocol(one.protocol)}`));
  const isSame = declared.every((one) => known.some(([each, port]) => each === one.protocol && port === one.port));
  if (known.length > 0 && isSame) {
    return item(
      known.map(([one, port]) => rangeMatch(one, port, port)),
      knownText,
    );
  }
  if (declared.length === 0) {
    return wrong(token, `No port is called "${token.text}".`, name);
  }
  if (known.length === 0) {
    const protocols = [...new Set(declared.map((one) => one.protocol))];
    const matches = protocols.map((one): PortMatch => ({ kind: "named", protocol: one, name, source: NOWHERE }));
    const suffix = protocol === null ? "" : `/${canonicalProtocol(protocol)}`;
    return item(matches, `name:${name}${suffix}`);
  }
  const suffix = protocol === null ? "" : `/${canonicalProtocol(protocol)}`;
  return {
    kind: "ambiguous",
    token,
    choices: [
      { text: knownText, meaning: `what ${name} usually is` },
      { text: `name:${name}${suffix}`, meaning: `the port that the inventory calls ${name}: ${declaredText}` },
    ],
  };
}

function item(matches: readonly PortMatch[], text: string): Item {
  return { matches, text };
}

function rangeMatch(protocol: number, low: number, high: number): PortMatch {
  return { kind: "range", protocol, low, high, source: NOWHERE };
}

function canonicalProtocol(protocol: number): string {
  for (const [word, number] of PROTOCOL_WORDS) if (number === protocol) return word;
  return String(protocol);
}
