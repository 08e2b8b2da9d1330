/**
 * Units: the sets of remote addresses that rules speak of, each numbered once however many rules name it. What decides a
 * packet is only which units its remote address is in; that list is the address's signature.
 */
import { bytesToHex } from "@noble/hashes/utils.js";
import { cidrContains, cidrOfAddress, parseAddress } from "../address.ts";
import { peerMeaning, selectorMeaning } from "../decision.ts";
import { hostEndpoint } from "../endpoints.ts";
import type { Cidr, EndpointSelector, Entity, Inventory, Peer, ProtocolNumber } from "../model.ts";
import { domainNameMatches, meshPrefix } from "../named-peers.ts";
import type { EndpointIndex, SelectableEndpoint } from "./selection.ts";

const WHOLE_FAMILIES: readonly Cidr[] = [
  { family: 4, bytes: new Uint8Array(4), prefixLength: 0 },
  { family: 6, bytes: new Uint8Array(16), prefixLength: 0 },
];

/** Unit of rules without peers; every address is in it and no signature lists it. */
export const ANY_ADDRESS = -1;

/** A prefix that some rule names. Addresses in it and in no longer one are in the units of `signature`. */
export interface NamedPrefix {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
  /** Nearest enclosing named prefix, or `null`. */
  readonly parent: NamedPrefix | null;
  /** Sorted unit numbers. */
  readonly signature: readonly number[];
}

interface PrefixNode {
  readonly prefix: Cidr;
  readonly adds: Set<number>;
  readonly removes: Set<number>;
}

export interface UnitTable {
  forPeer(peer: Peer): number;
  /**
   * One unit for each port number that a name stands for at the endpoints of a selector (`null` = at any endpoint):
   * the addresses of those that mean this number.
   */
  forNamedPort(
    selector: EndpointSelector | null,
    protocol: ProtocolNumber,
    name: string,
  ): readonly { readonly unit: number; readonly port: number }[];
  /** How many prefixes are named so far. */
  prefixCount(): number;
  /** Sorted by family, address and length, so that a prefix comes after those that enclose it. */
  prefixes(): readonly NamedPrefix[];
}

/** `hostName`: the host whose addresses the entity `host` stands for. */
export function createUnitTable(inventory: Inventory, index: EndpointIndex, hostName: string | null): UnitTable {
  const nodes = new Map<string, PrefixNode>();
  const units = new Map<string, number>();

  const nodeOf = (prefix: Cidr): PrefixNode => {
    const key = `${prefix.family}${bytesToHex(prefix.bytes)}${String(prefix.prefixLength).padStart(3, "0")}`;
    let node = nodes.get(key);
    if (!node) {
      node = { prefix, adds: new Set(), removes: new Set() };
      nodes.set(key, node);
    }
    return node;
  };
  const unitOf = (meaning: string, fill: (unit: number) => void): number => {
    const known = units.get(meaning);
    if (known !== undefined) return known;
    const unit = units.size;
    units.set(meaning, unit);
    fill(unit);
    return unit;
  };
  const addEndpoints = (unit: number, endpoints: readonly SelectableEndpoint[]): void => {
    for (const { addresses } of endpoints)
      for (const address of addresses) nodeOf(cidrOfAddress(address)).adds.add(unit);
  };

  const addTexts = (unit: number, texts: readonly string[]): void => {
    for (const text of texts) {
      const address = parseAddress(text);
      if (address.ok) nodeOf(cidrOfAddress(address)).adds.add(unit);
    }
  };
  const addWorld = (unit: number): void => {
    for (const whole of WHOLE_FAMILIES) nodeOf(whole).adds.add(unit);
    nodeOf(meshPrefix()).removes.add(unit);
    for (const { addresses } of index.all)
      for (const address of addresses) nodeOf(cidrOfAddress(address)).removes.add(unit);
  };
  const addEntity = (unit: number, entity: Entity): void => {
    if (entity === "cluster") addEndpoints(unit, index.all);
    else if (entity === "mesh") nodeOf(meshPrefix()).adds.add(unit);
    else if (entity === "world") addWorld(unit);
    else if (hostName !== null) addTexts(unit, hostEndpoint(inventory, hostName).addresses);
  };
  const addPeer = (unit: number, peer: Peer): void => {
    if (peer.kind === "endpoints") addEndpoints(unit, index.select(peer.selector));
    else if (peer.kind === "entity") addEntity(unit, peer.entity);
    else if (peer.kind === "addresses") {
      nodeOf(peer.cidr).adds.add(unit);
      for (const except of peer.except) nodeOf(except).removes.add(unit);
    } else {
      for (const [name, addresses] of inventory.domainAddresses) {
        if (peer.names.some((pattern) => domainNameMatches(pattern, name))) addTexts(unit, addresses);
      }
    }
  };

  return {
    forPeer: (peer) => unitOf(peerMeaning(peer), (unit) => addPeer(unit, peer)),
    forNamedPort(selector, protocol, name) {
      const byPort = new Map<number, SelectableEndpoint[]>();
      for (const item of selector === null ? index.all : index.select(selector)) {
        for (const named of item.endpoint.ports) {
          if (named.name !== name || named.protocol !== protocol) continue;
          byPort.set(named.port, [...(byPort.get(named.port) ?? []), item]);
        }
      }
      const who = selector === null ? "any" : selectorMeaning(selector);
      return [...byPort].map(([port, endpoints]) => ({
        port,
        unit: unitOf(`named ${protocol} ${name} ${port} ${who}`, (unit) => addEndpoints(unit, endpoints)),
      }));
    },
    prefixCount: () => nodes.size,
    prefixes: () => withSignatures(nodes),
  };
}

/** Equal signatures are one array, so that they can be told apart by identity. */
function withSignatures(nodes: ReadonlyMap<string, PrefixNode>): readonly NamedPrefix[] {
  const enclosing: NamedPrefix[] = [];
  const known = new Map<string, readonly number[]>();
  const shared = (signature: readonly number[]): readonly number[] => {
    const text = signature.join();
    const first = known.get(text) ?? signature;
    known.set(text, first);
    return first;
  };
  const sortedKeys = [...nodes.keys()].sort();
  return sortedKeys.map((key) => {
    const node = nodes.get(key);
    if (!node) throw new Error("a key of the map is in the map");
    const { family, bytes, prefixLength } = node.prefix;
    let parent = enclosing.at(-1) ?? null;
    while (parent !== null && !cidrContains(parent, node.prefix)) {
      enclosing.pop();
      parent = enclosing.at(-1) ?? null;
    }
    const prefix = {
      family,
      bytes,
      prefixLength,
      parent,
      signature: shared(signatureOf(node, parent?.signature ?? [])),
    };
    enclosing.push(prefix);
    return prefix;
  });
}

function signatureOf(node: PrefixNode, inherited: readonly number[]): readonly number[] {
  if (node.adds.size === 0 && node.removes.size === 0) return inherited;
  const inside = new Set(inherited);
  for (const unit of node.adds) inside.add(unit);
  for (const unit of node.removes) inside.delete(unit);
  return [...inside].sort((left, right) => left - right);
}
