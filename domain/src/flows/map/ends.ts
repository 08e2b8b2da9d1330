/** From the ends of a flow to the nodes of a map. */
import { canonicalAddress } from "../../policy/address.ts";
import { sharesHostNetwork } from "../../policy/endpoints.ts";
import type { Endpoint, Inventory } from "../../policy/model.ts";
import type { MapGrouping, MapNode, MapSums } from "./model.ts";

export interface End extends Pick<MapNode, "id" | "kind" | "name" | "labels"> {
  /** What it is by itself, where it stands for a group. */
  readonly member: string;
}

/** What a map knows of addresses: the inventory, and names for what is in none. */
export interface MapInventory {
  readonly inventory: Pick<Inventory, "endpoints">;
  /** The best name of an address outside of the inventory; empty = none. */
  nameOf(address: string): string;
}

const NO_LABELS: ReadonlyMap<string, string> = new Map();

/** Finds the node of each end, the same one for the same end. */
export class EndFinder {
  readonly #grouping: MapGrouping;
  readonly #nameOf: (address: string) => string;
  readonly #byKey = new Map<string, Endpoint>();
  /** Who has the address itself; workloads that share their host's network do not. */
  readonly #byAddress = new Map<string, Endpoint>();
  readonly #ends = new Map<string, End>();

  constructor({ inventory, nameOf }: MapInventory, grouping: MapGrouping) {
    this.#grouping = grouping;
    this.#nameOf = nameOf;
    for (const endpoint of inventory.endpoints) {
      if (!this.#byKey.has(endpoint.key)) this.#byKey.set(endpoint.key, endpoint);
      if (sharesHostNetwork(endpoint)) continue;
      for (const text of endpoint.addresses) {
        const address = canonicalAddress(text) ?? text;
        const other = this.#byAddress.get(address);
        // A host comes before what is registered at its address.
        if (!other || (other.kind === "workload" && endpoint.kind === "host")) this.#byAddress.set(address, endpoint);
      }
    }
  }

  /** The end that is on the host itself. */
  ownEnd({ host, subjectKey }: MapSums): End {
    const key = `own ${host} ${subjectKey}`;
    const known = this.#ends.get(key);
    if (known) return known;
    const subject = this.#byKey.get(subjectKey) ?? null;
    const hostEndpoint = this.#byKey.get(`Host/${host}`) ?? null;
    const end = this.#grouped(subject, hostEndpoint) ?? this.#itself(subject, subjectKey, host, hostEndpoint);
    this.#ends.set(key, end);
    return end;
  }

  /** A subject that no document has any more is still a workload with a key. */
  #itself(subject: Endpoint | null, subjectKey: string, host: string, hostEndpoint: Endpoint | null): End {
    if (this.#grouping.by === "workload" && subjectKey.startsWith("Workload/")) {
      return workloadEnd(subjectKey, subject?.labels ?? NO_LABELS);
    }
    return hostEnd(host, hostEndpoint?.labels ?? NO_LABELS);
  }

  /** Whoever has the address. */
  remoteEnd(address: string): End {
    const known = this.#ends.get(address);
    if (known) return known;
    const endpoint = this.#byAddress.get(address) ?? null;
    const end = endpoint ? this.#endOf(endpoint) : externalEnd(address, this.#nameOf(address));
    this.#ends.set(address, end);
    return end;
  }

  #endOf(endpoint: Endpoint): End {
    const host = endpoint.hostName === null ? null : (this.#byKey.get(`Host/${endpoint.hostName}`) ?? null);
    const group = this.#grouped(endpoint, host);
    if (group) return group;
    if (endpoint.kind === "host") return hostEnd(endpoint.name, endpoint.labels);
    if (this.#grouping.by === "host" && endpoint.hostName !== null) {
      return hostEnd(endpoint.hostName, host?.labels ?? NO_LABELS);
    }
    return workloadEnd(endpoint.key, endpoint.labels);
  }

  /** A workload without the label counts with its host. */
  #grouped(endpoint: Endpoint | null, host: Endpoint | null): End | null {
    if (this.#grouping.by !== "label") return null;
    const { key } = this.#grouping;
    const value = endpoint?.labels.get(key) ?? host?.labels.get(key);
    if (value === undefined) return null;
    const member = endpoint?.key ?? host?.key ?? "";
    return {
      id: `label:${key}=${value}`,
      kind: "group",
      name: `${key}=${value}`,
      labels: new Map([[key, value]]),
      member,
    };
  }
}

function hostEnd(name: string, labels: ReadonlyMap<string, string>): End {
  return { id: `host:${name}`, kind: "host", name, labels, member: name };
}

/** @param key `Workload/default/nginx`, `Service/shop/db/10.0.0.5` */
function workloadEnd(key: string, labels: ReadonlyMap<string, string>): End {
  const [kind = "", ...rest] = key.split("/");
  const name = rest.join("/");
  return { id: `${kind.toLowerCase()}:${name}`, kind: "workload", name, labels, member: key };
}

function externalEnd(address: string, name: string): End {
  // Folded flows have lost the end in which they differ.
  const shown = address === "" ? "different addresses" : name === "" ? address : `${name} (${address})`;
  return { id: `address:${address}`, kind: "external", name: shown, labels: NO_LABELS, member: address };
}
