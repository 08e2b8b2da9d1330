/** The inventory of a policy case: namespaces, workloads and nodes as endpoints of the model. */
import { canonicalAddress } from "../address.ts";
import { NAME_RULES, type NameKind } from "../formats/names.ts";
import { type Endpoint, type Inventory, type NamedPort, type Namespace, PROTOCOL } from "../model.ts";
import { asBoolean, asInteger, asList, asMap, asObject, asOneOf, asText, type Located, wrong } from "./json.ts";
import { VECTOR_LIMITS } from "./vector.ts";

/** Where workloads are that share no node's network: one host for all, so that one program decides a whole case. */
const WORKLOADS_HOST = "(workloads)";

export const TRANSPORTS = { TCP: PROTOCOL.tcp, UDP: PROTOCOL.udp, SCTP: PROTOCOL.sctp } as const;
export const TRANSPORT_NAMES = Object.keys(TRANSPORTS) as (keyof typeof TRANSPORTS)[];

export function readInventory(at: Located): Inventory {
  const fields = asObject(at, ["namespaces", "workloads"], ["nodes"]);
  const namespaces = asList(fields.namespaces, { max: VECTOR_LIMITS.namespaces }).map(readNamespace);
  const nodes = fields.nodes ? asList(fields.nodes, { max: VECTOR_LIMITS.nodes }).map(readNode) : [];
  const workloads = asList(fields.workloads, { max: VECTOR_LIMITS.workloads }).map((item) => readWorkload(item, nodes));
  const endpoints = [...nodes, ...workloads];
  requireUnique(
    fields.namespaces,
    "namespace",
    namespaces.map(({ name }) => name),
  );
  requireUnique(
    at,
    "name",
    endpoints.map(({ key }) => key),
  );
  requireUnique(
    at,
    "address",
    endpoints.flatMap(({ addresses }) => addresses),
  );
  return {
    endpoints,
    namespaces: new Map(namespaces.map((namespace) => [namespace.name, namespace])),
    domainAddresses: new Map(),
  };
}

function requireUnique(at: Located, what: string, values: readonly string[]): void {
  const seen = new Set<string>();
  for (const value of values) {
    if (seen.has(value)) throw wrong(at, `has the ${what} ${value} more than once`);
    seen.add(value);
  }
}

function readName(at: Located, kind: NameKind): string {
  const rule = NAME_RULES[kind];
  const text = asText(at, rule.maxLength);
  if (!rule.pattern.test(text)) throw wrong(at, `must be ${rule.description}`);
  return text;
}

function readLabels(at: Located): ReadonlyMap<string, string> {
  return new Map(
    asMap(at, VECTOR_LIMITS.labels).map(([key, value]) => {
      if (key.length > VECTOR_LIMITS.nameLength) throw wrong(at, "has a key that is too long");
      return [key, readName(value, "labelValue")];
    }),
  );
}

/** Without the label that every namespace has the case says nothing about selectors by name; the format requires it. */
function readNamespace(at: Located): Namespace {
  const fields = asObject(at, ["name", "labels"], []);
  const name = readName(fields.name, "label");
  const labels = readLabels(fields.labels);
  if (labels.get("kubernetes.io/metadata.name") !== name) {
    throw wrong(fields.labels, `must hold kubernetes.io/metadata.name: ${name}`);
  }
  return { name, labels };
}

function readAddresses(at: Located): readonly string[] {
  return asList(at, { min: 1, max: VECTOR_LIMITS.addresses }).map(readAddress);
}

export function readAddress(at: Located): string {
  const address = canonicalAddress(asText(at, VECTOR_LIMITS.nameLength));
  if (address === null) throw wrong(at, "must be an IPv4 or IPv6 address");
  return address;
}

function readPort(at: Located): NamedPort {
  const fields = asObject(at, ["name", "protocol", "port"], []);
  return {
    name: readName(fields.name, "port"),
    protocol: TRANSPORTS[asOneOf(fields.protocol, TRANSPORT_NAMES)],
    port: asInteger(fields.port, 1, 0xffff),
  };
}

function readNode(at: Located): Endpoint {
  const fields = asObject(at, ["name", "labels", "addresses"], []);
  const name = readName(fields.name, "subdomain");
  return {
    key: `Host/${name}`,
    kind: "host",
    name,
    namespace: "default",
    labels: readLabels(fields.labels),
    addresses: readAddresses(fields.addresses),
    ports: [],
    hostName: name,
    match: null,
    source: null,
  };
}

/** A workload in the network of its node has no addresses of its own in the model. */
function readWorkload(at: Located, nodes: readonly Endpoint[]): Endpoint {
  const fields = asObject(at, ["name", "namespace", "labels", "addresses", "ports"], ["node", "hostNetwork"]);
  const name = readName(fields.name, "subdomain");
  const namespace = readName(fields.namespace, "label");
  const addresses = readAddresses(fields.addresses);
  const inHostNetwork = fields.hostNetwork ? asBoolean(fields.hostNetwork) : false;
  const node = fields.node ? findNode(fields.node, nodes) : undefined;
  if (inHostNetwork && node === undefined) throw wrong(at, "uses the network of its node and names none");
  if (inHostNetwork && !addresses.every((address) => node?.addresses.includes(address))) {
    throw wrong(fields.addresses, "must be addresses of its node, whose network it uses");
  }
  return {
    key: `Workload/${namespace}/${name}`,
    kind: "workload",
    name,
    namespace,
    labels: readLabels(fields.labels),
    addresses: inHostNetwork ? [] : addresses,
    ports: asList(fields.ports, { max: VECTOR_LIMITS.ports }).map(readPort),
    hostName: node?.name ?? WORKLOADS_HOST,
    match: { kind: "cgroupPath", path: `/${namespace}/${name}` },
    source: null,
  };
}

function findNode(at: Located, nodes: readonly Endpoint[]): Endpoint {
  const name = readName(at, "subdomain");
  const node = nodes.find((candidate) => candidate.name === name);
  if (node === undefined) throw wrong(at, `names the node ${name}, which the inventory does not have`);
  return node;
}
