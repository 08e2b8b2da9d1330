/**
 * Units: the sets of remote addresses that rules speak of, each numbered once however many rules name it. What decides a
 * packet is only which units its remote address is in; that list is the address's signature.
 */
import { cidrContains, cidrOfAddress, parseAddress, WHOLE_FAMILIES } from "../address.ts";
import { peerMeaning } from "../decision.ts";
import { hostEndpoint } from "../endpoints.ts";
import type { EndpointSelector, Entity, Inventory, Peer, ProtocolNumber } from "../model.ts";
import { domainNameMatches, meshPrefix } from "../named-peers.ts";
import { withRoom } from "./growing.ts";
import { ListInterner } from "./interner.ts";
import {
  appendOnce,
  nodeIn,
  type PrefixNode,
  type PrefixSet,
  SignedPrefixes,
  signatureOf,
  type UnitContent,
} from "./prefix-set.ts";
import { PrefixTable } from "./prefix-table.ts";
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
  /** By number. For the table that follows this one, when nobody asks it any more. */
  readonly prefixTable: PrefixTable;
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
  /**
   * What these units, in ascending order, name alone, as numbers. Asked again about the same units, the answer is the same
   * object.
   */
  prefixesOf(units: Int32Array): PrefixSet;
  /** The units of a signature by its number. Equal signatures have one number, always the same. */
  signature(number: number): readonly number[];
  /** The numbers of the signatures that have any of these units in them. */
  signaturesWith(units: ReadonlySet<number>): Iterable<number>;
  /** How many units there are so far. */
  unitCount(): number;
}

/** While it is made. */
interface UnitDraft {
  readonly adds: number[];
  readonly removes: number[];
}

/**
 * `hostName`: the host whose addresses the entity `host` stands for, unless another is asked about. `room`: of a table that
 * nobody asks any more.
 */
export function createUnitTable(
  inventory: Inventory,
  index: EndpointIndex,
  hostName: string | null,
  room: PrefixTable | null = null,
): UnitTable {
  const prefixes = new PrefixTable(room);
  /** A unit of one prefix, as most are, is the number of the prefix. */
  const contents: (UnitContent | number)[] = [];
  const signed = new SignedPrefixes(prefixes, contents);
  const ofEndpoint = new Map<SelectableEndpoint, readonly number[]>();
  /** By prefix: the unit that is this prefix alone. */
  let plainUnits = new Int32Array(0);
  const units = new Map<string, number>();
  const namedPorts = new Map<string, readonly NamedPortUnit[]>();

  const unitOf = (meaning: string, fill: (content: UnitDraft) => void): number => {
    const known = units.get(meaning);
    if (known !== undefined) return known;
    const unit = contents.length;
    units.set(meaning, unit);
    const content: UnitDraft = { adds: [], removes: [] };
    contents.push(content);
    fill(content);
    return unit;
  };
  const plainUnitOf = (prefix: number): number => {
    plainUnits = withRoom(plainUnits, prefixes.count, -1);
    let unit = plainUnits[prefix] ?? -1;
    if (unit < 0) {
      unit = contents.push(prefix) - 1;
      plainUnits[prefix] = unit;
    }
    return unit;
  };
  const prefixesOfEndpoint = (endpoint: SelectableEndpoint): readonly number[] => {
    let numbers = ofEndpoint.get(endpoint);
    if (numbers === undefined) {
      numbers = endpoint.addresses.map((address) => prefixes.numberOf(cidrOfAddress(address)));
      ofEndpoint.set(endpoint, numbers);
    }
    return numbers;
  };
  const fillEntity = (content: UnitDraft, entity: Entity, host: string | null): void => {
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
    for (const endpoint of endpoints) for (const prefix of prefixesOfEndpoint(endpoint)) into.push(prefix);
  };
  const addTexts = (into: number[], texts: readonly string[]): void => {
    for (const text of texts) {
      const address = parseAddress(text);
      if (address.ok) into.push(prefixes.numberOf(cidrOfAddress(address)));
    }
  };
  const fillPeer = (content: UnitDraft, peer: Exclude<Peer, { kind: "endpoints" }>, host: string | null): void => {
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
    prefixTable: prefixes,
    forPeer(peer, host = hostName) {
      if (peer.kind === "addresses" && peer.except.length === 0) return plainUnitOf(prefixes.numberOf(peer.cidr));
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
    prefixes: () => withSignatures(prefixes, contents),
    prefixesOf: (wanted) => signed.of(wanted),
    signature: (number) => signed.signature(number),
    signaturesWith: (wanted) => signed.signaturesWith(wanted),
    unitCount: () => contents.length,
  };
}

function withSignatures(prefixes: PrefixTable, contents: readonly (UnitContent | number)[]): readonly NamedPrefix[] {
  const nodes = new Map<number, PrefixNode>();
  const isNamed = new Uint8Array(prefixes.count);
  const nodeOf = (prefix: number): PrefixNode => {
    isNamed[prefix] = 1;
    return nodeIn(nodes, prefix);
  };
  for (const [unit, content] of contents.entries()) {
    const { adds, removes } = typeof content === "number" ? { adds: [content], removes: NOTHING } : content;
    for (const prefix of adds) appendOnce(nodeOf(prefix).adds, unit);
    for (const prefix of removes) appendOnce(nodeOf(prefix).removes, unit);
  }

  const signatures = new ListInterner();
  const shared = (signature: readonly number[]) => signatures.lists[signatures.intern(signature)] ?? signature;
  const enclosing: NamedPrefix[] = [];
  return Array.from(prefixes.sorted(isNamed), (number): NamedPrefix => {
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
