/**
 * A company's services as a world for measuring access: namespaces, hosts with app, tier and environment, many small
 * policies of the teams and a few of the administrators. The same size gives the same world.
 */
import type {
  Endpoint,
  EndpointSelector,
  LabelRequirement,
  NamespaceMatch,
  Peer,
  Policy,
  PolicyRule,
  PolicyWorld,
  PortMatch,
  SourceRange,
} from "@wardline/domain/policy";
import { parseCidr } from "@wardline/domain/policy";

export interface ServiceWorldSize {
  readonly policies: number;
  readonly hosts: number;
}

const NAMESPACES = 25;
/** Hosts of a service; a service is one app in one namespace. */
const REPLICAS = 3;
const TIERS = ["frontend", "backend", "database", "cache"] as const;
const ENVIRONMENTS = ["prod", "prod", "staging", "dev"] as const;
const NOWHERE: SourceRange = { file: "services.yaml", line: 1, column: 1, endLine: 1, endColumn: 1 };

interface Service {
  readonly app: string;
  readonly namespace: string;
  readonly tier: (typeof TIERS)[number];
  readonly environment: (typeof ENVIRONMENTS)[number];
}

function serviceAt(index: number): Service {
  return {
    app: `app-${index}`,
    namespace: `team-${index % NAMESPACES}`,
    tier: TIERS[index % TIERS.length] ?? "backend",
    environment: ENVIRONMENTS[(index >> 2) % ENVIRONMENTS.length] ?? "prod",
  };
}

export function makeServiceWorld({ policies, hosts }: ServiceWorldSize): PolicyWorld {
  const services = Math.ceil(hosts / REPLICAS);
  const admin = adminPolicies();
  const own = Array.from({ length: policies - admin.length }, (_, index) => servicePolicy(index, services));
  return {
    policies: [...admin, ...own].sort((left, right) => (left.key < right.key ? -1 : 1)),
    inventory: {
      endpoints: Array.from({ length: hosts }, (_, index) => makeHost(index)),
      namespaces: new Map(),
      domainAddresses: new Map(),
    },
  };
}

/** What a day leaves: 20 policies with another port, 10 gone, 10 new, and 5 new hosts of services that there are. */
export function afterADay(world: PolicyWorld): PolicyWorld {
  const services = Math.ceil(world.inventory.endpoints.length / REPLICAS);
  const step = Math.floor(world.policies.length / 40);
  const kept = world.policies.flatMap((policy, index): Policy[] => {
    if (index % step !== 0 || policy.tier !== "application") return [policy];
    return (index / step) % 4 === 0
      ? []
      : (index / step) % 2 === 0
        ? [policy]
        : [{ ...policy, rules: withPort(policy.rules) }];
  });
  const added = Array.from({ length: 10 }, (_, index) => servicePolicy(900_000 + index * 37, services));
  const hosts = Array.from({ length: 5 }, (_, index) => makeHost(world.inventory.endpoints.length + index, index * 70));
  return {
    policies: [...kept, ...added].sort((left, right) => (left.key < right.key ? -1 : 1)),
    inventory: { ...world.inventory, endpoints: [...world.inventory.endpoints, ...hosts] },
  };
}

function withPort(rules: readonly PolicyRule[]): readonly PolicyRule[] {
  return rules.map((rule, index) => (index === 0 ? { ...rule, ports: [port(4711)] } : rule));
}

/** `like`: a host of the same service. */
function makeHost(index: number, like = index): Endpoint {
  const service = serviceAt(Math.floor(like / REPLICAS));
  const name = `host-${index}`;
  const isSecondPort = like % 7 === 0;
  return {
    key: `Host/${name}`,
    kind: "host",
    name,
    namespace: service.namespace,
    labels: new Map([
      ["app", service.app],
      ["env", service.environment],
      ["kubernetes.io/hostname", name],
      ["tier", service.tier],
      ["zone", `zone-${index % 3}`],
    ]),
    addresses: [
      `10.${16 + (index >> 8)}.${index & 255}.10`,
      `2001:db8:${(index >> 8).toString(16)}::${(index & 255).toString(16)}`,
    ],
    ports: [
      { name: "http", protocol: 6, port: isSecondPort ? 8081 : 8080 },
      { name: "metrics", protocol: 6, port: 9100 },
    ],
    hostName: name,
    match: null,
    source: NOWHERE,
  };
}

/** What a team writes: one service, one or two peers, one to three ports. */
function servicePolicy(index: number, services: number): Policy {
  const place = index % services;
  const service = serviceAt(place);
  const round = Math.floor(index / services);
  const rules: PolicyRule[] = [
    rule("ingress", 0, [ingressPeer(place, round, services)], portsOf(index)),
    rule("egress", 0, [serviceEndpoints((place * 5 + round * 17 + 3) % services)], [port(443), port(53, 17)]),
  ];
  if (index % 3 === 0)
    rules.splice(
      1,
      0,
      rule("ingress", 1, [endpoints({ tier: "backend", env: service.environment })], [namedPort("metrics")]),
    );
  if (index % 11 === 0)
    rules.push(rule("egress", 1, [{ kind: "entity", entity: "world", source: NOWHERE }], [port(443)]));
  const name = `p${String(index).padStart(6, "0")}`;
  const selector = index % 9 === 0 ? { tier: service.tier, env: service.environment } : { app: service.app };
  return {
    ...policyBase(`NetworkPolicy/${service.namespace}/${name}`, name, service.namespace),
    tier: "application",
    isolates: { ingress: true, egress: index % 2 === 0 },
    subject: { ...select(selector), namespaces: { kind: "name", name: service.namespace } },
    rules: index % 2 === 0 ? rules : rules.filter(({ direction }) => direction === "ingress"),
  };
}

function ingressPeer(place: number, round: number, services: number): Peer {
  const kind = (place + round) % 10;
  if (kind === 0) return network(round, place);
  if (kind === 1) return endpoints({ tier: TIERS[round % TIERS.length] ?? "backend" }, `team-${place % NAMESPACES}`);
  if (kind === 2) {
    const among: LabelRequirement = { key: "env", operator: "NotIn", values: ["dev", "staging"] };
    return {
      kind: "endpoints",
      source: NOWHERE,
      selector: { namespaces: { kind: "any" }, endpoints: { requirements: [among, equals("tier", "frontend")] } },
    };
  }
  return serviceEndpoints((place * 3 + round * 13 + 1) % services);
}

function serviceEndpoints(index: number): Peer {
  const service = serviceAt(index);
  return endpoints({ app: service.app }, service.namespace);
}

function endpoints(labels: Readonly<Record<string, string>>, namespace?: string): Peer {
  const namespaces: NamespaceMatch = namespace === undefined ? { kind: "any" } : { kind: "name", name: namespace };
  return { kind: "endpoints", selector: { ...select(labels), namespaces }, source: NOWHERE };
}

function network(round: number, place: number): Peer {
  const wide = prefix(`10.${16 + (round % 4)}.0.0/16`);
  if (place % 3 === 0)
    return { kind: "addresses", cidr: prefix(`192.168.${place % 256}.0/24`), except: [], source: NOWHERE };
  return {
    kind: "addresses",
    cidr: wide,
    except: [prefix(`10.${16 + (round % 4)}.${place % 64}.0/24`)],
    source: NOWHERE,
  };
}

function portsOf(index: number): readonly PortMatch[] {
  if (index % 4 === 0) return [namedPort("http")];
  if (index % 4 === 1) return [port(5432), port(6379)];
  if (index % 4 === 2) return [range(6, 8000 + (index % 50), 8000 + (index % 50) + 10)];
  return [port(443), port(22), port(53, 17)];
}

function adminPolicies(): readonly Policy[] {
  const everyone = select({});
  const make = (name: string, priority: number, subject: EndpointSelector, rules: readonly PolicyRule[]): Policy => ({
    ...policyBase(`AdminNetworkPolicy/${name}`, name, null),
    tier: "admin",
    priority,
    subject,
    rules,
  });
  const metadata: Peer = { kind: "addresses", cidr: prefix("169.254.169.254/32"), except: [], source: NOWHERE };
  return [
    make("monitoring", 10, everyone, [rule("ingress", 0, [serviceEndpoints(1)], [namedPort("metrics")])]),
    make("metadata", 20, everyone, [{ ...rule("egress", 0, [metadata], null), action: "deny" }]),
    make("dev-to-prod", 30, select({ env: "dev" }), [
      { ...rule("egress", 0, [endpoints({ env: "prod" })], null), action: "deny" },
    ]),
    make("names", 40, everyone, [rule("egress", 0, [serviceEndpoints(2)], [port(53, 17), port(53)])]),
    {
      ...make("observed", 50, select({ env: "staging" }), [
        { ...rule("ingress", 0, [endpoints({ env: "dev" })], null), action: "deny" },
      ]),
      mode: "observe",
    },
  ];
}

function policyBase(key: string, name: string, namespace: string | null): Omit<Policy, "tier" | "subject" | "rules"> {
  return {
    key,
    apiVersion: "networking.k8s.io/v1",
    kind: key.slice(0, key.indexOf("/")),
    name,
    namespace,
    priority: 0,
    mode: "enforce",
    description: null,
    expiresAtUnixMs: null,
    isolates: { ingress: false, egress: false },
    source: NOWHERE,
  };
}

function select(labels: Readonly<Record<string, string>>): EndpointSelector {
  const requirements = Object.entries(labels).map(([key, value]) => equals(key, value));
  return { namespaces: { kind: "any" }, endpoints: { requirements } };
}

function equals(key: string, value: string): LabelRequirement {
  return { key, operator: "In", values: [value] };
}

function rule(
  direction: PolicyRule["direction"],
  index: number,
  peers: readonly Peer[],
  ports: readonly PortMatch[] | null,
): PolicyRule {
  return { direction, index, name: null, action: "allow", peers, ports, source: NOWHERE };
}

function port(number: number, protocol = 6): PortMatch {
  return range(protocol, number, number);
}

function range(protocol: number, low: number, high: number): PortMatch {
  return { kind: "range", protocol, low, high, source: NOWHERE };
}

function namedPort(name: string): PortMatch {
  return { kind: "named", protocol: 6, name, source: NOWHERE };
}

function prefix(text: string) {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text} is not a prefix`);
  return parsed.cidr;
}
