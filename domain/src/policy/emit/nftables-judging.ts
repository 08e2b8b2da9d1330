/** Where a packet goes in a table: builtin decisions, then its remote address, then its port, then its decision. */
import { describeDecision } from "../decision.ts";
import { type Direction, MESH_PREFIX, type ProtocolNumber } from "../model.ts";
import { BUILTIN_DECISIONS, type Decision, type HostProgram } from "../program.ts";
import { addressMap, portMap, protocolMap } from "./nftables-maps.ts";
import type { NftablesChainPiece, NftablesCounterPiece, NftablesPiece } from "./nftables-pieces.ts";
import { PACKETS, type Packet, portField, portMapKey, portRangeText } from "./nftables-ports.ts";
import { type ClassRules, decisionsOf, type PortRun } from "./port-rules.ts";
import { addressRanges, classesOfSet, classOfAtom, HOST_SET } from "./regions.ts";
import { commentText } from "./text.ts";

/** In one class, ports of a protocol (and whole protocols) are compared one by one up to this many; more are a map. */
const MAX_COMPARISONS = 3;

export type Remote = "source" | "destination";

/** Who stands for the remote end in packets of a hook, and which way the connection goes for those who open it. */
export interface Viewpoint {
  readonly remote: Remote;
  readonly opened: Direction;
  /** Direction of the connection that a reply belongs to. */
  readonly answered: Direction;
}

export const INPUT: Viewpoint = { remote: "source", opened: "ingress", answered: "egress" };
export const OUTPUT: Viewpoint = { remote: "destination", opened: "egress", answered: "ingress" };
/** A forwarded packet comes in from its source; a reply comes in for the connection that its destination opened. */
export const FORWARD_IN = { opened: "ingress", openedBy: "source", answeredBy: "destination" } as const;
export const FORWARD_OUT = { opened: "egress", openedBy: "destination", answeredBy: "source" } as const;

export interface Dialect {
  /** Before the name of every chain, map and counter. */
  readonly prefix: string;
  /** What is done with a packet that is denied: `drop`, `accept`, `goto CHAIN`. */
  readonly denial: string;
}

type BuiltinName = keyof typeof BUILTIN_DECISIONS;

/** A packet that opens a connection, whatever is known of its addresses and ports. */
const TCP_OPENS = "tcp flags & (syn | ack | rst) == syn";
const SCTP_OPENS = "meta l4proto sctp @th,96,8 1";
const IS_REPLY = "ct state established ct direction reply";

export class Judging {
  readonly #program: HostProgram;
  readonly #rules: readonly ClassRules[];
  readonly #byClass: ReadonlyMap<number, ClassRules>;
  readonly #dialect: Dialect;
  /** Decisions that maps lead to. */
  readonly #chained = new Set<Decision>();
  /** Names of maps by what they hold. */
  readonly #portMaps = new Map<string, string>();

  constructor(program: HostProgram, rules: ReadonlyMap<number, ClassRules>, dialect: Dialect) {
    this.#program = program;
    this.#byClass = rules;
    this.#rules = classesOfSet(program.classes, HOST_SET).map((classId) => this.#rulesOf(classId));
    this.#dialect = dialect;
  }

  /** Counters and decisions, then everything that leads to them, then `ends`: chains of the caller. */
  pieces(builtins: readonly BuiltinName[], ends: readonly NftablesPiece[]): readonly NftablesPiece[] {
    const judging = [...this.#judging()];
    const counters = this.#decisions(builtins).map((decision) => this.#counter(decision));
    const settling = [...this.#chained].map((decision) => {
      return this.chain(this.#nameOf(decision), [this.#settle(decision, this.#dialect.denial)]);
    });
    return [...counters, ...settling, ...judging, ...ends];
  }

  name(name: string): string {
    return `${this.#dialect.prefix}${name}`;
  }

  chain(name: string, rules: readonly string[], hook: string | null = null): NftablesChainPiece {
    return { kind: "chain", name, hook, rules };
  }

  /** Counts a packet for a builtin decision, which ends its way through the table. */
  settleBuiltin(name: BuiltinName, denial = this.#dialect.denial): string {
    return this.#settle(this.#builtin(name), denial);
  }

  /** Rules that find the connection of a packet and judge it. */
  judge({ remote, opened, answered }: Viewpoint): readonly string[] {
    return this.#byConnection(this.name(`${opened}_by_${remote}`), this.name(`${answered}_by_${remote}`));
  }

  /**
   * What a container opens does not come in from elsewhere, and what is opened to it does not go out: that is judged
   * once, as if the container's socket were the host's own. `innerSet` holds the interfaces that lead into containers.
   */
  judgeForwarded(
    { opened, openedBy, answeredBy }: typeof FORWARD_IN | typeof FORWARD_OUT,
    innerSet: string,
  ): readonly string[] {
    const between = (from: string, to: string): string => `${from} @${innerSet} ${to} != @${innerSet}`;
    const [opener, answerer] = [between("iifname", "oifname"), between("oifname", "iifname")];
    const isIngress = opened === "ingress";
    return this.#byConnection(this.name(`${opened}_by_${openedBy}`), this.name(`${opened}_by_${answeredBy}`), {
      opening: isIngress ? opener : answerer,
      replying: isIngress ? answerer : opener,
    });
  }

  /** `passing`: packets to which that applies are not judged here. */
  #byConnection(
    opening: string,
    replying: string,
    passing: { readonly opening: string; readonly replying: string } | null = null,
  ): readonly string[] {
    const steps = [
      { condition: TCP_OPENS, target: opening, passes: passing?.opening },
      { condition: SCTP_OPENS, target: opening, passes: passing?.opening },
      { condition: IS_REPLY, target: replying, passes: passing?.replying },
      // Holds whenever the transport header was found.
      { condition: "meta l4proto >= 0", target: opening, passes: passing?.opening },
    ];
    const rules = steps.flatMap(({ condition, target, passes }) => [
      ...(passes === undefined ? [] : [`${condition} ${passes} accept`]),
      `${condition} goto ${target}`,
    ]);
    return [...rules, this.settleBuiltin("malformed")];
  }

  loopback(side: "input" | "output"): readonly string[] {
    const settle = this.settleBuiltin("loopback");
    if (side === "input") return [`iif lo ${settle}`];
    return [`oif lo ${settle}`, `ip daddr 127.0.0.0/8 ${settle}`, `ip6 daddr ::1 ${settle}`];
  }

  /**
   * An address of the overlay counts as a node's only in packets of the overlay's own interface, which is in `overlaySet`:
   * as source of what comes in, as destination of what goes out.
   */
  holdToOverlay(side: "in" | "out", overlaySet: string): readonly string[] {
    const [field, interfaceName] = side === "in" ? ["saddr", "iifname"] : ["daddr", "oifname"];
    return [`ip6 ${field} ${MESH_PREFIX} ${interfaceName} != @${overlaySet} ${this.settleBuiltin("spoofedOverlay")}`];
  }

  /**
   * What is decided before any policy: docs/datapath.md. Fragments are put together before these hooks. Rules that ask for
   * the connection make the kernel track connections as soon as they are loaded.
   */
  builtinRules({ denial = this.#dialect.denial, asksConnections = true } = {}): readonly string[] {
    const settle = (name: BuiltinName): string => this.settleBuiltin(name, denial);
    const transports = "meta l4proto { icmp, tcp, udp, icmpv6, sctp }";
    return [
      `rt seg-left != 0 ${settle("extensionHeader")}`,
      `ip frag-off & 0x3fff != 0 ${settle("fragment")}`,
      `frag frag-off != 0 ${settle("fragment")}`,
      `frag more-fragments 1 ${settle("fragment")}`,
      `icmpv6 type 133-137 ip6 hoplimit 255 ${settle("neighborDiscovery")}`,
      `icmpv6 type 2 ${settle("pathMtu")}`,
      `icmp type 3 icmp code 4 ${settle("pathMtu")}`,
      ...(asksConnections
        ? [
            `ct state related icmp type { 3, 11, 12 } ${settle("pathMtu")}`,
            `ct state related icmpv6 type 1-4 ${settle("pathMtu")}`,
          ]
        : []),
      `tcp doff < 5 ${settle("malformed")}`,
      // A comparison that holds for every value: it fails only where these bytes are not there to be read.
      `${transports} @th,0,32 & 0x0 == 0x0 return`,
      `${transports} ${settle("malformed")}`,
    ];
  }

  *#judging(): Iterable<NftablesPiece> {
    yield* this.#portMapPieces();
    for (const rules of this.#rules) yield* this.#classPieces(rules);
    for (const direction of ["ingress", "egress"] as const) {
      yield* this.#judgePieces(direction, "source");
      yield* this.#judgePieces(direction, "destination");
    }
  }

  #rulesOf(classId: number): ClassRules {
    const rules = this.#byClass.get(classId);
    if (!rules) throw new Error(`the program has no class ${classId}`);
    return rules;
  }

  #builtin(name: BuiltinName): Decision {
    const decision = this.#program.decisions[BUILTIN_DECISIONS[name].index];
    if (!decision) throw new Error("a program has every builtin decision");
    return decision;
  }

  /** Those that can be reached, ascending. */
  #decisions(builtinNames: readonly BuiltinName[]): readonly Decision[] {
    const builtins = builtinNames.map((name) => this.#builtin(name));
    const reached = new Set([...builtins, ...this.#rules.flatMap((rules) => [...decisionsOf(rules)])]);
    return [...reached].sort((left, right) => left.index - right.index);
  }

  #nameOf(decision: Decision): string {
    return this.name(nftablesDecisionName(decision));
  }

  #counter(decision: Decision): NftablesCounterPiece {
    return { kind: "counter", name: this.#nameOf(decision), comment: commentText(describeDecision(decision)) };
  }

  #settle(decision: Decision, denial: string): string {
    const isDenied = decision.verdict === "deny" && !decision.observeOnly;
    return `counter name ${this.#nameOf(decision)} ${isDenied ? denial : "accept"}`;
  }

  /** A chain that does the same, which is what maps lead to. */
  #chainOf(decision: Decision): string {
    this.#chained.add(decision);
    return this.#nameOf(decision);
  }

  #classTarget(rules: ClassRules, packet: Packet): string {
    return isUniform(rules) ? this.#chainOf(rules.otherwise) : this.name(classChain(rules, packet));
  }

  /** A chain for packets of those who opened the connection, and one for replies, where ports make a difference. */
  *#classPieces(rules: ClassRules): Iterable<NftablesPiece> {
    const { classId, byPort, whole, otherwise } = rules;
    if (isUniform(rules)) return;
    const isMap = whole.size > MAX_COMPARISONS;
    const protocolMapName = this.name(`class_${classId}_protocols`);
    if (isMap) {
      const targets = [...whole].map(([protocol, decision]) => [protocol, this.#chainOf(decision)] as const);
      yield protocolMap(protocolMapName, targets);
    }
    const { denial } = this.#dialect;
    const byProtocol = isMap
      ? [`meta l4proto vmap @${protocolMapName}`]
      : [...whole].map(([protocol, decision]) => `meta l4proto ${protocol} ${this.#settle(decision, denial)}`);
    for (const packet of byPort.size > 0 ? PACKETS : PACKETS.slice(0, 1)) {
      const byPorts = [...byPort].flatMap(([protocol, runs]) => this.#portLookups(protocol, runs, otherwise, packet));
      yield this.chain(this.name(classChain(rules, packet)), [
        ...byPorts,
        ...byProtocol,
        this.#settle(otherwise, denial),
      ]);
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
      .map((run) => `${field} ${portRangeText(run)} ${this.#settle(run.decision, this.#dialect.denial)}`);
  }

  /** One for each set of ports, however many classes and protocols have it. */
  *#portMapPieces(): Iterable<NftablesPiece> {
    for (const { byPort, otherwise } of this.#rules) {
      for (const runs of byPort.values()) {
        const key = portMapKey(runs);
        if (this.#portMaps.has(key)) continue;
        const count = runs.filter(({ decision }) => decision !== otherwise).length;
        if (count <= MAX_COMPARISONS) continue;
        const name = this.name(`ports_${this.#portMaps.size + 1}`);
        this.#portMaps.set(key, name);
        yield portMap(
          name,
          runs.map((run) => [run, this.#chainOf(run.decision)]),
        );
      }
    }
  }

  /** Where the remote address stands in the packet decides which field is looked up. */
  *#judgePieces(direction: Direction, remote: Remote): Iterable<NftablesPiece> {
    const { addresses4, addresses6 } = this.#program;
    const packet = (direction === "ingress") === (remote === "source") ? "opened" : "answered";
    const field = remote === "source" ? "saddr" : "daddr";
    const classOf = classOfAtom(this.#program, HOST_SET, direction);
    const target = (classId: number): string => this.#classTarget(this.#rulesOf(classId), packet);
    const name = this.name(`${direction}_by_${remote}`);
    yield addressMap(`${name}_4`, 32, addressRanges(addresses4, 32, classOf), target);
    yield addressMap(`${name}_6`, 128, addressRanges(addresses6, 128, classOf), target);
    yield this.chain(name, [
      `ip ${field} vmap @${name}_4`,
      `ip6 ${field} vmap @${name}_6`,
      `goto ${target(classOf(0))}`,
    ]);
  }
}

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
