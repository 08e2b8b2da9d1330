/** `WL4xx`: what is well formed and well meant, and cuts a host off from what it, or the console, cannot do without. */
import { cidrOfAddress, parseAddress } from "../address.ts";
import type { Diagnostic } from "../diagnostic.ts";
import { hostEndpoint } from "../endpoints.ts";
import {
  type Direction,
  type Endpoint,
  type Policy,
  type PolicyRule,
  type PolicyWorld,
  PROTOCOL,
  type ProtocolNumber,
  type SourceFile,
} from "../model.ts";
import { withoutExpired } from "../named-peers.ts";
import { type Box, portNumber } from "./boxes.ts";
import { decideBoxes } from "./decide-boxes.ts";
import { EndpointIndex } from "./endpoint-index.ts";
import { riskDiagnostic } from "./risk-report.ts";
import { RuleSpace } from "./rule-space.ts";
import { DiagnosticSink } from "./sink.ts";
import { SourceTexts } from "./source-texts.ts";
import { groupSubjects, type SubjectGroup } from "./subject-groups.ts";

/** What a connection is for; it chooses the code and the words. */
export type RiskPurpose = "console" | "dns" | "time" | "etcd" | "kubernetes" | "mesh";

/** A connection that a host is known to need. */
export interface NeededConnection {
  readonly purpose: RiskPurpose;
  /** Seen from the host. */
  readonly direction: Direction;
  /** Text addresses of the other end: every one of them is needed. Loopback addresses are no risk and are left out. */
  readonly remotes: readonly string[];
  readonly protocol: ProtocolNumber;
  /** Destination port: the host's own for ingress, the other end's for egress. */
  readonly port: number;
}

export interface HostNeeds {
  readonly hostName: string;
  readonly connections: readonly NeededConnection[];
}

export interface RiskOptions {
  /** What is known of hosts; without it only what holds for any host is looked for. */
  readonly hosts?: readonly HostNeeds[];
  /** The texts that the world was read from, so that fixes can be given. */
  readonly files?: readonly SourceFile[];
  /** Unix time; policies that are over by then do not count. */
  readonly nowUnixMs?: number;
}

/** Something that is cut, with what cuts it. */
export interface Cut {
  readonly code: "WL401" | "WL402" | "WL403" | "WL404" | "WL405" | "WL406";
  readonly direction: Direction;
  /** Empty = everybody. */
  readonly remotes: readonly string[];
  readonly services: readonly { readonly protocol: ProtocolNumber; readonly port: number }[];
  readonly purpose: RiskPurpose | "ssh";
  readonly policy: Policy;
  /** `null` = the policy isolates, and no rule allows it. */
  readonly rule: PolicyRule | null;
  readonly endpoints: readonly Endpoint[];
}

const CODE_OF_PURPOSE = {
  console: "WL401",
  dns: "WL402",
  time: "WL403",
  etcd: "WL404",
  kubernetes: "WL404",
  mesh: "WL404",
} as const satisfies Record<RiskPurpose, Cut["code"]>;

const MAX_RISKS = 200;
const DNS = [
  { protocol: PROTOCOL.udp, port: 53 },
  { protocol: PROTOCOL.tcp, port: 53 },
] as const;
const SSH = [{ protocol: PROTOCOL.tcp, port: 22 }] as const;

/**
 * Lists what the enforced policies would cut: of the given hosts the connections that they need; of every host SSH from
 * everywhere; of every host and workload name resolution. Decided exactly, over all addresses. Hosts that one rule cuts off
 * in the same way are one diagnostic.
 *
 * Throws nothing. A host is asked as itself: a workload declared for the service that listens has its own policies.
 */
export function checkRisks(world: PolicyWorld, options: RiskOptions = {}): readonly Diagnostic[] {
  const hosts = options.hosts ?? [];
  const current = options.nowUnixMs === undefined ? world : withoutExpired(world, options.nowUnixMs);
  const asked = withHosts(current, hosts);
  const walk = new RiskWalk(asked, hosts);
  for (const needs of hosts) walk.checkNeeds(needs);
  walk.checkAllHosts(hosts);
  const sink = new DiagnosticSink(MAX_RISKS);
  const texts = new SourceTexts(options.files ?? []);
  for (const cut of walk.cuts.values()) sink.add(riskDiagnostic(cut, asked, texts));
  return sink.finish(new Map((options.files ?? []).map((file, position) => [file.path, position])));
}

/** Enforced policies only, and hosts that no document declares: they exist, and selectors without labels pick them. */
function withHosts(world: PolicyWorld, hosts: readonly HostNeeds[]): PolicyWorld {
  const endpoints = new Map(world.inventory.endpoints.map((endpoint) => [endpoint.key, endpoint]));
  for (const { hostName } of hosts) {
    const host = hostEndpoint(world.inventory, hostName);
    endpoints.set(host.key, host);
  }
  return {
    policies: world.policies.filter(({ mode }) => mode === "enforce"),
    inventory: { ...world.inventory, endpoints: [...endpoints.values()] },
  };
}

class RiskWalk {
  readonly cuts = new Map<string, Cut>();
  readonly #space: RuleSpace;
  readonly #groups: readonly SubjectGroup[];
  readonly #groupOf = new Map<string, SubjectGroup>();

  constructor(world: PolicyWorld, hosts: readonly HostNeeds[]) {
    const index = new EndpointIndex(world.inventory);
    const remotes = hosts.flatMap(({ connections }) => connections.flatMap((connection) => connection.remotes));
    const parsed = remotes.map(parseAddress).filter((address) => address.ok);
    this.#space = new RuleSpace(world, index, parsed.map(cidrOfAddress));
    this.#groups = groupSubjects(world.policies, index, this.#space);
    for (const group of this.#groups) for (const { key } of group.endpoints) this.#groupOf.set(key, group);
  }

  checkNeeds({ hostName, connections }: HostNeeds): void {
    const group = this.#groupOf.get(`Host/${hostName}`);
    const host = group?.endpoints.find(({ key }) => key === `Host/${hostName}`);
    if (!group || !host) return;
    for (const { purpose, direction, remotes, protocol, port } of connections) {
      for (const remote of remotes) {
        if (isLoopback(remote)) continue;
        const target = this.#target(remote, [{ protocol, port }]);
        const [denied] = this.#decide(group, direction, target).filter(({ verdict }) => verdict === "deny");
        if (!denied?.policy) continue;
        const { policy, rule } = denied;
        const services = [{ protocol, port }];
        this.#add({ code: CODE_OF_PURPOSE[purpose], direction, remotes: [remote], services, purpose, policy, rule }, [
          host,
        ]);
      }
    }
  }

  /** What nobody had to tell: SSH and DNS, cut from or to everywhere. What was told of a host, was checked exactly. */
  checkAllHosts(needs: readonly HostNeeds[]): void {
    const toldOf = (purpose: RiskPurpose): ReadonlySet<string> =>
      new Set(
        needs
          .filter(({ connections }) => connections.some((connection) => connection.purpose === purpose))
          .map(({ hostName }) => `Host/${hostName}`),
      );
    const [toldDns, toldConsole] = [toldOf("dns"), toldOf("console")];
    for (const group of this.#groups) {
      const resolving = group.endpoints.filter(({ kind, match }) => kind === "host" || match !== null);
      const withoutDns = resolving.filter(({ key }) => !toldDns.has(key));
      this.#checkEverywhere(group, "WL405", "egress", "dns", DNS, withoutDns);
      const hosts = group.endpoints.filter(({ kind, key }) => kind === "host" && !toldConsole.has(key));
      this.#checkEverywhere(group, "WL406", "ingress", "ssh", SSH, hosts);
    }
  }

  #checkEverywhere(
    group: SubjectGroup,
    code: "WL405" | "WL406",
    direction: Direction,
    purpose: "dns" | "ssh",
    services: Cut["services"],
    endpoints: readonly Endpoint[],
  ): void {
    if (endpoints.length === 0) return;
    // A rule whose names nobody has looked up may be the one that allows it.
    const mayAllowMore = group
      .asked(direction)
      .some(({ rule }) => rule.action === "allow" && this.#space.hasUnknownPeers(rule));
    if (mayAllowMore) return;
    const parts = this.#decide(group, direction, this.#target(null, services));
    const [first] = parts;
    if (!first?.policy || parts.some(({ verdict }) => verdict === "allow")) return;
    this.#add({ code, direction, remotes: [], services, purpose, policy: first.policy, rule: first.rule }, endpoints);
  }

  #target(remote: string | null, services: Cut["services"]): readonly Box[] {
    const addresses = remote === null ? this.#space.atoms.all : this.#space.atoms.ofAddresses([remote]);
    if (addresses.length === 0) return [];
    return services.map(({ protocol, port }) => {
      const number = portNumber(protocol, port);
      return { addresses, ports: [number, number + 1] };
    });
  }

  #decide(group: SubjectGroup, direction: Direction, target: readonly Box[]) {
    return target.length === 0 ? [] : (decideBoxes(group, direction, target, () => true) ?? []);
  }

  /** Joins what one rule does to several hosts, or to one host's connections with several others. */
  #add(cut: Omit<Cut, "endpoints">, endpoints: readonly Endpoint[]): void {
    const place = cut.rule?.source ?? cut.policy.source;
    const services = cut.services.map(({ protocol, port }) => `${protocol}/${port}`).join();
    const key = [cut.code, cut.purpose, cut.direction, services, place.file, place.line, place.column].join(" ");
    const known = this.cuts.get(key);
    this.cuts.set(key, {
      ...cut,
      remotes: [...new Set([...(known?.remotes ?? []), ...cut.remotes])],
      endpoints: [...new Set([...(known?.endpoints ?? []), ...endpoints])],
    });
  }
}

function isLoopback(text: string): boolean {
  const address = parseAddress(text);
  if (!address.ok) return true;
  return address.family === 4
    ? address.bytes[0] === 127
    : address.bytes.every((byte, at) => byte === (at === 15 ? 1 : 0));
}
