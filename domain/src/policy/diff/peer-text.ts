/** Regions of addresses in the words of the inventory. */
import { canonicalAddress, formatAddress, formatCidr } from "../address.ts";
import { effectiveAddresses } from "../endpoints.ts";
import type { Cidr, Inventory } from "../model.ts";
import type { AddressRegion } from "./address-space.ts";

const SHOWN_IN_TEXT = 4;
const MAX_PEER_NAMES = 50;

export interface PeerText {
  /** `default/db`, `10.0.0.0/8 except 10.1.0.0/16`, `any address except default/db and 3 more`. */
  readonly peer: string;
  /** Endpoints behind the single addresses of the regions; at most 50. */
  readonly peerNames: readonly string[];
}

export type PeerDescriber = (regions: readonly AddressRegion[]) => PeerText;

export function createPeerDescriber(inventory: Inventory): PeerDescriber {
  const namesByAddress = new Map<string, string[]>();
  for (const endpoint of inventory.endpoints) {
    const name = endpoint.kind === "host" ? endpoint.name : `${endpoint.namespace}/${endpoint.name}`;
    for (const text of effectiveAddresses(inventory, endpoint)) {
      const address = canonicalAddress(text) ?? text;
      namesByAddress.set(address, [...(namesByAddress.get(address) ?? []), name]);
    }
  }
  const namesOf = (prefix: Cidr): readonly string[] =>
    isSingle(prefix) ? (namesByAddress.get(formatAddress(prefix.bytes)) ?? []) : [];
  const prefixText = (prefix: Cidr): string => {
    const names = namesOf(prefix);
    if (names.length > 0) return names.join(" or ");
    return isSingle(prefix) ? formatAddress(prefix.bytes) : formatCidr(prefix);
  };

  return (regions) => ({
    peer: describe(regions, prefixText),
    peerNames: [...new Set(regions.flatMap(({ prefix }) => namesOf(prefix)))].slice(0, MAX_PEER_NAMES),
  });
}

function isSingle(prefix: Cidr): boolean {
  return prefix.prefixLength === prefix.bytes.length * 8;
}

function describe(regions: readonly AddressRegion[], prefixText: (prefix: Cidr) => string): string {
  const whole = regions.filter(({ prefix }) => prefix.prefixLength === 0);
  const parts = regions
    .filter(({ prefix }) => prefix.prefixLength > 0)
    .map(({ prefix, except }) => withExcept(prefixText(prefix), except, prefixText));
  if (whole.length === 0) return listed(parts);
  const [first] = whole;
  const what = whole.length === 2 ? "any address" : `any IPv${first?.prefix.family} address`;
  const except = whole.flatMap((region) => region.except);
  return listed([withExcept(what, except, prefixText), ...parts]);
}

function withExcept(text: string, except: readonly Cidr[], prefixText: (prefix: Cidr) => string): string {
  return except.length === 0 ? text : `${text} except ${listed(except.map(prefixText))}`;
}

function listed(texts: readonly string[]): string {
  const distinct = [...new Set(texts)];
  const shown = distinct.slice(0, SHOWN_IN_TEXT).join(", ");
  return distinct.length > SHOWN_IN_TEXT ? `${shown} and ${distinct.length - SHOWN_IN_TEXT} more` : shown;
}
