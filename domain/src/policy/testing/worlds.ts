import fc from "fast-check";
import { cidrContains, parseCidr } from "../address.ts";
import {
  type Action,
  type Cidr,
  ENTITIES,
  type Endpoint,
  type EndpointSelector,
  type LabelRequirement,
  type LabelSelector,
  type NamedPort,
  type Namespace,
  type NamespaceMatch,
  type Peer,
  type Policy,
  type PolicyRule,
  type PolicyWorld,
  type PortMatch,
  type SourceRange,
  type Tier,
} from "../model.ts";

const NOWHERE: SourceRange = { file: "generated.yaml", line: 1, column: 1, endLine: 1, endColumn: 1 };

/** Hosts of generated worlds. The last one is never declared by a document. */
export const GENERATED_HOST_NAMES = ["alpha", "beta", "gamma", "undeclared"] as const;

const NAMESPACES = ["default", "prod", "test"] as const;

/** Nested, adjacent and overlapping prefixes, so that excepts and longest matches are exercised. */
const PREFIXES = [
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.0.0.0/9",
  "10.128.0.0/9",
  "10.1.0.0/16",
  "10.1.1.0/24",
  "10.1.1.0/31",
  "10.1.1.2/32",
  "10.1.1.128/25",
  "192.0.2.0/24",
  "255.255.255.255/32",
  "::/0",
  "2001:db8::/32",
  "2001:db8:1::/48",
  "2001:db8:1::/64",
  "2001:db8:1::2/127",
  "2001:db8:1::3/128",
  // Of a mesh node: all of the overlay, the node of a key, its routed prefix.
  "200::/7",
  "201:5522:b70b:f5f3:9f70:6c05:ad38:9484/128",
  "301:5522:b70b:f5f3::/64",
] as const;

const ADDRESSES = [
  "10.1.1.1",
  "10.1.1.2",
  "10.1.2.3",
  "10.2.0.1",
  "192.0.2.7",
  "2001:db8:1::1",
  "2001:db8:1::2",
  "2001:db8:1::3",
  "2001:db8:2::1",
  "200:db8::1",
  "201:5522:b70b:f5f3:9f70:6c05:ad38:9484",
  "301:5522:b70b:f5f3::7",
] as const;

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text} is not a prefix`);
  return parsed.cidr;
}

const labels = fc
  .record({ app: fc.constantFrom("web", "db", "cache"), zone: fc.constantFrom("a", "b") }, { requiredKeys: [] })
  .map((record): ReadonlyMap<string, string> => new Map(Object.entries(record)));

const requirement: fc.Arbitrary<LabelRequirement> = fc.oneof(
  fc.record({
    key: fc.constantFrom("app", "zone"),
    operator: fc.constantFrom("In" as const, "NotIn" as const),
    values: fc.uniqueArray(fc.constantFrom("web", "db", "cache", "a", "b"), { minLength: 1, maxLength: 2 }),
  }),
  fc.record({
    key: fc.constantFrom("app", "zone", "absent"),
    operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
    values: fc.constant([]),
  }),
);

const selector: fc.Arbitrary<LabelSelector> = fc.record({
  requirements: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 3, arbitrary: fc.array(requirement, { minLength: 1, maxLength: 2 }) },
  ),
});

const namespaceSelector: fc.Arbitrary<LabelSelector> = fc.constantFrom(
  { requirements: [] },
  { requirements: [{ key: "kubernetes.io/metadata.name", operator: "In" as const, values: ["prod", "default"] }] },
  { requirements: [{ key: "stage", operator: "In" as const, values: ["live"] }] },
  { requirements: [{ key: "stage", operator: "DoesNotExist" as const, values: [] }] },
);

const namespaceMatch: fc.Arbitrary<NamespaceMatch> = fc.oneof(
  fc.constant({ kind: "any" as const }),
  fc.record({ kind: fc.constant("name" as const), name: fc.constantFrom(...NAMESPACES) }),
  fc.record({ kind: fc.constant("selector" as const), selector: namespaceSelector }),
);

const endpointSelector: fc.Arbitrary<EndpointSelector> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ namespaces: namespaceMatch, endpoints: selector }) },
  {
    weight: 1,
    arbitrary: fc.record({
      namespaces: namespaceMatch,
      endpoints: selector,
      kind: fc.constantFrom("host" as const, "workload" as const),
    }),
  },
);

const addressPeer: fc.Arbitrary<Peer> = fc
  .tuple(fc.constantFrom(...PREFIXES).map(cidr), fc.subarray([...PREFIXES], { maxLength: 3 }))
  .map(([prefix, texts]) => ({
    kind: "addresses",
    cidr: prefix,
    except: texts.map(cidr).filter((inner) => cidrContains(prefix, inner)),
    source: NOWHERE,
  }));

const peer: fc.Arbitrary<Peer> = fc.oneof(
  fc.record({ kind: fc.constant("endpoints" as const), selector: endpointSelector, source: fc.constant(NOWHERE) }),
  addressPeer,
  fc.record({
    kind: fc.constant("entity" as const),
    entity: fc.constantFrom(...ENTITIES),
    source: fc.constant(NOWHERE),
  }),
  fc.record({
    kind: fc.constant("domains" as const),
    names: fc.constantFrom(["a.example.org"], ["*.example.org"], ["b.a.example.org", "example.org"], ["unknown.test"]),
    source: fc.constant(NOWHERE),
  }),
);

const range = (protocol: number, low: number, high: number): PortMatch => ({
  kind: "range",
  protocol,
  low,
  high,
  source: NOWHERE,
});

const portMatch: fc.Arbitrary<PortMatch> = fc.oneof(
  fc.constantFrom(
    range(6, 80, 80),
    range(6, 80, 90),
    range(6, 81, 443),
    range(6, 0, 0xffff),
    range(6, 1, 0xffff),
    range(6, 1024, 0xfffe),
    range(17, 53, 53),
    range(17, 0, 0xffff),
    range(17, 32768, 60999),
    range(132, 80, 80),
    range(1, 8 << 8, (8 << 8) | 0xff),
    range(1, 3 << 8, (3 << 8) | 3),
    range(58, 128 << 8, (128 << 8) | 0xff),
    range(47, 0, 0xffff),
  ),
  fc
    .tuple(fc.constantFrom(6, 17), fc.nat(0xffff), fc.nat(0xffff))
    .map(([protocol, one, other]) => range(protocol, Math.min(one, other), Math.max(one, other))),
  fc.record({
    kind: fc.constant("named" as const),
    protocol: fc.constantFrom(6, 17),
    name: fc.constantFrom("http", "dns"),
    source: fc.constant(NOWHERE),
  }),
);

function policyRule(actions: readonly Action[]): fc.Arbitrary<Omit<PolicyRule, "index">> {
  return fc.record({
    direction: fc.constantFrom("ingress" as const, "egress" as const),
    name: fc.option(fc.constantFrom("first", "second"), { freq: 4 }),
    action: fc.constantFrom(...actions),
    peers: fc.option(fc.array(peer, { maxLength: 3 }), { freq: 3 }),
    ports: fc.option(fc.array(portMatch, { maxLength: 3 }), { freq: 3 }),
    source: fc.constant(NOWHERE),
  });
}

/** Ingress first, numbered within their direction, as the readers leave them. */
function numbered(rules: readonly Omit<PolicyRule, "index">[]): readonly PolicyRule[] {
  return (["ingress", "egress"] as const).flatMap((direction) =>
    rules.filter((rule) => rule.direction === direction).map((rule, index) => ({ ...rule, index })),
  );
}

function policy(tier: Tier, actions: readonly Action[]): fc.Arbitrary<Omit<Policy, "key" | "name">> {
  return fc
    .record({
      priority: tier === "application" ? fc.constant(0) : fc.integer({ min: 0, max: 3 }),
      namespace: fc.constantFrom(...NAMESPACES),
      mode: fc.oneof(
        { weight: 4, arbitrary: fc.constant("enforce" as const) },
        { weight: 1, arbitrary: fc.constant("observe" as const) },
      ),
      subject: endpointSelector,
      isolates: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }),
      rules: fc.array(policyRule(actions), { maxLength: 4 }),
    })
    .map((fields) => ({
      ...fields,
      apiVersion: "generated/v1",
      kind: "Policy",
      tier,
      description: null,
      expiresAtUnixMs: null,
      isolates: tier === "application" ? fields.isolates : { ingress: false, egress: false },
      rules: numbered(fields.rules),
      source: NOWHERE,
    }));
}

const anyPolicy = fc.oneof(
  { weight: 5, arbitrary: policy("application", ["allow"]) },
  { weight: 2, arbitrary: policy("admin", ["allow", "deny", "pass"]) },
  { weight: 2, arbitrary: policy("baseline", ["allow", "deny", "pass"]) },
  { weight: 1, arbitrary: policy("safety", ["allow"]) },
);

const namedPorts: fc.Arbitrary<readonly NamedPort[]> = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom("http", "dns"),
    protocol: fc.constantFrom(6, 17),
    port: fc.constantFrom(53, 80, 8080, 65535),
  }),
  { maxLength: 2, selector: (port) => `${port.name}/${port.protocol}` },
);

const endpointBase = {
  labels,
  namespace: fc.constantFrom(...NAMESPACES),
  addresses: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { maxLength: 3 }),
  ports: namedPorts,
};

const host = (name: string): fc.Arbitrary<Endpoint> =>
  fc.record(endpointBase).map((fields) => ({
    ...fields,
    key: `Host/${name}`,
    kind: "host",
    name,
    hostName: name,
    match: null,
    source: NOWHERE,
  }));

const workload = (name: string): fc.Arbitrary<Endpoint> =>
  fc
    .record({ ...endpointBase, own: fc.boolean(), hostName: fc.constantFrom(...GENERATED_HOST_NAMES, null) })
    .map(({ own, ...fields }) => ({
      ...fields,
      addresses: own || fields.hostName === null ? fields.addresses : [],
      key: `Workload/${fields.namespace}/${name}`,
      kind: "workload",
      name,
      match: fields.hostName === null ? null : { kind: "systemdUnit", unit: `${name}.service` },
      source: NOWHERE,
    }));

const endpoints = fc
  .tuple(
    fc.tuple(...GENERATED_HOST_NAMES.slice(0, -1).map(host)),
    fc
      .integer({ min: 0, max: 4 })
      .chain((count) => fc.tuple(...Array.from({ length: count }, (_, position) => workload(`worker${position}`)))),
  )
  .map(([hosts, workloads]): readonly Endpoint[] => [...hosts, ...workloads]);

const NAMESPACE_MAP: ReadonlyMap<string, Namespace> = new Map(
  NAMESPACES.map((name) => [
    name,
    {
      name,
      labels: new Map([
        ["kubernetes.io/metadata.name", name],
        ...(name === "prod" ? [["stage", "live"] as const] : []),
      ]),
    },
  ]),
);

/** Addresses that prefixes and endpoints have too, and one of their own. */
const DOMAIN_ADDRESSES: ReadonlyMap<string, readonly string[]> = new Map([
  ["example.org", ["203.0.113.80"]],
  ["a.example.org", [ADDRESSES[0], "2001:db8::80"]],
  ["b.a.example.org", [ADDRESSES[1]]],
]);

export interface WorldOptions {
  /** Default 6. */
  readonly maxPolicies?: number;
}

/**
 * A world with all tiers, actions, modes, peer and port kinds; small alphabets, so that rules meet each other. Three
 * declared hosts, up to four workloads on them or nowhere, some of them behind the same address.
 */
export function arbitraryWorld(options: WorldOptions = {}): fc.Arbitrary<PolicyWorld> {
  return fc.tuple(endpoints, fc.array(anyPolicy, { maxLength: options.maxPolicies ?? 6 })).map(([all, policies]) => ({
    inventory: { endpoints: all, namespaces: NAMESPACE_MAP, domainAddresses: DOMAIN_ADDRESSES },
    policies: policies
      .map((fields, position) => ({ ...fields, name: `p${position}`, key: `Policy/${fields.namespace}/p${position}` }))
      .toSorted((left, right) => (left.key < right.key ? -1 : 1)),
  }));
}
