/** What the kernel holds of one nftables table of the family `inet`. Reads only. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { findAttribute, findNested, numberAttribute, readAttributes, textAttribute, textOf } from "./attributes.ts";
import { NetlinkError, type NetlinkRequest, NetlinkSocket } from "./netlinkSocket.ts";

const SUBSYSTEM = 10 << 8;
const GET = { table: 1, chain: 4, rule: 7, set: 10, element: 13, object: 19 } as const;
const NFPROTO_INET = 1;
const OBJECT_COUNTER = 1;
const ENOENT = 2;
const NOT_FOUND = null;
/** Takes a few milliseconds. */
const RULES_AT_ONCE = 500;

const TABLE = { name: 1, handle: 4 } as const;
const CHAIN = { table: 1, handle: 2, name: 3, hook: 4 } as const;
const RULE = { table: 1, chain: 2, expressions: 4, userdata: 7 } as const;
const EXPRESSION = { name: 1, data: 2 } as const;
const SET = { table: 1, name: 2, userdata: 13 } as const;
const ELEMENTS = { table: 1, set: 2, list: 3 } as const;
const ELEMENT = { key: 1, data: 2, flags: 3, expiration: 5 } as const;
const DATA = { value: 1, verdict: 2 } as const;
const VERDICT = { code: 1, chain: 2 } as const;
const OBJECT = { table: 1, name: 2, type: 3, data: 4 } as const;
const COUNTER = { bytes: 1, packets: 2 } as const;
const INTERVAL_END = 1;
const IMMEDIATE_DATA = 2;
const LOOKUP_SET = 1;
const OBJECT_REFERENCE_NAME = 2;
const USERDATA_RULE_COMMENT = 0;
const USERDATA_SET_COMMENT = 7;
const VERDICT_NAMES: ReadonlyMap<number, string> = new Map([
  [0, "drop"],
  [1, "accept"],
  [-3, "jump"],
  [-4, "goto"],
  [-5, "return"],
]);

export interface KernelChain {
  readonly name: string;
  /** The kernel's number of the chain, which it never gives to another one of the table. */
  readonly handle: bigint;
  /** True for a chain that is registered at a hook. */
  readonly isBase: boolean;
}

export interface KernelRule {
  readonly comment: string;
  /** Names of its expressions, in order: `meta`, `cmp`, `lookup`, `objref`, `immediate`. */
  readonly expressions: readonly string[];
  /** Sets and maps that it looks into. */
  readonly lookups: readonly string[];
  /** Name of the counter that it counts for; empty when there is none. */
  readonly counter: string;
  /** `drop`, `accept`, `goto CHAIN`, `jump CHAIN`, `return`; empty when it has none of its own. */
  readonly verdict: string;
}

export interface KernelElement {
  /** In network order. */
  readonly key: Buffer;
  /** The first key that no longer belongs to the element before. */
  readonly isIntervalEnd: boolean;
  /** As in {@link KernelRule}; empty in a set. */
  readonly verdict: string;
  /** What is left of its time; `null` when it stays. */
  readonly expiresInMs: number | null;
}

export interface KernelCounter {
  readonly name: string;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export class NftablesReader {
  readonly #socket: NetlinkSocket;
  readonly #table: string;

  /** `networkNamespace` as in {@link NetlinkSocket}. */
  constructor(table: string, networkNamespace: string | null) {
    this.#table = table;
    this.#socket = new NetlinkSocket(networkNamespace);
  }

  close(): void {
    this.#socket.close();
  }

  /** The kernel's number of the table, which it never gives again; `null` when there is no such table. */
  tableHandle(): bigint | null {
    const [table] = this.#ask("GETTABLE", GET.table, textAttribute(TABLE.name, this.#table), false) ?? [];
    return table === undefined ? null : (findAttribute(table, TABLE.handle)?.readBigUInt64BE() ?? 0n);
  }

  async chains(): Promise<readonly KernelChain[]> {
    // The kernel has no filter by table for this one.
    const dumped = await this.#dumpSlowly("GETCHAIN", GET.chain, Buffer.alloc(0));
    return dumped.flatMap((chain) => {
      return textOf(findAttribute(chain, CHAIN.table)) === this.#table ? [readChain(chain)] : [];
    });
  }

  /** `null` when there is no such chain. */
  chain(name: string): KernelChain | null {
    const which = Buffer.concat([textAttribute(CHAIN.table, this.#table), textAttribute(CHAIN.name, name)]);
    const [chain] = this.#ask("GETCHAIN", GET.chain, which, false) ?? [];
    return chain === undefined ? null : readChain(chain);
  }

  /** In order; none when there is no such chain. */
  rules(chain: string): readonly KernelRule[] {
    const which = Buffer.concat([textAttribute(RULE.table, this.#table), textAttribute(RULE.chain, chain)]);
    return this.#dump("GETRULE", GET.rule, which).map(readRule);
  }

  /** Of every chain whose name starts so, by that name. */
  async rulesOfChains(prefix: string): Promise<ReadonlyMap<string, readonly KernelRule[]>> {
    const dumped = await this.#dumpSlowly("GETRULE", GET.rule, textAttribute(RULE.table, this.#table));
    const rules = new Map<string, KernelRule[]>();
    for (const [position, rule] of dumped.entries()) {
      if (position % RULES_AT_ONCE === 0) await nextTurn();
      const chain = textOf(findAttribute(rule, RULE.chain));
      if (!chain.startsWith(prefix)) continue;
      const ofChain = rules.get(chain);
      if (ofChain) ofChain.push(readRule(rule));
      else rules.set(chain, [readRule(rule)]);
    }
    return rules;
  }

  /** Names of sets and maps, those without a name in the script included. */
  sets(): readonly string[] {
    const dumped = this.#dump("GETSET", GET.set, textAttribute(SET.table, this.#table));
    return dumped.map((set) => textOf(findAttribute(set, SET.name)));
  }

  /** Comment of a set or map; empty when it has none, `null` when there is no such set. */
  setComment(name: string): string | null {
    const which = Buffer.concat([textAttribute(SET.table, this.#table), textAttribute(SET.name, name)]);
    const [set] = this.#ask("GETSET", GET.set, which, false) ?? [];
    return set === undefined ? null : readComment(findAttribute(set, SET.userdata), USERDATA_SET_COMMENT);
  }

  /** Of a set or map, in no order; none when there is no such set. Those that have expired are not among them. */
  elements(set: string): readonly KernelElement[] {
    return readElements(this.#dump("GETSETELEM", GET.element, this.#setName(set)));
  }

  /** As {@link elements}, for a large one. */
  async elementsSlowly(set: string): Promise<readonly KernelElement[]> {
    const elements: KernelElement[] = [];
    for (const message of await this.#dumpSlowly("GETSETELEM", GET.element, this.#setName(set))) {
      elements.push(...readElements([message]));
      await nextTurn();
    }
    return elements;
  }

  #setName(set: string): Buffer {
    return Buffer.concat([textAttribute(ELEMENTS.table, this.#table), textAttribute(ELEMENTS.set, set)]);
  }

  counters(): readonly KernelCounter[] {
    const which = Buffer.concat([
      textAttribute(OBJECT.table, this.#table),
      numberAttribute(OBJECT.type, OBJECT_COUNTER),
    ]);
    return this.#dump("GETOBJ", GET.object, which).map((object) => ({
      name: textOf(findAttribute(object, OBJECT.name)),
      packets: findNested(object, OBJECT.data, COUNTER.packets)?.readBigUInt64BE() ?? 0n,
      bytes: findNested(object, OBJECT.data, COUNTER.bytes)?.readBigUInt64BE() ?? 0n,
    }));
  }

  #dump(name: string, message: number, attributes: Buffer): readonly Buffer[] {
    return this.#ask(name, message, attributes, true) ?? [];
  }

  async #dumpSlowly(name: string, message: number, attributes: Buffer): Promise<readonly Buffer[]> {
    try {
      return await this.#socket.askSlowly(request(name, message, attributes, true));
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }

  #ask(name: string, message: number, attributes: Buffer, dump: boolean): readonly Buffer[] | typeof NOT_FOUND {
    try {
      return this.#socket.ask(request(name, message, attributes, dump));
    } catch (error) {
      if (isNotFound(error)) return NOT_FOUND;
      throw error;
    }
  }
}

function request(name: string, message: number, attributes: Buffer, dump: boolean): NetlinkRequest {
  return { name, type: SUBSYSTEM | message, family: NFPROTO_INET, attributes, dump };
}

function isNotFound(error: unknown): boolean {
  return error instanceof NetlinkError && error.errno === ENOENT;
}

function readChain(chain: Buffer): KernelChain {
  return {
    name: textOf(findAttribute(chain, CHAIN.name)),
    handle: findAttribute(chain, CHAIN.handle)?.readBigUInt64BE() ?? 0n,
    isBase: findAttribute(chain, CHAIN.hook) !== null,
  };
}

function readRule(rule: Buffer): KernelRule {
  const list = readAttributes(findAttribute(rule, RULE.expressions) ?? Buffer.alloc(0));
  const expressions = list.map(({ value }) => ({
    name: textOf(findAttribute(value, EXPRESSION.name)),
    data: findAttribute(value, EXPRESSION.data) ?? Buffer.alloc(0),
  }));
  const verdicts = expressions.flatMap(({ name, data }) => {
    const verdict = name === "immediate" ? findNested(data, IMMEDIATE_DATA, DATA.verdict) : null;
    return verdict === null ? [] : [readVerdict(verdict)];
  });
  const counter = expressions.find(({ name }) => name === "objref")?.data;
  const lookups = expressions.filter(({ name }) => name === "lookup");
  return {
    comment: readComment(findAttribute(rule, RULE.userdata), USERDATA_RULE_COMMENT),
    expressions: expressions.map(({ name }) => name),
    lookups: lookups.map(({ data }) => textOf(findAttribute(data, LOOKUP_SET))),
    counter: counter === undefined ? "" : textOf(findAttribute(counter, OBJECT_REFERENCE_NAME)),
    verdict: verdicts.at(-1) ?? "",
  };
}

function readVerdict(verdict: Buffer): string {
  const code = findAttribute(verdict, VERDICT.code)?.readInt32BE();
  const name = VERDICT_NAMES.get(code ?? Number.NaN) ?? `verdict ${code}`;
  const chain = textOf(findAttribute(verdict, VERDICT.chain));
  return chain === "" ? name : `${name} ${chain}`;
}

/** Entries of one byte of type, one of length, and their value. */
function readComment(userdata: Buffer | null, commentType: number): string {
  for (let start = 0; userdata !== null && start + 2 <= userdata.length; ) {
    const [type = 0, length = 0] = userdata.subarray(start, start + 2);
    if (type === commentType) return textOf(userdata.subarray(start + 2, start + 2 + length));
    start += 2 + length;
  }
  return "";
}

function readElements(messages: readonly Buffer[]): readonly KernelElement[] {
  const lists = messages.map((message) => findAttribute(message, ELEMENTS.list));
  return lists.flatMap((list) => (list === null ? [] : readAttributes(list).map(({ value }) => readElement(value))));
}

function readElement(element: Buffer): KernelElement {
  const verdict = findNested(element, ELEMENT.data, DATA.verdict);
  const flags = findAttribute(element, ELEMENT.flags)?.readUInt32BE() ?? 0;
  const expiration = findAttribute(element, ELEMENT.expiration)?.readBigUInt64BE();
  return {
    key: findNested(element, ELEMENT.key, DATA.value) ?? Buffer.alloc(0),
    isIntervalEnd: (flags & INTERVAL_END) !== 0,
    verdict: verdict === null ? "" : readVerdict(verdict),
    expiresInMs: expiration === undefined ? null : Number(expiration),
  };
}
