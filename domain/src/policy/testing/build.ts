/** Short ways to write policies and endpoints of the model in tests. */
import { parseCidr } from "../address.ts";
import type {
  Cidr,
  Endpoint,
  EndpointSelector,
  Inventory,
  LabelSelector,
  Peer,
  Policy,
  PolicyRule,
  PolicyWorld,
  PortMatch,
  SourceRange,
} from "../model.ts";

export const NOWHERE: SourceRange = { file: "test.yaml", line: 1, column: 1, endLine: 1, endColumn: 1 };

export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text} is not a prefix`);
  return parsed.cidr;
}

export function host(name: string, fields: Partial<Endpoint> = {}): Endpoint {
  return {
    key: `Host/${name}`,
    kind: "host",
    name,
    namespace: "default",
    labels: new Map([["name", name]]),
    addresses: [],
    ports: [],
    hostName: name,
    match: null,
    source: NOWHERE,
    ...fields,
  };
}

/** On the host, without addresses of its own unless given. */
export function workload(name: string, hostName: string | null, fields: Partial<Endpoint> = {}): Endpoint {
  const namespace = fields.namespace ?? "default";
  return {
    ...host(name, fields),
    key: `Workload/${namespace}/${name}`,
    kind: "workload",
    namespace,
    hostName,
    match: hostName === null ? null : { kind: "systemdUnit", unit: `${name}.service` },
  };
}

/** `name=web` and so on; all must hold. */
export function labels(...pairs: readonly string[]): LabelSelector {
  return {
    requirements: pairs.map((pair) => {
      const [key = "", value = ""] = pair.split("=");
      return { key, operator: "In", values: [value] };
    }),
  };
}

export function selectorFor(...pairs: readonly string[]): EndpointSelector {
  return { namespaces: { kind: "any" }, endpoints: labels(...pairs) };
}

export function endpointsPeer(...pairs: readonly string[]): Peer {
  return { kind: "endpoints", selector: selectorFor(...pairs), source: NOWHERE };
}

export function addressPeer(prefix: string, ...except: readonly string[]): Peer {
  return { kind: "addresses", cidr: cidr(prefix), except: except.map(cidr), source: NOWHERE };
}

export function ports(protocol: number, low: number, high = low): PortMatch {
  return { kind: "range", protocol, low, high, source: NOWHERE };
}

export function namedPort(protocol: number, name: string): PortMatch {
  return { kind: "named", protocol, name, source: NOWHERE };
}

/** Any peer, any port, allow, unless given. */
export function rule(direction: PolicyRule["direction"], fields: Partial<PolicyRule> = {}): PolicyRule {
  return { direction, index: 0, name: null, action: "allow", peers: null, ports: null, source: NOWHERE, ...fields };
}

/** Selects everything in the application tier and isolates both directions, unless given. */
export function policy(name: string, fields: Partial<Policy> = {}): Policy {
  const tier = fields.tier ?? "application";
  return {
    key: `Policy/default/${name}`,
    apiVersion: "wardline.io/v1",
    kind: "Policy",
    name,
    namespace: "default",
    tier,
    priority: 0,
    mode: "enforce",
    description: null,
    expiresAtUnixMs: null,
    subject: selectorFor(),
    isolates: { ingress: tier === "application", egress: tier === "application" },
    rules: [],
    source: NOWHERE,
    ...fields,
  };
}

export function world(
  endpoints: readonly Endpoint[],
  policies: readonly Policy[],
  namespaces: Inventory["namespaces"] = new Map(),
): PolicyWorld {
  return {
    inventory: { endpoints, namespaces, domainAddresses: new Map() },
    policies: policies.toSorted((left, right) => (left.key < right.key ? -1 : 1)),
  };
}
