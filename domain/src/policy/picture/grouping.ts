/** From endpoints and addresses to the nodes of a picture. */

import { prefixKey } from "../access/address-regions.ts";
import type { AccessModel } from "../access/index.ts";
import { cidrContains, formatCidr } from "../address.ts";
import { createPolicySelector } from "../compile/plan.ts";
import type { AddressRegion } from "../diff/index.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import { NAMESPACE_NAME_LABEL } from "../labels.ts";
import type { Cidr, Direction, Endpoint, EndpointSelector, LabelSelector, Policy, PolicyWorld } from "../model.ts";
import { meshPrefix } from "../named-peers.ts";
import { CHURN_LABELS } from "../simulate/label-groups.ts";
import { MAX_NETWORKS, type PictureGrouping, type PictureNodeKind } from "./model.ts";

const MAX_DEFAULT_KEYS = 4;
/** Keys that say most about what something is, where no policy says which count. */
const TELLING_KEYS = ["app", "app.kubernetes.io/name", "k8s-app", "role", "component", "tier", "env", "team"];

/** A node before it is known what is between it and others. */
export interface GroupedNode {
  readonly id: string;
  readonly kind: PictureNodeKind;
  readonly name: string;
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly members: Endpoint[];
  readonly networks: readonly string[];
  readonly regions: AddressRegion[];
}

export interface GroupedNodes {
  readonly nodes: readonly GroupedNode[];
  /** As it was used. */
  readonly grouping: PictureGrouping;
  /** What was put together, in words. */
  readonly notes: readonly string[];
  /** Of addresses that belong to no endpoint. */
  nodeOfPrefix(prefix: Cidr): GroupedNode;
}

/** Keys by which policies select, most used first; without any those that tell most. */
export function defaultKeys({ policies, inventory }: PolicyWorld): readonly string[] {
  const counts = new Map<string, number>();
  const count = (selector: LabelSelector) => {
    for (const { key } of selector.requirements) counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  const countEndpoints = ({ endpoints }: EndpointSelector) => count(endpoints);
  for (const policy of policies) {
    countEndpoints(policy.subject);
    for (const { peers } of policy.rules)
      for (const peer of peers ?? []) if (peer.kind === "endpoints") countEndpoints(peer.selector);
  }
  counts.delete(NAMESPACE_NAME_LABEL);
  const held = new Set(knownKeys(inventory.endpoints));
  const used = [...counts].filter(([key]) => held.has(key));
  const keys = used.sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1)).map(([key]) => key);
  if (keys.length > 0) return keys.slice(0, MAX_DEFAULT_KEYS);
  return TELLING_KEYS.filter((key) => held.has(key)).slice(0, 2);
}

/** Keys of labels that make groups, most used first. */
export function knownKeys(endpoints: readonly Endpoint[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { labels } of endpoints) for (const key of labels.keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const key of CHURN_LABELS) counts.delete(key);
  return [...counts].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1)).map(([key]) => key);
}

/** `model` is of the draft; `maxNodes` counts endpoints' groups. */
export function groupNodes(model: AccessModel, wanted: PictureGrouping, maxNodes: number): GroupedNodes {
  const { inventory, policies } = model.world;
  const notes: string[] = [];
  let grouping = wanted;
  let nodes = groupEndpoints(inventory.endpoints, grouping);
  while (nodes.length > maxNodes) {
    const coarser = coarserThan(grouping, model.world);
    if (coarser === null) {
      const { length } = nodes;
      nodes = [everybody(inventory.endpoints)];
      notes.push(`${count(length, "group")} are too many for a picture: all endpoints are together.`);
      break;
    }
    const next = groupEndpoints(inventory.endpoints, coarser);
    notes.push(
      `${count(nodes.length, "group")} by ${groupingText(grouping)} are more than ${maxNodes}: grouped by ${groupingText(coarser)}.`,
    );
    grouping = coarser;
    nodes = next;
  }
  const outside = groupOutside(policies, notes);
  return { nodes: [...nodes, ...outside.nodes], grouping, notes, nodeOfPrefix: outside.nodeOfPrefix };
}

const count = (value: number, noun: string) => `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;

export function groupingText(grouping: PictureGrouping): string {
  if (grouping.by !== "labels") return grouping.by;
  return grouping.keys.length === 0 ? "namespace" : grouping.keys.join(", ");
}

function coarserThan(grouping: PictureGrouping, world: PolicyWorld): PictureGrouping | null {
  switch (grouping.by) {
    case "endpoint":
      return { by: "labels", keys: defaultKeys(world) };
    case "labels":
      return grouping.keys.length > 1 ? { by: "labels", keys: grouping.keys.slice(0, -1) } : { by: "namespace" };
    case "host":
      return { by: "namespace" };
    case "namespace":
      return null;
  }
}

function groupEndpoints(endpoints: readonly Endpoint[], grouping: PictureGrouping): GroupedNode[] {
  const nodes = new Map<string, GroupedNode>();
  for (const endpoint of endpoints) {
    const found = nodeFor(endpoint, grouping);
    const known = nodes.get(found.id);
    if (known) known.members.push(endpoint);
    else nodes.set(found.id, { ...found, members: [endpoint], networks: [], regions: [] });
  }
  return [...nodes.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
}

type Found = Omit<GroupedNode, "members" | "networks" | "regions">;
const NO_LABELS: ReadonlyMap<string, string> = new Map();

function nodeFor(endpoint: Endpoint, grouping: PictureGrouping): Found {
  const { key, kind, name, namespace, hostName } = endpoint;
  const group = { kind: "group" as const, namespace, labels: NO_LABELS };
  switch (grouping.by) {
    case "endpoint":
      return { id: key, kind: "endpoint", name: nameOf(endpoint), namespace, labels: endpoint.labels };
    case "namespace":
      return { ...group, id: `namespace:${namespace}`, name: namespace };
    case "host":
      if (hostName === null) return { ...group, id: `elsewhere:${namespace}`, name: `${namespace}, on no known host` };
      return { ...group, id: `host:${hostName}`, name: hostName, namespace: "" };
    case "labels": {
      const labels = new Map(
        grouping.keys.flatMap((each) => {
          const value = endpoint.labels.get(each);
          return value === undefined ? [] : [[each, value] as const];
        }),
      );
      if (labels.size > 0) {
        const text = [...labels].map(([each, value]) => `${each}=${value}`).join(", ");
        return { ...group, id: `group:${namespace} ${text}`, name: text, labels };
      }
      const what = kind === "host" ? "hosts" : "workloads";
      const missing = grouping.keys.length === 0 ? "" : ` without ${grouping.keys.join(", ")}`;
      return { ...group, id: `rest:${namespace} ${kind}`, name: `${what}${missing}` };
    }
  }
  throw new Error(`${name} cannot be grouped`);
}

function nameOf({ kind, namespace, name }: Endpoint): string {
  return kind === "host" || namespace === "default" ? name : `${namespace}/${name}`;
}

function everybody(endpoints: readonly Endpoint[]): GroupedNode {
  const shared = { kind: "group" as const, namespace: "", labels: NO_LABELS, networks: [], regions: [] };
  return { ...shared, id: "everybody", name: "all endpoints", members: [...endpoints] };
}

/** Networks that policies name are nodes of their own, and so are the mesh and the rest of the world. */
function groupOutside(policies: readonly Policy[], notes: string[]) {
  const named = new Map<string, Cidr>();
  for (const { rules } of policies) {
    for (const { peers } of rules) {
      for (const peer of peers ?? []) {
        if (peer.kind !== "addresses") continue;
        for (const cidr of [peer.cidr, ...peer.except]) if (cidr.prefixLength > 0) named.set(prefixKey(cidr), cidr);
      }
    }
  }
  const networks = [...named.values()];
  const makeNode = (id: string, kind: PictureNodeKind, name: string, own: readonly string[] = []): GroupedNode => ({
    ...{ id, kind, name, namespace: "", labels: NO_LABELS, members: [], networks: own, regions: [] },
  });
  const world = makeNode("world", "world", "the rest of the world");
  const mesh = makeNode("mesh", "mesh", "other nodes of the mesh");
  const isMerged = networks.length > MAX_NETWORKS;
  const merged = makeNode(
    "net:*",
    "network",
    count(networks.length, "network"),
    networks.slice(0, 100).map(formatCidr),
  );
  if (isMerged) notes.push(`Policies name ${count(networks.length, "network")}: they are one node.`);
  const ofNetwork = new Map(
    networks.map((cidr) => {
      const text = formatCidr(cidr);
      return [cidr, isMerged ? merged : makeNode(`net:${text}`, "network", text, [text])] as const;
    }),
  );
  const byLength = networks.sort((left, right) => right.prefixLength - left.prefixLength);
  return {
    nodes: [...(isMerged ? [merged] : ofNetwork.values()), mesh, world],
    nodeOfPrefix: (prefix: Cidr): GroupedNode => {
      const network = byLength.find((cidr) => cidrContains(cidr, prefix));
      if (network) return ofNetwork.get(network) ?? world;
      return cidrContains(meshPrefix(), prefix) ? mesh : world;
    },
  };
}

export interface NodePolicies {
  readonly ingressMembers: number;
  readonly egressMembers: number;
  readonly policyKeys: readonly string[];
}

/** Says of nodes which policies of the draft select their members; a workload in its host's network has the host's too. */
export function createPolicyFinder({
  inventory,
  policies,
}: PolicyWorld): (members: readonly Endpoint[]) => NodePolicies {
  const select = createPolicySelector(inventory, policies);
  const hosts = new Map<string, Endpoint>();
  const hostOf = (name: string): Endpoint => {
    const host = hosts.get(name) ?? hostEndpoint(inventory, name);
    hosts.set(name, host);
    return host;
  };
  const policiesOf = (endpoint: Endpoint): ReadonlySet<Policy> => {
    const own = select(endpoint);
    if (!sharesHostNetwork(endpoint) || endpoint.hostName === null) return own;
    return new Set([...own, ...select(hostOf(endpoint.hostName))]);
  };
  return (members) => {
    const keys = new Set<string>();
    const counts = { ingress: 0, egress: 0 };
    for (const member of members) {
      const own = [...policiesOf(member)];
      for (const { key } of own) keys.add(key);
      for (const direction of ["ingress", "egress"] as const)
        if (own.some((policy) => speaksOf(policy, direction))) counts[direction] += 1;
    }
    return { ingressMembers: counts.ingress, egressMembers: counts.egress, policyKeys: [...keys].sort() };
  };
}

function speaksOf({ isolates, rules }: Policy, direction: Direction): boolean {
  return isolates[direction] || rules.some((rule) => rule.direction === direction);
}
