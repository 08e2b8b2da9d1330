/**
 * Worlds for measuring the policy engine: 10,000 policies over 1,000 hosts unless told otherwise, in the shapes that cost
 * a compiler differently. The same shape and size give the same world.
 */
import type {
  Cidr,
  Endpoint,
  EndpointSelector,
  LabelRequirement,
  Peer,
  Policy,
  PolicyRule,
  PolicyWorld,
  PortMatch,
  SourceRange,
} from "@wardline/domain/policy";

export const WORLD_SHAPES = ["sparse", "dense", "flat", "wide", "named", "tiers"] as const;

/**
 * - `sparse`: about 33 policies select each host, their peers are groups of hosts;
 * - `dense`: about 500 select each host, and a fifth of their rules match any other host, so that no two are alike;
 * - `flat`: all select every host, with groups of hosts as their peers;
 * - `wide`: about 100 select each host, each with 10 networks that have excepts inside and lie in each other;
 * - `named`: as sparse, with port names that mean different numbers on different hosts, and workloads;
 * - `tiers`: admin, application and baseline policies with pass, denials and observe mode, entities, workloads.
 */
export type WorldShape = (typeof WORLD_SHAPES)[number];

export interface WorldSize {
  readonly policies: number;
  readonly hosts: number;
}

export const FULL_SIZE: WorldSize = { policies: 10_000, hosts: 1_000 };

const GROUPS = 300;
const ZONES = 20;
const RACKS = 50;

export function hostNameAt(index: number): string {
  return `h${index}`;
}

export function makeWorld(shape: WorldShape, size: WorldSize = FULL_SIZE): PolicyWorld {
  const endpoints = makeHosts(size.hosts, shape);
  if (shape === "named" || shape === "tiers") endpoints.push(...makeWorkloads(size.hosts));
  const policies = Array.from({ length: size.policies }, (_, index) => MAKERS[shape](index));
  return {
    policies: policies.sort((left, right) => (left.key < right.key ? -1 : 1)),
    inventory: { endpoints, namespaces: new Map(), domainAddresses: new Map() },
  };
}

/** The same world with one rule of one policy changed: what an edit of one file leaves. */
export function withOnePolicyChanged(world: PolicyWorld, index: number, port: number): PolicyWorld {
  const policies = world.policies.map((policy, position) => {
    if (position !== index) return policy;
    const rules = policy.rules.map((rule, at) => (at === 0 ? { ...rule, ports: [range(6, port)] } : rule));
    return { ...policy, rules };
  });
  return { ...world, policies };
}

const MAKERS: Record<WorldShape, (index: number) => Policy> = {
  sparse: (index) =>
    makePolicy(index, [`group=g${index % GROUPS}`], {
      rules: [
        allow("ingress", 0, [groupPeer(index * 7), groupPeer(index * 13 + 1)], [range(6, 1000 + (index % 50))]),
        allow("egress", 0, [groupPeer(index * 11 + 2)], [range(6, 443), range(17, 53)]),
      ],
    }),
  dense: (index) =>
    makePolicy(index, [`zone=z${index % ZONES}`], {
      rules: [
        allow(
          "ingress",
          0,
          [groupPeer(index * 7), fifthOfHosts(index)],
          [range(6, 1000 + (index % 200)), range(6, 8000 + (index % 90), 8100)],
        ),
        allow("ingress", 1, [network(10, index % 16, 0, 0, 16 + (index % 9))], [range(17, 1 + (index % 400))]),
        allow("egress", 0, [fifthOfHosts(index * 3 + 1)], [range(6, 5000 + (index % 300))]),
      ],
    }),
  flat: (index) =>
    makePolicy(index, [], {
      rules: [
        allow("ingress", 0, [groupPeer(index * 7)], [range(6, 1000 + (index % 500))]),
        allow("egress", 0, [groupPeer(index * 11 + 2)], [range(6, 443), range(17, 1000 + (index % 300))]),
      ],
    }),
  wide: (index) =>
    makePolicy(index, [`wide=w${index % 100}`], {
      rules: [
        allow(
          "ingress",
          0,
          Array.from({ length: 10 }, (_, part) => wideNetwork(index * 10 + part)),
          [range(6, 1000 + (index % 60), 1000 + (index % 60) + (index % 5))],
        ),
      ],
    }),
  named: (index) =>
    makePolicy(index, [`group=g${index % GROUPS}`], {
      rules: [
        allow("ingress", 0, [groupPeer(index * 7)], [named("http"), named("metrics"), range(6, 22)]),
        allow("egress", 0, [groupPeer(index * 11 + 2), groupPeer(index * 17)], [named("http"), named("dns", 17)]),
        allow("egress", 1, null, [named("metrics")]),
      ],
    }),
  tiers: (index) => {
    const tier = index % 10 === 0 ? "admin" : index % 10 === 1 ? "baseline" : "application";
    const group = `group=g${Math.floor(index / 10) % GROUPS}`;
    const service = [range(6, 1000 + (index % 80), 1000 + (index % 80) + 3)];
    const first = tier === "application" ? "allow" : (["allow", "deny", "pass"] as const)[index % 3];
    return makePolicy(index, tier === "application" ? [group] : [`zone=z${Math.floor(index / 10) % ZONES}`], {
      tier,
      priority: tier === "application" ? 0 : index % 100,
      mode: index % 25 === 0 ? "observe" : "enforce",
      rules: [
        { ...allow("ingress", 0, [groupPeer(index * 7), wideNetwork(index % 500)], service), action: first ?? "allow" },
        allow("egress", 0, [entity(index % 3 === 0 ? "world" : "cluster")], [range(6, 443), named("http")]),
      ],
    });
  },
};

const NOWHERE: SourceRange = { file: "bench.yaml", line: 1, column: 1, endLine: 1, endColumn: 1 };

function makeHosts(count: number, shape: WorldShape): Endpoint[] {
  return Array.from({ length: count }, (_, index): Endpoint => {
    const name = hostNameAt(index);
    return {
      key: `Host/${name}`,
      kind: "host",
      name,
      namespace: "default",
      labels: new Map([
        ["group", `g${index % GROUPS}`],
        ["zone", `z${index % ZONES}`],
        ["wide", `w${index % 100}`],
        ["rack", `r${(index * 7919 + (index >> 3)) % RACKS}`],
      ]),
      addresses: [`172.16.${index >> 8}.${index & 255}`, `2001:db8::${index.toString(16)}`],
      ports:
        shape === "named" || shape === "tiers"
          ? [
              { name: "http", protocol: 6, port: [80, 8080, 3000, 9000][index % 4] ?? 80 },
              { name: "metrics", protocol: 6, port: 9100 + (index % 3) },
            ]
          : [],
      hostName: name,
      match: null,
      source: NOWHERE,
    };
  });
}

/** Two on each host: one behind the host's addresses, one with its own. */
function makeWorkloads(hosts: number): readonly Endpoint[] {
  return Array.from({ length: hosts * 2 }, (_, index): Endpoint => {
    const name = `w${index}`;
    const host = index >> 1;
    return {
      key: `Workload/default/${name}`,
      kind: "workload",
      name,
      namespace: "default",
      labels: new Map([
        ["group", `g${(index * 3) % GROUPS}`],
        ["zone", `z${index % ZONES}`],
      ]),
      addresses: index % 2 === 0 ? [] : [`172.20.${host >> 8}.${host & 255}`],
      ports: [{ name: "http", protocol: 6, port: 8000 + (index % 5) }],
      hostName: hostNameAt(host),
      match: { kind: "systemdUnit", unit: `${name}.service` },
      source: NOWHERE,
    };
  });
}

function makePolicy(index: number, subject: readonly string[], fields: Partial<Policy>): Policy {
  const name = `p${String(index).padStart(6, "0")}`;
  const isolates = (fields.tier ?? "application") === "application";
  return {
    key: `NetworkPolicy/default/${name}`,
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    name,
    namespace: "default",
    tier: "application",
    priority: 0,
    mode: "enforce",
    description: null,
    expiresAtUnixMs: null,
    subject: selector(...subject.map(equals)),
    isolates: { ingress: isolates, egress: isolates },
    rules: [],
    source: NOWHERE,
    ...fields,
  };
}

type Requirement = readonly [key: string, operator: LabelRequirement["operator"], values: readonly string[]];

function equals(pair: string): Requirement {
  const [key = "", value = ""] = pair.split("=");
  return [key, "In", [value]];
}

function selector(...requirements: readonly Requirement[]): EndpointSelector {
  return {
    namespaces: { kind: "name", name: "default" },
    endpoints: { requirements: requirements.map(([key, operator, values]) => ({ key, operator, values })) },
  };
}

function allow(
  direction: PolicyRule["direction"],
  index: number,
  peers: readonly Peer[] | null,
  ports: readonly PortMatch[],
): PolicyRule {
  return { direction, index, name: null, action: "allow", peers, ports, source: NOWHERE };
}

function peer(...requirements: readonly Requirement[]): Peer {
  return { kind: "endpoints", selector: selector(...requirements), source: NOWHERE };
}

function groupPeer(seed: number): Peer {
  return peer(equals(`group=g${seed % GROUPS}`));
}

/** A selector over one of three labels with a fifth of its values. */
function fifthOfHosts(seed: number): Peer {
  const [key, letter, count] = [
    ["group", "g", GROUPS] as const,
    ["zone", "z", ZONES] as const,
    ["rack", "r", RACKS] as const,
  ][seed % 3] ?? ["zone", "z", ZONES];
  const values = Array.from(
    { length: count / 5 },
    (_, part) => `${letter}${(seed * 17 + part * (1 + 2 * (seed % 11))) % count}`,
  );
  return peer([key, "In", values]);
}

function entity(name: "world" | "cluster"): Peer {
  return { kind: "entity", entity: name, source: NOWHERE };
}

function cidr(bytes: readonly number[], prefixLength: number): Cidr {
  const masked = bytes.map((byte, position) => {
    const bits = Math.min(8, Math.max(0, prefixLength - position * 8));
    return byte & (0xff << (8 - bits)) & 0xff;
  });
  return { family: 4, bytes: Uint8Array.from(masked), prefixLength };
}

function network(first: number, second: number, third: number, fourth: number, prefixLength: number): Peer {
  return { kind: "addresses", cidr: cidr([first, second, third, fourth], prefixLength), except: [], source: NOWHERE };
}

/** One of 100,000 networks of different lengths, some inside others, most with one or two excepts inside. */
function wideNetwork(seed: number): Peer {
  const second = (seed * 31) & 255;
  const third = (seed * 7 + (seed >> 8)) & 255;
  const prefixLength = 18 + (seed % 9);
  const block = cidr([20 + (seed % 40), second, third, seed & 255], prefixLength);
  const [first = 0] = block.bytes;
  const inside = [first, block.bytes[1] ?? 0, block.bytes[2] ?? 0, block.bytes[3] ?? 0];
  const except = seed % 3 === 0 ? [] : [cidr(inside, prefixLength + 3)];
  if (seed % 3 === 2) except.push(cidr([...inside.slice(0, 3), (block.bytes[3] ?? 0) | 1], 32));
  return { kind: "addresses", cidr: block, except, source: NOWHERE };
}

function range(protocol: number, low: number, high = low): PortMatch {
  return { kind: "range", protocol, low, high, source: NOWHERE };
}

function named(name: string, protocol = 6): PortMatch {
  return { kind: "named", protocol, name, source: NOWHERE };
}
