/**
 * What a query says of the ends, names and processes of a flow, decided for each series of a partition. Texts and addresses
 * are looked up in the dictionary first: a text that a partition never saw costs one look, samples are never compared with
 * texts, and a series costs a nanosecond for each of its columns that is asked about.
 */
import type { QueryField, QueryNode } from "@wardline/domain/flows";
import { foldCase, matchesPattern } from "@wardline/domain/flows/reference";
import { addressRange } from "./address-range.ts";
import type { SeriesColumn } from "./layout.ts";
import type { OpenFile } from "./open-file.ts";

/** What labels stand for, resolved before the query came to this thread. */
export type ResolvedLabels = Readonly<
  Record<string, { readonly subjectKeys: readonly string[]; readonly addresses: readonly string[] }>
>;

type Condition = readonly [sql: string, values: Readonly<Record<string, unknown>>];

const WIRE = { allow: 1, deny: 2, ingress: 1, egress: 2 } as const;
const DELETED = " (deleted)";
const NAMES = ["source_name", "destination_name", "observed_name"] as const;
const ALL_TEXTS = ["host", ...NAMES, "subject", "cgroup", "command", "executable", "user_name"] as const;
const MAX_LIKE_PARTS = 6;
/** Letters of either case, and wildcards. */
const IN_ADDRESSES = /^[0-9a-f.:*]*$/i;
const IN_PORTS = /^[0-9*]*$/;
const ICMP = 1;
const ICMPV6 = 58;
const MAPPED = {
  low: Buffer.from("00000000000000000000ffff00000000", "hex"),
  high: Buffer.from("00000000000000000000ffffffffffff", "hex"),
};

export class SeriesMembers {
  readonly #file: OpenFile;
  readonly #labels: ResolvedLabels;
  readonly #size: number;

  constructor(file: OpenFile, labels: ResolvedLabels) {
    this.#file = file;
    this.#labels = labels;
    this.#size = file.seriesCount + 1;
  }

  /**
   * By number of the series: 1 = it matches.
   * @param node without measures; what it says of process ids is left out: they are not of a series
   */
  of(node: QueryNode): Uint8Array {
    switch (node.kind) {
      case "all":
        return this.#none().fill(1);
      case "and":
      case "or": {
        const isAnd = node.kind === "and";
        const members = this.#none().fill(isAnd ? 1 : 0);
        for (const part of node.parts) {
          const more = this.of(part);
          if (isAnd) for (let id = 0; id < members.length; id++) members[id]! &= more[id]!;
          else for (let id = 0; id < members.length; id++) members[id]! |= more[id]!;
        }
        return members;
      }
      case "not": {
        const members = this.of(node.part);
        for (let id = 0; id < members.length; id++) members[id]! ^= 1;
        return members;
      }
      case "field": {
        const members = this.#none();
        for (const value of node.values) this.#add(members, node.field, value);
        return members;
      }
      case "measure":
        throw new TypeError("A measure is not of a series.");
    }
  }

  #none(): Uint8Array {
    return new Uint8Array(this.#size);
  }

  #add(members: Uint8Array, field: QueryField, value: string): void {
    switch (field) {
      case "host":
        this.#addTexts(members, ["host"], this.#folded(value));
        return;
      case "name":
        this.#addTexts(members, NAMES, this.#folded(value));
        return;
      case "label":
        this.#addLabel(members, value);
        return;
      case "address":
        this.#addAddresses(members, ["source", "destination"], value);
        return;
      case "src":
        this.#addAddresses(members, ["source"], value);
        return;
      case "dst":
        this.#addAddresses(members, ["destination"], value);
        return;
      case "peer":
        this.#addPeers(members, value);
        return;
      case "port":
        this.#addPorts(members, value);
        return;
      case "protocol":
        this.#addNumber(members, "protocol", Number(value));
        return;
      case "process":
        this.#addProcess(members, value);
        return;
      case "user":
        this.#addUser(members, value);
        return;
      case "verdict":
      case "enforced":
        this.#addNumber(members, field, WIRE[value as "allow" | "deny"] ?? 0);
        return;
      case "direction":
        this.#addNumber(members, "direction", WIRE[value as "ingress" | "egress"] ?? 0);
        return;
      case "policy":
        this.#addDecisions(members, "policy_keys", (keys) => keys.split("\n").some((key) => matchesKey(value, key)));
        return;
      case "rule":
        this.#addDecisions(members, "summary", (summary) => matchesPattern(value, summary));
        return;
      case "subject":
        this.#addTexts(
          members,
          ["subject"],
          this.#matching((text) => matchesKey(value, text)),
        );
        return;
      case "cgroup": {
        const isBelow = (text: string) => matchesPattern(value, text) || matchesPattern(`${value}/*`, text);
        this.#addTexts(members, ["cgroup"], this.#matching(isBelow));
        return;
      }
      case "text":
        this.#addText(members, value);
        return;
    }
  }

  #addNumber(members: Uint8Array, name: SeriesColumn, value: number): void {
    const column = this.#file.column(name);
    for (let id = 0; id < members.length; id++) if (column[id] === value) members[id] = 1;
  }

  #addPorts(members: Uint8Array, value: string): void {
    const [first = "", last = first] = value.split("-");
    const [low, high] = [Number(first), Number(last)];
    this.#addWithPorts(members, (port) => port >= low && port <= high);
  }

  #addWithPorts(members: Uint8Array, isMatch: (port: number) => boolean): void {
    const [ports, protocols] = [this.#file.column("port"), this.#file.column("protocol")];
    for (let id = 0; id < members.length; id++) {
      const protocol = protocols[id]!;
      if (protocol !== ICMP && protocol !== ICMPV6 && isMatch(ports[id]!)) members[id] = 1;
    }
  }

  #addProcess(members: Uint8Array, value: string): void {
    if (value.includes("/")) {
      const isPath = (text: string) => matchesPattern(value, withoutDeleted(text));
      this.#addTexts(members, ["executable"], this.#matching(isPath));
      return;
    }
    const isFile = (text: string) => {
      const path = withoutDeleted(text);
      return matchesPattern(value, path.slice(path.lastIndexOf("/") + 1));
    };
    this.#addTexts(members, ["command"], this.#exact(value));
    this.#addTexts(members, ["executable"], this.#matching(isFile));
  }

  #addUser(members: Uint8Array, value: string): void {
    this.#addTexts(members, ["user_name"], this.#folded(value));
    if (!/^\d{1,10}$/.test(value) || String(Number(value)) !== value) return;
    const [ids, isKnown] = [this.#file.column("user_id"), this.#file.column("is_known_process")];
    const user = Number(value);
    for (let id = 0; id < members.length; id++) if (isKnown[id] === 1 && ids[id] === user) members[id] = 1;
  }

  #addLabel(members: Uint8Array, label: string): void {
    const { subjectKeys, addresses } = this.#labels[label] ?? { subjectKeys: [], addresses: [] };
    const list = (texts: readonly string[]) => ({ list: JSON.stringify(texts) });
    const inList = "(SELECT value FROM json_each(@list))";
    this.#addTexts(members, ["subject"], [`text COLLATE NOCASE IN ${inList} AND text IN ${inList}`, list(subjectKeys)]);
    const ends = this.#ids("addresses", [`text IN ${inList}`, list(addresses)]);
    this.#addIn(members, ["source", "destination"], ends);
  }

  #addText(members: Uint8Array, value: string): void {
    const pattern = `*${foldCase(value)}*`;
    const isMatch = (text: string) => matchesPattern(pattern, foldCase(text));
    this.#addTexts(members, ALL_TEXTS, this.#like(pattern));
    this.#addDecisions(members, "summary", isMatch);
    this.#addDecisions(members, "policy_keys", (keys) => keys.split("\n").some(isMatch));
    // A partition may have hundreds of thousands of both: they are asked only for what they can hold.
    if (IN_ADDRESSES.test(value)) {
      this.#addIn(members, ["source", "destination"], this.#ids("addresses", this.#like(pattern)));
    }
    if (IN_PORTS.test(value)) {
      const known = new Map<number, boolean>();
      this.#addWithPorts(members, (port) => {
        const isKnown = known.get(port) ?? isMatch(String(port));
        known.set(port, isKnown);
        return isKnown;
      });
    }
  }

  #addDecisions(members: Uint8Array, column: "policy_keys" | "summary", matcher: (text: string) => boolean): void {
    const condition = `${column} <> '' AND matches(${this.#file.matchers.push(matcher) - 1}, ${column})`;
    this.#addIn(members, ["decision"], this.#ids("decisions", [condition, {}]));
  }

  #addPeers(members: Uint8Array, value: string): void {
    const ids = this.#ids("addresses", within(value));
    if (!ids) return;
    const [directions, sources] = [this.#file.column("direction"), this.#file.column("source")];
    const destinations = this.#file.column("destination");
    for (let id = 0; id < members.length; id++) {
      if (ids[directions[id] === 1 ? sources[id]! : destinations[id]!] === 1) members[id] = 1;
    }
  }

  #addAddresses(members: Uint8Array, columns: readonly SeriesColumn[], value: string): void {
    this.#addIn(members, columns, this.#ids("addresses", within(value)));
  }

  #addTexts(members: Uint8Array, columns: readonly SeriesColumn[], condition: Condition): void {
    this.#addIn(members, columns, this.#ids("texts", condition));
  }

  #addIn(members: Uint8Array, columns: readonly SeriesColumn[], ids: Uint8Array | null): void {
    if (!ids) return;
    for (const name of columns) {
      const column = this.#file.column(name);
      for (let id = 0; id < members.length; id++) if (ids[column[id]!] === 1) members[id] = 1;
    }
  }

  /** By number in the dictionary; `null` when there are none. */
  #ids(table: "texts" | "addresses" | "decisions", [condition, values]: Condition): Uint8Array | null {
    let ids: Uint8Array | null = null;
    for (const id of this.#file.select(`SELECT id FROM ${table} WHERE ${condition}`, values)) {
      ids ??= new Uint8Array(this.#most(table) + 1);
      ids[id] = 1;
    }
    return ids;
  }

  #most(table: string): number {
    return this.#file.get<{ most: number }>(`SELECT coalesce(max(id), 0) AS most FROM ${table}`)?.most ?? 0;
  }

  /**
   * Texts that a folded pattern matches whole, letters of either case. LIKE folds ASCII alone, as {@link foldCase} does, and is
   * many times faster than a call; patterns of many parts could keep it busy.
   */
  #like(pattern: string): Condition {
    const parts = pattern.split("*");
    if (parts.length > MAX_LIKE_PARTS || pattern.includes("\0")) {
      return this.#matching((text) => matchesPattern(pattern, foldCase(text)));
    }
    const like = parts.map((part) => part.replace(/[\\%_]/g, "\\$&")).join("%");
    return ["text LIKE @like ESCAPE '\\'", { like }];
  }

  /** Letters of either case. */
  #folded(pattern: string): Condition {
    if (!pattern.includes("*")) return ["text = @value COLLATE NOCASE", { value: pattern }];
    return this.#like(foldCase(pattern));
  }

  #exact(pattern: string): Condition {
    if (pattern.includes("*")) return this.#matching((text) => matchesPattern(pattern, text));
    // The index is without case.
    return ["text = @value COLLATE NOCASE AND text = @value", { value: pattern }];
  }

  #matching(matcher: (text: string) => boolean): Condition {
    return [`matches(${this.#file.matchers.push(matcher) - 1}, text)`, {}];
  }
}

function within(value: string): Condition {
  const range = addressRange(value);
  if (!range) return ["0", {}];
  const { low, high, isIpv4, isPrefix } = range;
  const between = "key BETWEEN @low AND @high";
  if (!isPrefix) return [`${between} AND text = @value`, { low, high, value }];
  if (isIpv4) return [between, { low, high }];
  // IPv4 is kept in its mapped form, which no IPv6 network means.
  const mapped = { mappedLow: MAPPED.low, mappedHigh: MAPPED.high };
  return [`${between} AND key NOT BETWEEN @mappedLow AND @mappedHigh`, { low, high, ...mapped }];
}

function withoutDeleted(path: string): string {
  return path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
}

/** A key, or its last parts. */
function matchesKey(value: string, key: string): boolean {
  return matchesPattern(value, key) || matchesPattern(`*/${value}`, key);
}
