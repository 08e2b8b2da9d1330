/**
 * One host's program as an nftables script. `nft -f` loads it in one transaction: a table of its own is replaced whole,
 * and no packet sees half of it.
 *
 * A packet is decided by the same lookups as in the eBPF datapath, as verdict maps: remote address → chain of its class,
 * destination port → chain of its decision. Every packet is judged by the tables that are loaded now, replies as the
 * connection that they belong to, so that a flow which loses its permission ends with its next packet.
 */
import { describeDecision } from "../decision.ts";
import type { Direction, ProtocolNumber } from "../model.ts";
import { BUILTIN_DECISIONS, type Decision, type HostProgram } from "../program.ts";
import { type Emission, emitted, refuseAll } from "./emission.ts";
import { addressMap, portMap, protocolMap } from "./nftables-maps.ts";
import { PACKETS, type Packet, portField, portMapKey, portRangeText } from "./nftables-ports.ts";
import { type ClassRules, classRules, decisionsOf, type PortRun } from "./port-rules.ts";
import { refuseWorkloads } from "./refusals.ts";
import { addressRanges, classesOfSet, classOfAtom, HOST_SET } from "./regions.ts";
import { commentText } from "./text.ts";

export interface NftablesOptions {
  /** `observe` = everything is counted for its decision and passes. */
  readonly mode: "enforce" | "observe";
  /** The table that the script owns and replaces: `wardline`, or a name that starts so. Default `wardline`. */
  readonly tableName?: string;
}

const TABLE_NAME = /^wardline[A-Za-z0-9_]{0,40}$/;

/** Refuses workloads that are treated otherwise than their host; throws a `RangeError` for a table name of others. */
export function emitNftables(program: HostProgram, options: NftablesOptions): Emission {
  const tableName = options.tableName ?? "wardline";
  if (!TABLE_NAME.test(tableName)) throw new RangeError(`"${tableName}" is not a name for a table of ours`);
  const rules = classRules(program);
  const refused = refuseWorkloads(program, rules);
  if (refused.length > 0) return refuseAll("nftables", refused);
  return emitted("nftables", new Script(program, rules, options.mode).lines(tableName));
}

/** In one class, ports of a protocol (and whole protocols) are compared one by one up to this many; more are a map. */
const MAX_COMPARISONS = 3;

type Remote = "source" | "destination";

/** A packet that opens a connection, whatever is known of its addresses and ports. */
const TCP_OPENS = "tcp flags & (syn | ack | rst) == syn";
const SCTP_OPENS = "meta l4proto sctp @th,96,8 1";
const IS_REPLY = "ct state established ct direction reply";

class Script {
  readonly #program: HostProgram;
  readonly #rules: readonly ClassRules[];
  readonly #byClass: ReadonlyMap<number, ClassRules>;
  readonly #enforces: boolean;
  /** Decisions that maps lead to. */
  readonly #chained = new Set<Decision>();
  /** Names of maps by what they hold. */
  readonly #portMaps = new Map<string, string>();

  constructor(program: HostProgram, rules: ReadonlyMap<number, ClassRules>, mode: NftablesOptions["mode"]) {
    this.#program = program;
    this.#byClass = rules;
    this.#rules = classesOfSet(program.classes, HOST_SET).map((classId) => this.#rulesOf(classId));
    this.#enforces = mode === "enforce";
  }

  *lines(tableName: string): Iterable<string> {
    const { hostName, digest } = this.#program;
    yield `# Wardline policy of host ${commentText(hostName)}, program ${digest}`;
    yield `# ${this.#enforces ? "Enforces" : "Observes: counts and lets everything pass"}. Load with: nft -f FILE. Remove with: nft delete table inet ${tableName}`;
    yield `table inet ${tableName} {}`;
    yield `delete table inet ${tableName}`;
    yield `table inet ${tableName} {`;
    for (const line of this.#body()) yield line === "" ? line : `\t${line}`;
    yield "}";
  }

  *#body(): Iterable<string> {
    const judging = [...this.#judging()];
    for (const decision of this.#decisions()) yield* this.#counter(decision);
    for (const decision of this.#chained) {
      yield `chain ${nftablesDecisionName(decision)} {`;
      yield `\t${this.#settle(decision)}`;
      yield "}";
    }
    yield* judging;
  }

  *#judging(): Iterable<string> {
    yield* this.#portMapLines();
    for (const rules of this.#rules) yield* this.#classChains(rules);
    for (const direction of ["ingress", "egress"] as const) {
      yield* this.#judgeChain(direction, "source");
      yield* this.#judgeChain(direction, "destination");
    }
    yield* this.#builtinChain();
    yield* this.#baseChain("input", "ingress", "egress", "source");
    yield* this.#baseChain("output", "egress", "ingress", "destination");
  }

  #rulesOf(classId: number): ClassRules {
    const rules = this.#byClass.get(classId);
    if (!rules) throw new Error(`the program has no class ${classId}`);
    return rules;
  }

  #builtin(name: keyof typeof BUILTIN_DECISIONS): Decision {
    const decision = this.#program.decisions[BUILTIN_DECISIONS[name].index];
    if (!decision) throw new Error("a program has every builtin decision");
    return decision;
  }

  /** Those that can be reached, ascending. */
  #decisions(): readonly Decision[] {
    const builtins = BUILTINS_IN_SCRIPT.map((name) => this.#builtin(name));
    const reached = new Set([...builtins, ...this.#rules.flatMap((rules) => [...decisionsOf(rules)])]);
    return [...reached].sort((left, right) => left.index - right.index);
  }

  *#counter(decision: Decision): Iterable<string> {
    yield `counter ${nftablesDecisionName(decision)} {`;
    yield `\tcomment "${commentText(describeDecision(decision))}"`;
    yield "}";
  }

  /** Counts the packet for its decision, which ends its way through the table. */
  #settle(decision: Decision): string {
    const drops = decision.verdict === "deny" && !decision.observeOnly && this.#enforces;
    return `counter name ${nftablesDecisionName(decision)} ${drops ? "drop" : "accept"}`;
  }

  /** A chain that does the same, which is what maps lead to. */
  #chainOf(decision: Decision): string {
    this.#chained.add(decision);
    return nftablesDecisionName(decision);
  }

  #classTarget(rules: ClassRules, packet: Packet): string {
    return isUniform(rules) ? this.#chainOf(rules.otherwise) : classChain(rules, packet);
  }

  /** A chain for packets of those who opened the connection, and one for replies, where ports make a difference. */
  *#classChains(rules: ClassRules): Iterable<string> {
    const { classId, byPort, whole, otherwise } = rules;
    if (isUniform(rules)) return;
    const isMap = whole.size > MAX_COMPARISONS;
    if (isMap) {
      const targets = [...whole].map(([protocol, decision]) => [protocol, this.#chainOf(decision)] as const);
      yield* protocolMap(`class_${classId}_protocols`, targets);
    }
    const byProtocol = isMap
      ? [`meta l4proto vmap @class_${classId}_protocols`]
      : [...whole].map(([protocol, decision]) => `meta l4proto ${protocol} ${this.#settle(decision)}`);
    for (const packet of byPort.size > 0 ? PACKETS : PACKETS.slice(0, 1)) {
      const byPorts = [...byPort].flatMap(([protocol, runs]) => this.#portLookups(protocol, runs, otherwise, packet));
      yield `chain ${classChain(rules, packet)} {`;
      for (const line of [...byPorts, ...byProtocol, this.#settle(otherwise)]) yield `\t${line}`;
      yield "}";
    }
  }

  /** Finds the port that the connection was opened to: the destination of its first packet, the source of a reply. */
  #portLookups(
    protocol: ProtocolNumber,
    runs: readonly PortRun[],
    otherwise: Decision,
    packet: Packet,
  ): readonly string[] {
    const field = portField(protocol, packet);
    const map = this.#portMaps.get(portMapKey(runs));
    if (map !== undefined) return [`${field} vmap @${map}`];
    return runs
      .filter(({ decision }) => decision !== otherwise)
      .map((run) => `${field} ${portRangeText(run)} ${this.#settle(run.decision)}`);
  }

  /** One for each set of ports, however many classes and protocols have it. */
  *#portMapLines(): Iterable<string> {
    for (const { byPort, otherwise } of this.#rules) {
      for (const runs of byPort.values()) {
        const key = portMapKey(runs);
        if (this.#portMaps.has(key)) continue;
        const count = runs.filter(({ decision }) => decision !== otherwise).length;
        if (count <= MAX_COMPARISONS) continue;
        const name = `ports_${this.#portMaps.size + 1}`;
        this.#portMaps.set(key, name);
        yield* portMap(
          name,
          runs.map((run) => [portRangeText(run), this.#chainOf(run.decision)]),
        );
      }
    }
  }

  /** Where the remote address stands in the packet decides which field is looked up. */
  *#judgeChain(direction: Direction, remote: Remote): Iterable<string> {
    const { addresses4, addresses6 } = this.#program;
    const packet = (direction === "ingress") === (remote === "source") ? "opened" : "answered";
    const field = remote === "source" ? "saddr" : "daddr";
    const classOf = classOfAtom(this.#program, HOST_SET, direction);
    const target = (classId: number): string => this.#classTarget(this.#rulesOf(classId), packet);
    const name = `${direction}_by_${remote}`;
    yield* addressMap(`${name}_4`, 32, addressRanges(addresses4, 32, classOf), target);
    yield* addressMap(`${name}_6`, 128, addressRanges(addresses6, 128, classOf), target);
    yield `chain ${name} {`;
    yield `\tip ${field} vmap @${name}_4`;
    yield `\tip6 ${field} vmap @${name}_6`;
    yield `\tgoto ${target(classOf(0))}`;
    yield "}";
  }

  /** What is decided before any policy: docs/datapath.md. Fragments are put together before these hooks. */
  *#builtinChain(): Iterable<string> {
    const settle = (name: keyof typeof BUILTIN_DECISIONS): string => this.#settle(this.#builtin(name));
    const transports = "meta l4proto { icmp, tcp, udp, icmpv6, sctp }";
    yield "chain builtin {";
    yield `\trt seg-left != 0 ${settle("extensionHeader")}`;
    yield `\tip frag-off & 0x3fff != 0 ${settle("fragment")}`;
    yield `\tfrag frag-off != 0 ${settle("fragment")}`;
    yield `\tfrag more-fragments 1 ${settle("fragment")}`;
    yield `\ticmpv6 type 133-137 ip6 hoplimit 255 ${settle("neighborDiscovery")}`;
    yield `\ticmpv6 type 2 ${settle("pathMtu")}`;
    yield `\ticmp type 3 icmp code 4 ${settle("pathMtu")}`;
    yield `\tct state related icmp type { 3, 11, 12 } ${settle("pathMtu")}`;
    yield `\tct state related icmpv6 type 1-4 ${settle("pathMtu")}`;
    yield `\ttcp doff < 5 ${settle("malformed")}`;
    // A comparison that holds for every value: it fails only where these bytes are not there to be read.
    yield `\t${transports} @th,0,32 & 0x0 == 0x0 return`;
    yield `\t${transports} ${settle("malformed")}`;
    yield "}";
  }

  *#baseChain(hook: "input" | "output", opened: Direction, answered: Direction, remote: Remote): Iterable<string> {
    const loopback = this.#settle(this.#builtin("loopback"));
    yield `chain ${hook} {`;
    yield `\ttype filter hook ${hook} priority filter; policy ${this.#enforces ? "drop" : "accept"};`;
    yield `\t${hook === "input" ? "iif" : "oif"} lo ${loopback}`;
    if (hook === "output") {
      yield `\tip daddr 127.0.0.0/8 ${loopback}`;
      yield `\tip6 daddr ::1 ${loopback}`;
    }
    yield "\tjump builtin";
    yield `\t${TCP_OPENS} goto ${opened}_by_${remote}`;
    yield `\t${SCTP_OPENS} goto ${opened}_by_${remote}`;
    yield `\t${IS_REPLY} goto ${answered}_by_${remote}`;
    // Holds whenever the transport header was found.
    yield `\tmeta l4proto >= 0 goto ${opened}_by_${remote}`;
    yield `\t${this.#settle(this.#builtin("malformed"))}`;
    yield "}";
  }
}

const BUILTINS_IN_SCRIPT = [
  "loopback",
  "neighborDiscovery",
  "pathMtu",
  "malformed",
  "fragment",
  "extensionHeader",
] as const satisfies readonly (keyof typeof BUILTIN_DECISIONS)[];

/** Name of the counter and of the chain of a decision: its place in the program, and the id that survives an apply. */
export function nftablesDecisionName({ index, id }: Pick<Decision, "index" | "id">): string {
  return `d${index}_${id}`;
}

function isUniform({ byPort, whole }: ClassRules): boolean {
  return byPort.size === 0 && whole.size === 0;
}

function classChain(rules: ClassRules, packet: Packet): string {
  return `class_${rules.classId}_${rules.byPort.size > 0 ? packet : "opened"}`;
}
