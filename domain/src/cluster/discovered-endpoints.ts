/**
 * Endpoints that no document declares: members of the cluster with the addresses that they have now, and registered
 * services. They are merged into an inventory, so that every engine treats them as if somebody had written them down.
 */
import { canonicalAddress, type Endpoint, type Inventory, type PolicyWorld } from "../policy/index.ts";

export interface DiscoveredEndpoint {
  readonly kind: "member" | "service";
  /** `default` for members. */
  readonly namespace: string;
  /** Of the member, or of the service. */
  readonly name: string;
  /** Which one of the service; empty for members. */
  readonly instance: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Canonical, sorted. Members have what they claim and nobody claimed before them. */
  readonly addresses: readonly string[];
}

/** An address that a member says it has, and that counts for somebody else. */
export interface RefusedAddress {
  readonly address: string;
  readonly member: string;
  /** Who has it: `web-1`, `Host web-1` (a document), `Workload shop/db` (a document). */
  readonly holder: string;
}

export interface MergedInventory {
  readonly inventory: Inventory;
  /** Addresses of members that a document gives to somebody else, by address. */
  readonly refused: readonly RefusedAddress[];
}

/** `Host/web-1`, `Service/shop/db/10.0.0.5`: no document can have the second. */
export function discoveredKey({ kind, namespace, name, instance }: Omit<DiscoveredEndpoint, "labels" | "addresses">) {
  return kind === "member" ? `Host/${name}` : `Service/${namespace}/${name}/${instance}`;
}

/** The world as its engines shall see it; the same object when nothing was discovered. */
export function withDiscoveredEndpoints(world: PolicyWorld, discovered: readonly DiscoveredEndpoint[]): PolicyWorld {
  if (discovered.length === 0) return world;
  return { ...world, inventory: mergeDiscovered(world.inventory, discovered).inventory };
}

/**
 * Documents come first: what a Host document says about addresses and labels stays, and a member adds only labels that its
 * document does not have and addresses that no other document claims. A member without a document becomes a host, a
 * service instance a workload with an address of its own that runs on no host of ours: it is a peer and never a subject.
 */
export function mergeDiscovered(inventory: Inventory, discovered: readonly DiscoveredEndpoint[]): MergedInventory {
  if (discovered.length === 0) return { inventory, refused: [] };
  const endpoints = new Map(inventory.endpoints.map((endpoint) => [endpoint.key, endpoint]));
  const declared = holdersOf(inventory.endpoints);
  const refused: RefusedAddress[] = [];
  for (const one of discovered) {
    const key = discoveredKey(one);
    if (one.kind === "service") {
      if (!endpoints.has(key)) endpoints.set(key, serviceEndpoint(key, one));
      continue;
    }
    const addresses = one.addresses.filter((address) => {
      const other = declared.get(address)?.find((endpoint) => endpoint.hostName !== one.name);
      if (other !== undefined) refused.push({ address, member: one.name, holder: titleOf(other) });
      return other === undefined;
    });
    endpoints.set(key, memberEndpoint(key, one, addresses, endpoints.get(key) ?? null));
  }
  const sorted = [...endpoints.values()].sort((left, right) => (left.key < right.key ? -1 : 1));
  return {
    inventory: { ...inventory, endpoints: sorted },
    refused: refused.sort((left, right) => (left.address < right.address ? -1 : 1)),
  };
}

/** Declared endpoints by the addresses of their own. */
function holdersOf(endpoints: readonly Endpoint[]): ReadonlyMap<string, readonly Endpoint[]> {
  const holders = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    for (const text of endpoint.addresses) {
      const address = canonicalAddress(text) ?? text;
      const list = holders.get(address);
      if (list) list.push(endpoint);
      else holders.set(address, [endpoint]);
    }
  }
  return holders;
}

function titleOf({ kind, namespace, name }: Endpoint): string {
  return kind === "host" ? `Host ${name}` : `Workload ${namespace}/${name}`;
}

function memberEndpoint(
  key: string,
  { name, namespace, labels }: DiscoveredEndpoint,
  addresses: readonly string[],
  document: Endpoint | null,
): Endpoint {
  if (document !== null) {
    return {
      ...document,
      labels: new Map([...labels, ...document.labels]),
      addresses: [...new Set([...document.addresses, ...addresses])],
    };
  }
  return {
    key,
    kind: "host",
    name,
    namespace,
    labels,
    addresses,
    ports: [],
    hostName: name,
    match: null,
    source: null,
  };
}

function serviceEndpoint(key: string, { name, namespace, labels, addresses }: DiscoveredEndpoint): Endpoint {
  return {
    key,
    kind: "workload",
    name,
    namespace,
    labels,
    addresses,
    ports: [],
    hostName: null,
    match: null,
    source: null,
  };
}

/** In a sentence: `10.0.0.5 of web-2 is left out: Host web-1 has it.` */
export function describeRefused({ address, member, holder }: RefusedAddress): string {
  return `${member} says that it has ${address}, which ${holder} has: it does not count for ${member}.`;
}
