/**
 * The addresses of a world in classes: two addresses of one class are in the same units, so every rule of every policy
 * treats them alike.
 */
import {
  canonicalAddress,
  cidrContains,
  cidrContainsAddress,
  formatAddress,
  parseAddress,
  parseCidr,
} from "../address.ts";
import type { NamedPrefix, UnitTable } from "../compile/units.ts";
import type { AddressRegion } from "../diff/index.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import type { Cidr, Endpoint, Inventory, SourceRange } from "../model.ts";
import { compareBytes, prefixKey, regionSize } from "./address-regions.ts";

/** An endpoint at one of its addresses: what a connection starts from or goes to. */
export interface Member {
  readonly endpoint: Endpoint;
  /** Canonical text. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  /** Number of the class of its address. */
  readonly addressClass: number;
}

export interface AddressClass {
  /** Its place among the classes. */
  readonly number: number;
  readonly family: 4 | 6;
  /** 127.0.0.0/8 and ::1. */
  readonly isLoopback: boolean;
  /** Sorted unit numbers. */
  readonly units: readonly number[];
}

/** Addresses of one class that belong to no endpoint. */
export interface OutsideRegion {
  /** Its excepts leave out the addresses of endpoints, which are never meant. */
  readonly region: AddressRegion;
  /** The same with every except. */
  readonly exact: AddressRegion;
  readonly addressClass: number;
}

/** A named prefix and the class of those of its addresses that are in no longer named prefix. */
export interface ClassedPrefix {
  readonly prefix: Cidr;
  readonly addressClass: number;
}

export interface AddressSpace {
  readonly classes: readonly AddressClass[];
  /** By endpoint key, family and address. */
  readonly members: readonly Member[];
  /** Members by canonical address. */
  readonly membersAt: ReadonlyMap<string, readonly Member[]>;
  /** Sorted by family, address and length; the whole of each family is there. */
  readonly prefixes: readonly ClassedPrefix[];
  readonly outside: readonly OutsideRegion[];
  /** Numbers of the classes whose addresses are in a unit. */
  classesOfUnit(unit: number): readonly number[];
  classOfAddress(bytes: Uint8Array): number;
}

const NOWHERE: SourceRange = { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 };
const FAMILIES = ["0.0.0.0/0", "::/0"].map(prefixOf);
const LOOPBACK = ["127.0.0.0/8", "::1/128"].map(prefixOf);

function prefixOf(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text} is a prefix`);
  return parsed.cidr;
}

/** Names what every question may be about, so that no class mixes it. Before {@link createAddressSpace}. */
export function nameCommonPrefixes(units: UnitTable): void {
  for (const cidr of [...FAMILIES, ...LOOPBACK]) {
    units.forPeer({ kind: "addresses", cidr, except: [], source: NOWHERE });
  }
  for (const entity of ["cluster", "mesh"] as const) units.forPeer({ kind: "entity", entity, source: NOWHERE });
}

/** `units` must know every peer of the world already. */
export function createAddressSpace(inventory: Inventory, units: UnitTable): AddressSpace {
  const named = units.prefixes();
  const classes: AddressClass[] = [];
  const numbers = new Map<readonly number[], number>();
  const prefixes = named.map((prefix): ClassedPrefix => {
    let number = numbers.get(prefix.signature);
    if (number === undefined) {
      const isLoopback = LOOPBACK.some((loopback) => cidrContains(loopback, prefix));
      number = classes.length;
      classes.push({ number, family: prefix.family, isLoopback, units: prefix.signature });
      numbers.set(prefix.signature, number);
    }
    return { prefix, addressClass: number };
  });
  const classAt = new Map(prefixes.map(({ prefix, addressClass }) => [prefixKey(prefix), addressClass]));
  const members = listMembers(inventory, (bytes) => classAt.get(addressKey(bytes)) ?? -1);
  const membersAt = new Map<string, Member[]>();
  for (const member of members) membersAt.set(member.address, [...(membersAt.get(member.address) ?? []), member]);
  const byUnit = new Map<number, number[]>();
  for (const { number, units: own } of classes) {
    for (const unit of own) {
      const having = byUnit.get(unit);
      if (having) having.push(number);
      else byUnit.set(unit, [number]);
    }
  }
  return {
    classes,
    members,
    membersAt,
    prefixes,
    outside: outsideRegions(named, prefixes, membersAt),
    classesOfUnit: (unit) => byUnit.get(unit) ?? [],
    classOfAddress: createClassFinder(named, (prefix) => numbers.get(prefix.signature) ?? -1),
  };
}

function addressKey(bytes: Uint8Array): string {
  return prefixKey({ family: bytes.length === 4 ? 4 : 6, bytes, prefixLength: bytes.length * 8 });
}

function listMembers(inventory: Inventory, classOf: (bytes: Uint8Array) => number): readonly Member[] {
  const hosts = new Map<string, Endpoint>();
  const hostOf = (name: string): Endpoint => {
    const host = hosts.get(name) ?? hostEndpoint(inventory, name);
    hosts.set(name, host);
    return host;
  };
  for (const endpoint of inventory.endpoints) if (endpoint.kind === "host") hosts.set(endpoint.name, endpoint);
  const members = inventory.endpoints.flatMap((endpoint): Member[] => {
    const owner = sharesHostNetwork(endpoint) && endpoint.hostName !== null ? hostOf(endpoint.hostName) : endpoint;
    const texts = new Set(owner.addresses.flatMap((text) => canonicalAddress(text) ?? []));
    return [...texts].flatMap((address) => {
      const parsed = parseAddress(address);
      if (!parsed.ok) return [];
      const { family, bytes } = parsed;
      return [{ endpoint, address, family, bytes, addressClass: classOf(bytes) }];
    });
  });
  return members.sort(compareMembers);
}

export function compareMembers(left: Member, right: Member): number {
  if (left.endpoint.key !== right.endpoint.key) return left.endpoint.key < right.endpoint.key ? -1 : 1;
  return compareBytes(left.bytes, right.bytes);
}

function outsideRegions(
  named: readonly NamedPrefix[],
  prefixes: readonly ClassedPrefix[],
  membersAt: ReadonlyMap<string, unknown>,
): readonly OutsideRegion[] {
  const children = new Map<NamedPrefix, NamedPrefix[]>();
  for (const prefix of named) {
    if (prefix.parent === null) continue;
    const siblings = children.get(prefix.parent);
    if (siblings) siblings.push(prefix);
    else children.set(prefix.parent, [prefix]);
  }
  const isMember = (prefix: Cidr): boolean =>
    prefix.prefixLength === prefix.bytes.length * 8 && membersAt.has(formatAddress(prefix.bytes));
  return named.flatMap((prefix, index) => {
    const exact = { prefix, except: children.get(prefix) ?? [] };
    if (isMember(prefix) || regionSize(exact) === 0n) return [];
    const region = { prefix, except: exact.except.filter((inner) => !isMember(inner)) };
    return [{ region, exact, addressClass: prefixes[index]?.addressClass ?? -1 }];
  });
}

/** Finds the longest prefix that holds an address. */
function createClassFinder(
  named: readonly NamedPrefix[],
  classOf: (prefix: NamedPrefix) => number,
): (bytes: Uint8Array) => number {
  const keys = named.map(prefixKey);
  return (bytes) => {
    const key = addressKey(bytes);
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((keys[middle] ?? "") <= key) low = middle + 1;
      else high = middle;
    }
    let prefix: NamedPrefix | null = named[low - 1] ?? null;
    while (prefix !== null && !cidrContainsAddress(prefix, bytes)) prefix = prefix.parent;
    return prefix === null ? -1 : classOf(prefix);
  };
}
