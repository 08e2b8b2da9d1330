/**
 * A strict reader for the part of the pf.conf grammar (pf.conf(5), BNF at its end) that anchors of ours use. Anything
 * else is an error: a text that leaves this part would have to be proved on a Mac first. The agent reads its own texts
 * with it, to tell which connections a text no longer allows.
 */
import { parseCidr } from "../address.ts";
import { type PfTable, type PfTableEntry, pfTable } from "./pf-table.ts";

export interface PfRule {
  readonly action: "pass" | "block";
  /** `null` = both. */
  readonly direction: "in" | "out" | null;
  readonly log: boolean;
  readonly interfaceName: string | null;
  readonly family: 4 | 6 | null;
  /** `null` = every protocol. */
  readonly protocol: number | null;
  /** Name of a table, or `null` = any. */
  readonly from: string | null;
  readonly to: string | null;
  /** Destination ports; `null` = any. */
  readonly ports: readonly (readonly [low: number, high: number])[] | null;
  readonly icmpTypes: readonly (readonly [type: number, code: number | null])[] | null;
  readonly onlyFragments: boolean;
  readonly keepsState: boolean;
  readonly label: string;
}

export interface PfAnchor {
  readonly tables: ReadonlyMap<string, PfTable>;
  readonly rules: readonly PfRule[];
}

const PROTOCOLS = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["icmp6", 58],
]);

/** A table without entries says something by its name alone. */
const TABLE = /^table <([a-z][a-z0-9_]{0,30})> persist(?: \{ (.+) \})?$/;
const ENTRY = /^(!?)([0-9a-f.:]+\/\d{1,3})$/;
const LABEL = /^label "([a-z0-9_]{1,63})"$/;
/** A table is one line, and may name every address of a large fleet. */
const MAX_LINE_LENGTH = 1 << 26;

/** Throws with the line that leaves the grammar. */
export function parsePfAnchor(text: string): PfAnchor {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const tables = new Map<string, PfTable>();
  const rules: PfRule[] = [];
  // Statements come in this order or not at all: tables, scrub, filter rules.
  let stage: "tables" | "scrub" | "rules" = "tables";
  for (const line of text.slice(0, -1).split("\n")) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line.slice(0, 200)}`);
    };
    if (!/^[\x20-\x7e]*$/.test(line) || line.endsWith("\\") || line.length > MAX_LINE_LENGTH) fail("not a plain line");
    if (line.startsWith("#")) continue;
    const table = TABLE.exec(line);
    if (table) {
      if (stage !== "tables") fail("a table after what uses it");
      if (tables.has(table[1] ?? "")) fail("a second table of this name");
      const entries = table[2]?.split(", ") ?? [];
      tables.set(table[1] ?? "", pfTable(entries.map((entry) => parseEntry(entry) ?? fail("an entry"))));
    } else if (line === "scrub in all fragment reassemble") {
      if (stage !== "tables") fail("scrub after filter rules");
      stage = "scrub";
    } else {
      if (stage === "tables") fail("a filter rule before scrub");
      stage = "rules";
      const rule = new RuleParser(line).parse();
      for (const name of [rule.from, rule.to]) if (name !== null && !tables.has(name)) fail("an unknown table");
      rules.push(rule);
    }
  }
  return { tables, rules };
}

function parseEntry(text: string): PfTableEntry | null {
  const [, sign, prefix] = ENTRY.exec(text) ?? [];
  const parsed = parseCidr(prefix ?? "");
  if (!parsed.ok || parsed.cidr.prefixLength === 0) return null;
  return { cidr: parsed.cidr, negated: sign === "!" };
}

class RuleParser {
  readonly #line: string;
  #words: string[];

  constructor(line: string) {
    this.#line = line;
    this.#words = line.split(" ");
  }

  parse(): PfRule {
    const action = this.#oneOf("pass", "block") ?? this.#fail("no action");
    if (action === "block") this.#need("drop");
    const direction = this.#oneOf("in", "out");
    const log = this.#take("log");
    this.#need("quick");
    const interfaceName = this.#take("on") ? this.#next(/^[a-z]+\d+$/) : null;
    const familyWord = this.#oneOf("inet", "inet6");
    const family = familyWord === null ? null : familyWord === "inet" ? 4 : 6;
    const protocol = this.#take("proto") ? this.#protocol() : null;
    const { from, to } = this.#ends();
    const ports = this.#take("port") ? this.#list((word) => this.#portRange(word)) : null;
    if (ports && protocol !== 6 && protocol !== 17) this.#fail("ports apply to tcp and udp only");
    if (this.#take("flags")) {
      this.#need("any");
      if (protocol !== null && protocol !== 6) this.#fail("flags apply to tcp only");
    }
    const icmpTypes = this.#icmpTypes(protocol, family);
    const onlyFragments = this.#take("fragment");
    const keepsState = this.#state(action);
    this.#take("allow-opts");
    const [, label] = LABEL.exec(this.#words.join(" ")) ?? this.#fail("no label at the end");
    return {
      action,
      direction,
      log,
      interfaceName,
      family,
      protocol,
      from,
      to,
      ports,
      icmpTypes,
      onlyFragments,
      keepsState,
      label: label ?? "",
    };
  }

  /** A pass rule says which; a block rule keeps none. */
  #state(action: "pass" | "block"): boolean {
    const word = this.#oneOf("keep", "no");
    if ((word === null) !== (action === "block")) this.#fail("state is said for pass rules only, and always");
    if (word !== null) this.#need("state");
    return word === "keep";
  }

  #icmpTypes(protocol: number | null, family: 4 | 6 | null): PfRule["icmpTypes"] {
    const word = this.#oneOf("icmp-type", "icmp6-type");
    if (word === null) return null;
    const fits = word === "icmp-type" ? protocol === 1 && family === 4 : protocol === 58 && family === 6;
    if (!fits) this.#fail("types of another protocol");
    return this.#list((first) => {
      const type = this.#number(first, 254);
      const mayHaveCode = !this.#lastTaken.endsWith(",");
      return [type, mayHaveCode && this.#take("code") ? this.#number(this.#nextItem(), 254) : null] as const;
    });
  }

  #ends(): { readonly from: string | null; readonly to: string | null } {
    if (this.#take("all")) return { from: null, to: null };
    this.#need("from");
    const from = this.#host();
    this.#need("to");
    return { from, to: this.#host() };
  }

  #host(): string | null {
    const word = this.#next(/^(any|<[a-z0-9_]+>)$/);
    return word === "any" ? null : word.slice(1, -1);
  }

  #protocol(): number {
    const word = this.#next(/^[a-z0-9]+$/);
    const known = PROTOCOLS.get(word);
    if (known !== undefined) return known;
    const number = this.#number(word, 255);
    return number === 0 ? this.#fail("0 means every protocol") : number;
  }

  #portRange(word: string): readonly [number, number] {
    const [low = "", high = low, ...more] = word.split(":");
    if (more.length > 0) this.#fail("a range has two ends");
    const range = [this.#number(low, 65_535), this.#number(high, 65_535)] as const;
    return range[0] <= range[1] ? range : this.#fail("a range that goes down");
  }

  /** One item, or several in braces with commas between them. */
  #list<Item>(readItem: (first: string) => Item): readonly Item[] {
    if (!this.#take("{")) return [readItem(this.#nextItem())];
    const items: Item[] = [];
    for (;;) {
      items.push(readItem(this.#nextItem()));
      const previous = this.#lastTaken;
      if (this.#take("}")) {
        if (previous.endsWith(",")) this.#fail("a comma before the end");
        return items;
      }
      if (!previous.endsWith(",")) this.#fail("no comma between two items");
    }
  }

  #lastTaken = "";

  #nextItem(): string {
    return this.#next(/^\d+(:\d+)?,?$/);
  }

  #number(text: string, highest: number): number {
    const number = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : -1;
    return number >= 0 && number <= highest ? number : this.#fail(`"${text}" is not a number up to ${highest}`);
  }

  #oneOf<Word extends string>(...words: readonly Word[]): Word | null {
    return words.find((word) => this.#take(word)) ?? null;
  }

  #take(word: string): boolean {
    if (this.#words[0] !== word) return false;
    this.#words = this.#words.slice(1);
    return true;
  }

  #need(word: string): void {
    if (!this.#take(word)) this.#fail(`"${word}" is missing`);
  }

  /** The next word, without the comma behind it. */
  #next(pattern: RegExp): string {
    const [word = "", ...rest] = this.#words;
    if (!pattern.test(word)) this.#fail(`"${word}" does not belong here`);
    this.#words = rest;
    this.#lastTaken = word;
    return word.endsWith(",") ? word.slice(0, -1) : word;
  }

  #fail(why: string): never {
    throw new Error(`${why}: ${this.#line.slice(0, 300)}`);
  }
}
