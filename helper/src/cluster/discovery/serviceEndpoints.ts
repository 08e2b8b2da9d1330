/** Registered services as endpoints, those that fail left out. Renewals change nothing here. */
import { HealthCheckKind, ServiceHealth, type ServiceInstance } from "@wardline/api/wardline/v1/cluster";
import { type DiscoveredEndpoint, discoveredKey, unusableAddressReason } from "@wardline/domain/cluster";
import { canonicalAddress } from "@wardline/domain/policy";
import { usableLabels } from "./memberEndpoints.ts";
import type { KnownService } from "./serviceView.ts";

export class ServiceEndpoints {
  #byKey = new Map<string, DiscoveredEndpoint>();
  #isChanged = true;

  /** `keys`: what may have changed; `null` = anything. */
  update(services: ReadonlyMap<string, KnownService>, keys: readonly string[] | null): void {
    for (const key of keys ?? new Set([...services.keys(), ...this.#byKey.keys()])) {
      const known = services.get(key);
      const endpoint = known === undefined ? null : serviceEndpoint(known.instance);
      const before = this.#byKey.get(key);
      if (endpoint === null) this.#isChanged = this.#byKey.delete(key) || this.#isChanged;
      else if (before === undefined || !isSameEndpoint(before, endpoint)) {
        this.#byKey.set(key, endpoint);
        this.#isChanged = true;
      }
    }
  }

  /** By key, since the last time; `null` = as then. */
  take(): readonly DiscoveredEndpoint[] | null {
    if (!this.#isChanged) return null;
    this.#isChanged = false;
    const keyed = [...this.#byKey.values()].map((endpoint) => [discoveredKey(endpoint), endpoint] as const);
    return keyed.sort(([one], [other]) => (one < other ? -1 : 1)).map(([, endpoint]) => endpoint);
  }
}

/** `null` = it does not count: it fails, or it says what no registration could. */
function serviceEndpoint(instance: ServiceInstance): DiscoveredEndpoint | null {
  const address = canonicalAddress(instance.address);
  const isFailing = instance.check === HealthCheckKind.TCP && instance.health === ServiceHealth.FAILING;
  if (isFailing || address === null || unusableAddressReason(address) !== null) return null;
  const { namespace, service: name, instance: which } = instance;
  const labels = usableLabels(instance.labels);
  return { kind: "service", namespace, name, instance: which, labels, addresses: [address] };
}

export function isSameEndpoint(one: DiscoveredEndpoint, other: DiscoveredEndpoint): boolean {
  return (
    one === other ||
    (discoveredKey(one) === discoveredKey(other) &&
      one.addresses.join() === other.addresses.join() &&
      JSON.stringify([...one.labels]) === JSON.stringify([...other.labels]))
  );
}
