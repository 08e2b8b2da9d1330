/** Peers that have a name instead of labels or a prefix: entities and domain names. */
import { cidrContainsAddress, parseAddress, parseCidr, sameAddressText } from "./address.ts";
import { effectiveAddresses, hostEndpoint } from "./endpoints.ts";
import { type Cidr, type Entity, type Inventory, MESH_PREFIX, type PolicyWorld } from "./model.ts";

export function meshPrefix(): Cidr {
  const parsed = parseCidr(MESH_PREFIX);
  if (!parsed.ok) throw new Error("the mesh prefix is a prefix");
  return parsed.cidr;
}

/** Whether an address belongs to an entity, seen from a subject on this host; `null` = on a host that we do not know. */
export function entityContains(inventory: Inventory, entity: Entity, hostName: string | null, remote: string): boolean {
  const address = parseAddress(remote);
  if (!address.ok) return false;
  const isCluster = (): boolean =>
    inventory.endpoints.some((endpoint) =>
      effectiveAddresses(inventory, endpoint).some((own) => sameAddressText(own, remote)),
    );
  const isMesh = (): boolean => address.family === 6 && cidrContainsAddress(meshPrefix(), address.bytes);
  switch (entity) {
    case "cluster":
      return isCluster();
    case "mesh":
      return isMesh();
    case "world":
      return !isCluster() && !isMesh();
    case "host":
      return (
        hostName !== null && hostEndpoint(inventory, hostName).addresses.some((own) => sameAddressText(own, remote))
      );
  }
}

/** Whether a name is meant by a pattern: the name itself, or `*.` and one or more whole labels before the rest. */
export function domainNameMatches(pattern: string, name: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === name;
  return name.length > pattern.length - 1 && name.endsWith(pattern.slice(1));
}

/** The world as it is at a moment: policies that have expired by then are absent. */
export function withoutExpired(world: PolicyWorld, atUnixMs: number): PolicyWorld {
  const isOver = (expiresAtUnixMs: number | null): boolean => expiresAtUnixMs !== null && expiresAtUnixMs <= atUnixMs;
  if (!world.policies.some((policy) => isOver(policy.expiresAtUnixMs))) return world;
  return { ...world, policies: world.policies.filter((policy) => !isOver(policy.expiresAtUnixMs)) };
}
