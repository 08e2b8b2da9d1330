import { ErrorCode, Failure } from "../errors/index.ts";
import { endpointMatches } from "./labels.ts";
import type { Endpoint, Inventory, Policy } from "./model.ts";

/**
 * The host endpoint of a host name. A host that no document declares still exists: without labels and addresses, in
 * namespace `default`.
 */
export function hostEndpoint(inventory: Inventory, hostName: string): Endpoint {
  const key = `Host/${hostName}`;
  const declared = inventory.endpoints.find((endpoint) => endpoint.key === key);
  if (declared) return declared;
  return {
    key,
    kind: "host",
    name: hostName,
    namespace: "default",
    labels: new Map(),
    addresses: [],
    ports: [],
    hostName,
    match: null,
    source: null,
  };
}

/** Whether a workload is seen from outside under the addresses of its host, because it has none of its own. */
export function sharesHostNetwork(endpoint: Endpoint): boolean {
  return endpoint.kind === "workload" && endpoint.hostName !== null && endpoint.addresses.length === 0;
}

/** Addresses under which an endpoint is seen by others: its own, or those of its host. */
export function effectiveAddresses(inventory: Inventory, endpoint: Endpoint): readonly string[] {
  if (!sharesHostNetwork(endpoint) || endpoint.hostName === null) return endpoint.addresses;
  return hostEndpoint(inventory, endpoint.hostName).addresses;
}

/** Throws `NOT_FOUND` when the inventory has no such endpoint; every host name counts as known. */
export function endpointByKey(inventory: Inventory, key: string): Endpoint {
  const found = inventory.endpoints.find((endpoint) => endpoint.key === key);
  if (found) return found;
  if (key.startsWith("Host/")) return hostEndpoint(inventory, key.slice("Host/".length));
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no endpoint ${key} in the inventory.`,
    hint: "Add a Host or Workload document for it, or give an address.",
  });
}

/** The declared endpoints that a policy selects, in the order of the inventory. */
export function subjectsOf(inventory: Inventory, policy: Pick<Policy, "subject">): readonly Endpoint[] {
  return inventory.endpoints.filter((endpoint) => endpointMatches(policy.subject, endpoint, inventory.namespaces));
}
