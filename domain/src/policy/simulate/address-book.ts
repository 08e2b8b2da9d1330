/** Who is behind an address, without asking every endpoint each time. */
import { canonicalAddress, cidrContainsAddress, parseAddress } from "../address.ts";
import { sharesHostNetwork } from "../endpoints.ts";
import type { Cidr, Endpoint, Inventory } from "../model.ts";
import { meshPrefix } from "../named-peers.ts";
import { wordOf } from "./plan-table.ts";

/** One address as rules look at it. */
export interface RemoteEnd {
  readonly number: number;
  /** Canonical. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  /** The bytes of an IPv4 address as one number. */
  readonly word: number;
  /** Endpoints that are seen under it: their own address, or that of the host whose network they share. */
  readonly behind: readonly Endpoint[];
  /** Keys of the endpoints whose own address it is, each with those that share its network. */
  readonly ownerKeys: readonly string[];
  /** Remembered by `SelectorTable`. */
  picked: Uint8Array;
  /** Names of `Inventory.domainAddresses` that have it. */
  readonly domainNames: readonly string[];
  readonly isMesh: boolean;
}

const NOBODY: readonly Endpoint[] = [];
const NOTHING_REMEMBERED = new Uint8Array(0);

export class AddressBook {
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #behind = new Map<string, Endpoint[]>();
  /** By the key of their host. */
  readonly #sharers = new Map<string, string[]>();
  readonly #domainNames = new Map<string, string[]>();
  readonly #mesh: Cidr = meshPrefix();
  #nextNumber = 0;

  constructor(inventory: Inventory) {
    const hosts = new Map<string, Endpoint>();
    for (const endpoint of inventory.endpoints) {
      // The first one counts, as for `endpointByKey`.
      if (!this.#endpoints.has(endpoint.key)) this.#endpoints.set(endpoint.key, endpoint);
      if (endpoint.kind === "host" && !hosts.has(endpoint.key)) hosts.set(endpoint.key, endpoint);
    }
    for (const endpoint of inventory.endpoints) {
      if (sharesHostNetwork(endpoint)) append(this.#sharers, `Host/${endpoint.hostName}`, endpoint.key);
      const owner = sharesHostNetwork(endpoint) ? this.#endpoints.get(`Host/${endpoint.hostName}`) : endpoint;
      for (const text of new Set((owner?.addresses ?? []).map(canonicalAddress))) {
        if (text !== null) append(this.#behind, text, endpoint);
      }
    }
    for (const [name, addresses] of inventory.domainAddresses) {
      for (const text of new Set(addresses.map(canonicalAddress))) {
        if (text !== null) append(this.#domainNames, text, name);
      }
    }
  }

  endpoint(key: string): Endpoint | null {
    return this.#endpoints.get(key) ?? null;
  }

  /** `null` when the text is no address. Each call makes a new end with a new number. */
  remote(text: string): RemoteEnd | null {
    const parsed = parseAddress(text);
    const address = canonicalAddress(text);
    if (!parsed.ok || address === null) return null;
    const behind = this.behind(address);
    const owners = behind.filter((endpoint) => !sharesHostNetwork(endpoint));
    return {
      number: this.#nextNumber++,
      address,
      family: parsed.family,
      bytes: parsed.bytes,
      word: wordOf(parsed.bytes),
      behind,
      ownerKeys: owners.flatMap(({ key }) => [key, ...(this.#sharers.get(key) ?? [])]),
      picked: NOTHING_REMEMBERED,
      domainNames: this.#domainNames.get(address) ?? [],
      isMesh: parsed.family === 6 && cidrContainsAddress(this.#mesh, parsed.bytes),
    };
  }

  /** @param address canonical */
  behind(address: string): readonly Endpoint[] {
    return this.#behind.get(address) ?? NOBODY;
  }
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
