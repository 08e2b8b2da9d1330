/**
 * A case about packets and tiers of rules, asked of our model.
 *
 * Each packet is seen from both ends: as ingress of its destination and as egress of its source, so that conditions on
 * either address and on the destination port reach the engines. A case with one tier stands in the admin tier and, once
 * more, in the baseline tier; one with two in both. Where a builtin decides a packet before policy (loopback, essential
 * ICMP), it is seen from the other end alone.
 */
import { parseAddress } from "../address.ts";
import { builtinDecision } from "../builtin.ts";
import type { Action, Direction, Endpoint, Policy, PolicyRule, PolicyWorld, SourceRange, Tier } from "../model.ts";
import { policyPort } from "../packet-port.ts";
import { type Located, wrong } from "./json.ts";
import { readPacketFormat } from "./packet-format.ts";
import type { PacketCase, PacketProbe, PacketTier } from "./packet-model.ts";
import { protocolOfFamily, translateRule, type Viewpoint } from "./packet-rule.ts";
import type { VectorCase, VectorProbe, VectorReading } from "./vector.ts";

const HOST = "(packets)";
const NAMESPACE = "packets";
/** Packets times rules: each packet may need rules of its own. */
const MAX_SELECTIONS = 100_000;

/** Which of our tiers take those of a case, in order. */
interface Placement {
  readonly label: string;
  readonly tiers: readonly Tier[];
}

function placementsOf(tierCount: number): readonly Placement[] {
  if (tierCount === 0) return [{ label: "no tier", tiers: [] }];
  if (tierCount === 2) return [{ label: "admin and baseline tier", tiers: ["admin", "baseline"] }];
  return [
    { label: "admin tier", tiers: ["admin"] },
    { label: "baseline tier", tiers: ["baseline"] },
  ];
}

export function readPacketCase(at: Located): VectorCase {
  const found = readPacketFormat(at);
  const rules = found.tiers.flatMap((tier) => tier.policies.flatMap((policy) => policy.rules));
  const protocols = [...rules.flatMap((rule) => [rule.protocol, rule.notProtocol]), ...found.packets.map(protocolOf)];
  if (found.family === 6 && protocols.includes(1) && protocols.includes(58)) {
    throw wrong(at, "uses protocol 1 and protocol 58; over IPv6 both mean ICMPv6 here");
  }
  if (rules.length * found.packets.length > MAX_SELECTIONS) {
    throw wrong(at, `has ${found.packets.length} packets for ${rules.length} rules; that is more than can be asked`);
  }
  const subjects = new Subjects(found, { file: at.file, line: 1, column: 1, endLine: 1, endColumn: 1 });
  const probes = found.packets.map((packet, index) => readProbe(found, packet, index, subjects));
  return { file: at.file, name: found.name, source: found.source, world: subjects.world(), probes };
}

function protocolOf({ protocol }: PacketProbe): number {
  return protocol;
}

function readProbe(found: PacketCase, packet: PacketProbe, index: number, subjects: Subjects): VectorProbe {
  const { source, destination, protocol, destinationPort, icmp, expect } = packet;
  const all = (["ingress", "egress"] as const).flatMap((direction) => readingsOf(found, packet, direction, subjects));
  const seenByPolicy = all.filter(({ questions }) => questions.every((question) => builtinDecision(question) === null));
  const readings = seenByPolicy.length > 0 ? seenByPolicy : all;
  return { index, from: source, to: destination, protocol, port: destinationPort, icmp, expect, readings };
}

function readingsOf(
  { family, tiers }: PacketCase,
  packet: PacketProbe,
  direction: Direction,
  subjects: Subjects,
): readonly VectorReading[] {
  const { source, destination, destinationPort, icmp, sourcePort } = packet;
  const [local, remote] = direction === "ingress" ? [destination, source] : [source, destination];
  const protocol = protocolOfFamily(family, packet.protocol);
  const packetPort = icmp === null ? (destinationPort ?? 0) : (icmp.type << 8) | icmp.code;
  const port = policyPort(family, protocol, packetPort);
  return placementsOf(tiers.length).map((placement) => {
    const { key: subjectKey } = subjects.subjectFor(local, sourcePort, direction, placement);
    const question = { subjectKey, hostName: HOST, direction, local, remote, protocol, port, packetPort };
    return { label: `${direction}, ${placement.label}`, source, destination, questions: [question] };
  });
}

/** One subject for each own address, source port, direction and placement, with the rules that are left for it. */
class Subjects {
  readonly #case: PacketCase;
  readonly #place: SourceRange;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #policies: Policy[] = [];

  constructor(found: PacketCase, place: SourceRange) {
    this.#case = found;
    this.#place = place;
  }

  subjectFor(own: string, sourcePort: number | null, direction: Direction, placement: Placement): Endpoint {
    const key = `${direction} ${placement.label} ${own} ${sourcePort}`;
    const known = this.#endpoints.get(key);
    if (known) return known;
    const endpoint = packetEndpoint(`subject-${this.#endpoints.size}`, own);
    this.#endpoints.set(key, endpoint);
    const address = parseAddress(own);
    if (!address.ok) throw new Error(`${own} was an address when it was read`);
    const view = { family: this.#case.family, direction, own: address.bytes, sourcePort };
    this.#policies.push(...this.#policiesFor(endpoint, view, placement));
    return endpoint;
  }

  world(): PolicyWorld {
    return {
      policies: this.#policies.toSorted((left, right) => (left.key < right.key ? -1 : 1)),
      inventory: { endpoints: [...this.#endpoints.values()], namespaces: new Map(), domainAddresses: new Map() },
    };
  }

  /** Behind the last tier everything is denied, whatever its end action. */
  #policiesFor(subject: Endpoint, view: Viewpoint, { tiers }: Placement): readonly Policy[] {
    const policies = this.#case.tiers.flatMap((tier, position) => {
      const place = tiers[position];
      if (place === undefined) throw new Error("each tier of a case has its place");
      return this.#tierPolicies(subject, view, tier, place, position === this.#case.tiers.length - 1);
    });
    return [...policies, this.#denial(subject, view.direction, "baseline", "after the last tier")];
  }

  #tierPolicies(subject: Endpoint, view: Viewpoint, tier: PacketTier, place: Tier, isLast: boolean): readonly Policy[] {
    const policies = tier.policies.map((policy, priority) => {
      const rules = policy.rules.flatMap((rule, index) => {
        // Passing on from the last tier ends where nothing allows.
        const action = rule.action === "pass" && isLast && place === "baseline" ? "deny" : rule.action;
        const name = `${policy.name}[${index}]`.slice(-100);
        return translateRule(rule, view, this.#place).map((parts) => ({
          ...this.#rule(view.direction, action),
          ...parts,
          name,
        }));
      });
      return this.#policy(subject, `${tier.name}/${priority}`, place, priority, rules);
    });
    return tier.endAction === "deny"
      ? [...policies, this.#denial(subject, view.direction, place, `${tier.name}/end`)]
      : policies;
  }

  #rule(direction: Direction, action: Action): PolicyRule {
    return { direction, index: 0, name: null, action, peers: null, ports: null, source: this.#place };
  }

  #denial(subject: Endpoint, direction: Direction, tier: Tier, name: string): Policy {
    const priority = Number.MAX_SAFE_INTEGER;
    return this.#policy(subject, name, tier, priority, [{ ...this.#rule(direction, "deny"), name: "end of tier" }]);
  }

  #policy(subject: Endpoint, name: string, tier: Tier, priority: number, rules: readonly PolicyRule[]): Policy {
    return {
      key: `PacketRules/${subject.name}/${tier}/${name}`,
      apiVersion: "vectors",
      kind: "PacketRules",
      name,
      namespace: NAMESPACE,
      tier,
      priority,
      mode: "enforce",
      description: null,
      expiresAtUnixMs: null,
      subject: {
        namespaces: { kind: "any" },
        endpoints: { requirements: [{ key: "subject", operator: "In", values: [subject.name] }] },
      },
      isolates: { ingress: false, egress: false },
      rules: rules.map((rule, index) => ({ ...rule, index })),
      source: this.#place,
    };
  }
}

function packetEndpoint(name: string, own: string): Endpoint {
  return {
    key: `Workload/${NAMESPACE}/${name}`,
    kind: "workload",
    name,
    namespace: NAMESPACE,
    labels: new Map([["subject", name]]),
    addresses: [own],
    ports: [],
    hostName: HOST,
    match: { kind: "cgroupPath", path: `/${name}` },
    source: null,
  };
}
