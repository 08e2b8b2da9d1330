/**
 * Who is behind an address, and who has a label: the workspace's inventory, the groups and environments of hosts, and what
 * clusters have discovered. Services are asked for at members that are connected already, and kept for a while.
 */
import { ListServicesResponseSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { HealthCheckKind, ServiceHealth, type ServiceInstance } from "@wardline/api/wardline/v1/cluster";
import { type DiscoveredEndpoint, mergeDiscovered, unusableAddressReason } from "@wardline/domain/cluster";
import type { LabelResolver } from "@wardline/domain/flows";
import { canonicalAddress, type Endpoint, type Inventory, sharesHostNetwork } from "@wardline/domain/policy";
import { bounded } from "../../cluster/cluster-calls.ts";
import type { ClusterGateway } from "../../cluster/cluster-gateway.ts";
import { type HostRegistry, hostNameOf, labelOf } from "../../hosts/managed-host.ts";
import type { Workspace } from "../../policies/workspace.ts";
import type { Clock } from "../../ports.ts";

const SERVICES_KEPT_MS = 30_000;
const SERVICES_TIMEOUT_MS = 2_000;

export interface EndpointBookPorts {
  readonly workspace: Pick<Workspace, "snapshot">;
  readonly registry: Pick<HostRegistry, "hosts">;
  readonly clusters: Pick<ClusterGateway, "list" | "connectedMembers">;
  readonly clock: Clock;
}

/** Everything known at one moment; a query looks at one from its beginning to its end. */
export interface EndpointFacts {
  readonly inventory: Inventory;
  readonly labels: LabelResolver;
  /** Of a host or workload with this address of its own, or a discovered service; empty = none. */
  nameOf(address: string): string;
  /** `key=value` of all of them, most used first. */
  readonly labelTexts: readonly string[];
  /** Host names that a `host:` value means: an alias is another word for the name that records have. */
  hostNames(value: string): readonly string[];
  /** Ids of the hosts that are called so. */
  hostIds(value: string): readonly string[];
}

export class EndpointBook {
  readonly #ports: EndpointBookPorts;
  #services: readonly DiscoveredEndpoint[] = [];
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;
  #kept: { readonly key: string; readonly facts: EndpointFacts } | null = null;

  constructor(ports: EndpointBookPorts) {
    this.#ports = ports;
  }

  /** Waits for services for at most two seconds; a cluster that does not answer is as it was. */
  async facts(): Promise<EndpointFacts> {
    const { clock } = this.#ports;
    if (clock.nowMs() - this.#askedAtMs > SERVICES_KEPT_MS) {
      this.#asking ??= this.#askServices().finally(() => {
        this.#asking = null;
      });
      await this.#asking;
    }
    return this.known();
  }

  /** What is known without asking anybody. */
  known(): EndpointFacts {
    const { workspace, registry } = this.#ports;
    const { revision, reading } = workspace.snapshot();
    const members = this.#members();
    const hosts = registry.hosts.map((host) => ({
      ...{ id: host.id, name: hostNameOf(host), label: labelOf(host) },
      ...{ groups: host.record.groups, environment: host.record.environment?.name ?? "" },
    }));
    const discovered = [...members, ...this.#services];
    const key = JSON.stringify([revision, hosts, discovered.map((each) => ({ ...each, labels: [...each.labels] }))]);
    if (this.#kept?.key === key) return this.#kept.facts;
    const { inventory } = mergeDiscovered(reading.world.inventory, discovered);
    const facts = factsOf(inventory, hosts);
    this.#kept = { key, facts };
    return facts;
  }

  #members(): DiscoveredEndpoint[] {
    return this.#ports.clusters.list().flatMap(({ status }) =>
      status.members.flatMap(({ record, presence }) => {
        if (!record) return [];
        const addresses = (presence?.addresses ?? []).flatMap(usableAddress).sort();
        const labels = new Map(Object.entries(record.labels));
        return [{ kind: "member" as const, namespace: "default", name: record.name, instance: "", labels, addresses }];
      }),
    );
  }

  async #askServices(): Promise<void> {
    const { clusters, clock } = this.#ports;
    this.#askedAtMs = clock.nowMs();
    const answers = await Promise.all(
      clusters.list().map(async ({ key }) => {
        const client = clusters.connectedMembers(key)[0]?.connection.cluster;
        if (!client) return [];
        const answer = await client.listServices({}, { timeoutMs: SERVICES_TIMEOUT_MS });
        return bounded(ListServicesResponseSchema, answer).instances.flatMap(serviceEndpoint);
      }),
    ).catch(() => null);
    if (answers) this.#services = answers.flat();
  }
}

function usableAddress(text: string): string[] {
  const address = canonicalAddress(text);
  return address === null || unusableAddressReason(address) !== null ? [] : [address];
}

function serviceEndpoint(instance: ServiceInstance): DiscoveredEndpoint[] {
  const isFailing = instance.check === HealthCheckKind.TCP && instance.health === ServiceHealth.FAILING;
  const addresses = usableAddress(instance.address);
  if (isFailing || addresses.length === 0) return [];
  const { namespace, service: name, instance: which } = instance;
  return [
    { kind: "service", namespace, name, instance: which, labels: new Map(Object.entries(instance.labels)), addresses },
  ];
}

interface HostFacts {
  readonly id: string;
  readonly name: string;
  readonly label: string;
  readonly groups: readonly string[];
  readonly environment: string;
}

interface Holders {
  readonly subjectKeys: Set<string>;
  readonly addresses: Set<string>;
}

function factsOf(inventory: Inventory, hosts: readonly HostFacts[]): EndpointFacts {
  const names = new Map<string, string>();
  const labels = new Map<string, Holders>();
  const add = (label: string, key: string, addresses: readonly string[]) => {
    const holders = labels.get(label) ?? { subjectKeys: new Set(), addresses: new Set() };
    labels.set(label, holders);
    holders.subjectKeys.add(key);
    for (const address of addresses) holders.addresses.add(address);
  };
  const own = new Map<string, readonly string[]>();
  for (const endpoint of inventory.endpoints) {
    const addresses = sharesHostNetwork(endpoint)
      ? []
      : endpoint.addresses.map((text) => canonicalAddress(text) ?? text);
    own.set(endpoint.key, addresses);
    for (const address of addresses) {
      if (endpoint.kind === "host" || !names.has(address)) names.set(address, nameOfEndpoint(endpoint));
    }
    for (const [key, value] of endpoint.labels) {
      add(`${key}=${value}`, endpoint.key, addresses);
      add(key, endpoint.key, addresses);
    }
  }
  for (const { name, groups, environment } of hosts) {
    const key = `Host/${name}`;
    const extra = [...groups.map((group) => `group=${group}`), ...(environment ? [`environment=${environment}`] : [])];
    for (const label of extra) {
      add(label, key, own.get(key) ?? []);
      add(label.slice(0, label.indexOf("=")), key, own.get(key) ?? []);
    }
  }
  const bySize = [...labels].sort(([, left], [, right]) => right.subjectKeys.size - left.subjectKeys.size);
  const hostsCalled = (value: string) => {
    const wanted = value.toLowerCase();
    return hosts.filter(({ id, name, label }) => [id, name, label].some((each) => each.toLowerCase() === wanted));
  };
  return {
    inventory,
    labels: (label) => {
      const holders = labels.get(label);
      return holders
        ? { subjectKeys: [...holders.subjectKeys], addresses: [...holders.addresses] }
        : { subjectKeys: [], addresses: [] };
    },
    nameOf: (address) => names.get(address) ?? "",
    labelTexts: bySize.map(([label]) => label).filter((label) => label.includes("=")),
    hostNames: (value) => [...new Set([value, ...hostsCalled(value).map(({ name }) => name)])],
    hostIds: (value) => hostsCalled(value).map(({ id }) => id),
  };
}

/** `web-1`, `shop/db`; the namespace that everything is in by default is left out. */
function nameOfEndpoint({ kind, namespace, name }: Endpoint): string {
  return kind === "host" || namespace === "default" ? name : `${namespace}/${name}`;
}
