/**
 * Units: the sets of remote addresses that rules speak of, each numbered once however many rules name it. What decides a
 * packet is only which units its remote address is in; that list is the address's signature.
 */
import { bytesToHex } from "@noble/hashes/utils.js";
import { cidrContains, cidrOfAddress, parseAddress, WHOLE_FAMILIES } from "../address.ts";
import { peerMeaning } from "../decision.ts";
import { hostEndpoint } from "../endpoints.ts";
import type { Cidr, EndpointSelector, Entity, Inventory, Peer, ProtocolNumber } from "../model.ts";
import { domainNameMatches, meshPrefix } from "../named-peers.ts";
import { ListInterner } from "./interner.ts";
import { type EndpointIndex, type SelectableEndpoint, selectorKey } from "./selection.ts";

/** Unit of rules without peers; every address is in it and no signature lists it. */
export const ANY_ADDRESS = -1;

const NOTHING: readonly number[] = [];

/** A prefix that some rule names. Addresses in it and in no longer one are in the units of `signature`. */
export interface NamedPrefix {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
  /** Nearest enclosing named prefix, or `null`. */
  readonly parent: NamedPrefix | null;
  /** Sorted unit numbers. Equal signatures of one answer are one array, so that they can be told apart by identity. */
  readonly signature: readonly number[];
}

/** One port number that a name stands for, and the addresses of those that mean it. */
export interface NamedPortUnit {
  readonly unit: number;
  readonly port: number;
}

export interface UnitTable {
  /** `hostName`: the host that the entity `host` stands for, when it is not the one of the table. */
  forPeer(peer: Peer, hostName?: string | null): number;
  /**
   * One unit for each port number that a name stands for at the endpoints of a selector (`null` = at any endpoint):
   * the addresses of those that mean this number.
   */
  forNamedPort(selector: EndpointSelector | null, protocol: ProtocolNumber, name: string): readonly NamedPortUnit[];
  /** How many prefixes are named so far. */
  prefixCount(): number;
  /** Sorted by family, address and length, so that a prefix comes after those that enclose it. */
  prefixes(): readonly NamedPrefix[];
  /** The same for what these units name alone. Asked again about the same units, the answer is the same object. */
  prefixesOf(units: Iterable<number>): readonly NamedPrefix[];
}

/** Numbers of prefixes, some perhaps twice. An address in a prefix of `adds` is in the unit, unless a longer prefix of `removes` has it. */
interface UnitContent {
  readonly adds: number[];
  readonly removes: number[];
}

/** `hostName`: the host whose addresses the entity `host` stands for, unless another is asked about. */
export function createUnitTable(inventory: Inventory, index: EndpointIndex, hostName: string | null): UnitTable {
  const prefixes = new PrefixTable();
  const contents: UnitContent[] = [];
  const units = new Map<string, number>();
  const namedPorts = new Map<string, readonly NamedPortUnit[]>();
  let last: { readonly units: Int32Array; readonly prefixes: readonly NamedPrefix[] } | null = null;

  const unitOf = (meaning: string, fill: (content: UnitContent) => void): number => {
    const known = units.get(meaning);
    if (known !== undefined) return known;
    const unit = contents.length;
    units.set(meaning, unit);
    const content: UnitContent = { adds: [], removes: [] };
    contents.push(content);
    fill(content);
    return unit;
  };
  const fillEntity = (content: UnitContent, entity: Entity, host: string | null): void => {
    const { adds, removes } = content;
    if (entity === "cluster") addEndpoints(adds, index.all);
    else if (entity === "mesh") adds.push(prefixes.numberOf(meshPrefix()));
    else if (entity === "host") {
      if (host !== null) addTexts(adds, hostEndpoint(inventory, host).addresses);
    } else {
      for (const whole of WHOLE_FAMILIES) adds.push(prefixes.numberOf(whole));
      removes.push(prefixes.numberOf(meshPrefix()));
      addEndpoints(removes, index.all);
    }
  };
  const addEndpoints = (into: number[], endpoints: readonly SelectableEndpoint[]): void => {
    for (const endpoint of endpoints) for (const prefix of prefixes.ofEndpoint(endpoint)) into.push(prefix);
  };
  const addTexts = (into: number[], texts: readonly string[]): void => {
    for (const text of texts) {
      const address = parseAddress(text);
      if (address.ok) into.push(prefixes.numberOf(cidrOfAddress(address)));
    }
  };
  const fillPeer = (content: UnitContent, peer: Exclude<Peer, { kind: "endpoints" }>, host: string | null): void => {
    const { adds, removes } = content;
    if (peer.kind === "entity") fillEntity(content, peer.entity, host);
    else if (peer.kind === "addresses") {
      adds.push(prefixes.numberOf(peer.cidr));
      for (const except of peer.except) removes.push(prefixes.numberOf(except));
    } else {
      for (const [name, addresses] of inventory.domainAddresses) {
        if (peer.names.some((pattern) => domainNameMatches(pattern, name))) addTexts(adds, addresses);
      }
    }
  };
  const findNamedPorts = (selector: EndpointSelector | null, protocol: ProtocolNumber, name: string, who: string) => {
    const byPort = new Map<number, SelectableEndpoint[]>();
    for (const item of selector === null ? index.all : index.select(selector)) {
      for (const named of item.endpoint.ports) {
        if (named.name !== name || named.protocol !== protocol) continue;
        const having = byPort.get(named.port);
        if (having) having.push(item);
        else byPort.set(named.port, [item]);
      }
    }
    return [...byPort].map(([port, endpoints]) => ({
      port,
      unit: unitOf(`named ${protocol} ${name} ${port} ${who}`, ({ adds }) => addEndpoints(adds, endpoints)),
    }));
  };

  return {
    forPeer(peer, host = hostName) {
      if (peer.kind === "entity" && peer.entity === "host") {
        return unitOf(`host ${host ?? ""}`, (content) => fillPeer(content, peer, host));
      }
      if (peer.kind === "endpoints") {
        const key = selectorKey(peer.selector);
        return unitOf(`endpoints ${key}`, ({ adds }) => addEndpoints(adds, index.select(peer.selector, key)));
      }
      return unitOf(peerMeaning(peer), (content) => fillPeer(content, peer, host));
    },
    forNamedPort(selector, protocol, name) {
      const who = selector === null ? "any" : selectorKey(selector);
      const key = `${protocol} ${name} ${who}`;
      const known = namedPorts.get(key) ?? findNamedPorts(selector, protocol, name, who);
      namedPorts.set(key, known);
      return known;
    },
    prefixCount: () => prefixes.count,
    prefixes: () => withSignatures(prefixes, contents, Int32Array.from(contents.keys())),
    prefixesOf(wanted) {
      const sorted = Int32Array.from(wanted).sort();
      const isSame = last?.units.length === sorted.length && sorted.every((unit, index) => unit === last?.units[index]);
      if (last === null || !isSame) last = { units: sorted, prefixes: withSignatures(prefixes, contents, sorted) };
      return last.prefixes;
    },
  };
}

/** Prefixes by number, each with a key in whose order a prefix follows those that enclose it. */
class PrefixTable {
  readonly #cidrs: Cidr[] = [];
  readonly #keys: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #ofEndpoint = new Map<SelectableEndpoint, readonly number[]>();

  get count(): number {
    return this.#cidrs.length;
  }

  numberOf(prefix: Cidr): number {
    const key = `${prefix.family}${bytesToHex(prefix.bytes)}${String(prefix.prefixLength).padStart(3, "0")}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#cidrs.length;
      this.#numbers.set(key, number);
      this.#cidrs.push(prefix);
      this.#keys.push(key);
    }
    return number;
  }

  ofEndpoint(endpoint: SelectableEndpoint): readonly number[] {
    let numbers = this.#ofEndpoint.get(endpoint);
    if (numbers === undefined) {
      numbers = endpoint.addresses.map((address) => this.numberOf(cidrOfAddress(address)));
      this.#ofEndpoint.set(endpoint, numbers);
    }
    return numbers;
  }

  cidr(number: number): Cidr {
    const cidr = this.#cidrs[number];
    if (!cidr) throw new Error(`there is no prefix ${number}`);
    return cidr;
  }

  sorted(numbers: readonly number[]): readonly number[] {
    const keys = numbers.map((number) => this.#keys[number] ?? "").sort();
    return keys.map((key) => this.#numbers.get(key) ?? 0);
  }
}

/** What some units say of one prefix, as sorted unit numbers. */
interface PrefixNode {
  readonly adds: number[];
  readonly removes: number[];
}

function withSignatures(
  prefixes: PrefixTable,
  contents: readonly UnitContent[],
  units: Int32Array,
): readonly NamedPrefix[] {
  const named: number[] = [];
  const nodes = new Array<PrefixNode | undefined>(prefixes.count);
  const nodeOf = (prefix: number): PrefixNode => {
    let node = nodes[prefix];
    if (node === undefined) {
      node = { adds: [], removes: [] };
      nodes[prefix] = node;
      named.push(prefix);
    }
    return node;
  };
  for (const unit of units) {
    const content = contents[unit];
    if (!content) throw new Error(`there is no unit ${unit}`);
    for (const prefix of content.adds) appendOnce(nodeOf(prefix).adds, unit);
    for (const prefix of content.removes) appendOnce(nodeOf(prefix).removes, unit);
  }

  const signatures = new ListInterner();
  const shared = (signature: readonly number[]) => signatures.lists[signatures.intern(signature)] ?? signature;
  const enclosing: NamedPrefix[] = [];
  return prefixes.sorted(named).map((number): NamedPrefix => {
    const cidr = prefixes.cidr(number);
    let parent = enclosing.at(-1) ?? null;
    while (parent !== null && !cidrContains(parent, cidr)) {
      enclosing.pop();
      parent = enclosing.at(-1) ?? null;
    }
    const signature = shared(signatureOf(nodeOf(number), parent?.signature ?? NOTHING));
    const { family, bytes, prefixLength } = cidr;
    const prefix = { family, bytes, prefixLength, parent, signature };
    enclosing.push(prefix);
    return prefix;
  });
}

/** Units come in ascending order, so that a repeated one was the last. */
function appendOnce(units: number[], unit: number): void {
  if (units[units.length - 1] !== unit) units.push(unit);
}

/** A unit that both adds and removes the very prefix does not have it. */
function signatureOf({ adds, removes }: PrefixNode, inherited: readonly number[]): readonly number[] {
  if (inherited.length === 0 && removes.length === 0) return adds;
  const inside = new Set(inherited);
  for (const unit of adds) inside.add(unit);
  for (const unit of removes) inside.delete(unit);
  return [...inside].sort((left, right) => left - right);
}
