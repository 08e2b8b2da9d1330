/**
 * One host's program as the text of a pf anchor: `pfctl -a NAME -f FILE` replaces the rules of the anchor in one
 * transaction. Every rule is `quick`, so the first that matches decides, and each direction ends in a rule that always
 * matches: nothing falls through to the rules of others.
 *
 * What the anchor needs around it: the main rules must call it, pf must be enabled by a token of ours, and after a load
 * the states that the new rules forbid have to be killed, because states outlive rules (docs/policy-reference.md).
 */
import { describeDecision } from "../decision.ts";
import { type Direction, PROTOCOL, type ProtocolNumber } from "../model.ts";
import { BUILTIN_DECISIONS, type Decision, type HostProgram } from "../program.ts";
import { type Emission, emitted, type Refusal, refusalsOf, refuseAll } from "./emission.ts";
import { type PfIcmpRules, pfIcmpRules } from "./pf-icmp.ts";
import { pfTables } from "./pf-tables.ts";
import { type ClassRules, classRules, decisionsOf, type PortRun } from "./port-rules.ts";
import { refuseWorkloads } from "./refusals.ts";
import { classesOfSet, classOfAtom, HOST_SET } from "./regions.ts";
import { commentText } from "./text.ts";

/** Reassembles fragments before rules look at ports. Has an effect only where the main rules call it (`scrub-anchor`). */
export const SCRUB_LINE = "scrub in all fragment reassemble";

export type PfBuiltinName = keyof typeof BUILTIN_DECISIONS;

export interface PfOptions {
  /** `observe` = everything passes, and what would be blocked is logged. */
  readonly mode: "enforce" | "observe";
}

/** Protocols whose ports pf compares. */
const TRANSPORT_NAMES: ReadonlyMap<ProtocolNumber, string> = new Map([
  [PROTOCOL.tcp, "tcp"],
  [PROTOCOL.udp, "udp"],
]);

const ICMP_NAMES: ReadonlyMap<ProtocolNumber, { readonly matching: string; readonly types: string }> = new Map([
  [PROTOCOL.icmp, { matching: "inet proto icmp", types: "icmp-type" }],
  [PROTOCOL.icmpv6, { matching: "inet6 proto icmp6", types: "icmp6-type" }],
]);

/**
 * Refuses workloads that are treated otherwise than their host, SCTP by port, decisions of their own for protocol 0, and
 * codes of ICMP type 255: pf has no words for them.
 */
export function emitPf(program: HostProgram, options: PfOptions): Emission {
  const all = classRules(program);
  const rules = classesOfSet(program.classes, HOST_SET).flatMap((classId) => all.get(classId) ?? []);
  const refused = [...refuseWorkloads(program, all), ...rules.flatMap(refuseClass)];
  if (refused.length > 0) return refuseAll("pf", distinct(refused));
  return emitted("pf", new Anchor(program, all, options.mode).lines());
}

function refuseClass(rules: ClassRules): readonly Refusal[] {
  const others = (decisions: Iterable<Decision>): Decision[] =>
    [...new Set(decisions)].filter((decision) => decision !== rules.otherwise);
  const refused: Refusal[] = [];
  for (const [protocol, runs] of rules.byPort) {
    const decisions = others(runs.map(({ decision }) => decision));
    if (protocol === PROTOCOL.sctp) refused.push(...refusalsOf(decisions, "pf cannot compare ports of SCTP."));
    if (ICMP_NAMES.has(protocol) && pfIcmpRules(runs) === null) {
      refused.push(...refusalsOf(decisions, "pf cannot compare codes of ICMP type 255."));
    }
  }
  const zero = rules.whole.get(0);
  if (zero) refused.push(...refusalsOf([zero], "pf reads protocol 0 as every protocol."));
  return refused;
}

function distinct(refused: readonly Refusal[]): readonly Refusal[] {
  return [...new Map(refused.map((refusal) => [JSON.stringify(refusal), refusal])).values()];
}

class Anchor {
  readonly #program: HostProgram;
  readonly #byClass: ReadonlyMap<number, ClassRules>;
  readonly #enforces: boolean;

  constructor(program: HostProgram, rules: ReadonlyMap<number, ClassRules>, mode: PfOptions["mode"]) {
    this.#program = program;
    this.#byClass = rules;
    this.#enforces = mode === "enforce";
  }

  *lines(): Iterable<string> {
    const { hostName, digest } = this.#program;
    yield `# Wardline policy of host ${commentText(hostName)}, program ${digest}`;
    yield `# ${this.#enforces ? "Enforces." : "Observes: everything passes, and what would be blocked is logged."}`;
    yield* this.#legend();
    const tables = { ingress: this.#tables("ingress"), egress: this.#tables("egress") };
    for (const direction of ["ingress", "egress"] as const) {
      for (const [classId, entries] of tables[direction]) {
        yield `table <${tableName(direction, classId)}> persist { ${entries.join(", ")} }`;
      }
    }
    yield SCRUB_LINE;
    yield* this.#builtins();
    for (const direction of ["ingress", "egress"] as const) {
      for (const classId of tables[direction].keys()) yield* this.#classRules(direction, classId, true);
      const classOf = classOfAtom(this.#program, HOST_SET, direction);
      yield* this.#classRules(direction, classOf(0), false);
    }
  }

  /** What each label stands for. */
  *#legend(): Iterable<string> {
    const reached = new Set(
      classesOfSet(this.#program.classes, HOST_SET).flatMap((classId) => [...decisionsOf(this.#rulesOf(classId))]),
    );
    for (const decision of [...reached].sort((left, right) => left.index - right.index)) {
      yield `# ${pfDecisionLabel(decision)}: ${commentText(describeDecision(decision))}`;
    }
  }

  #tables(direction: Direction): ReadonlyMap<number, readonly string[]> {
    const { addresses4, addresses6 } = this.#program;
    const classOf = classOfAtom(this.#program, HOST_SET, direction);
    const tables = new Map<number, readonly string[]>();
    for (const entries of [addresses4, addresses6]) {
      for (const [classId, texts] of pfTables(entries, classOf)) {
        tables.set(classId, [...(tables.get(classId) ?? []), ...texts]);
      }
    }
    return tables;
  }

  #rulesOf(classId: number): ClassRules {
    const rules = this.#byClass.get(classId);
    if (!rules) throw new Error(`the program has no class ${classId}`);
    return rules;
  }

  /** What is decided before any policy. */
  *#builtins(): Iterable<string> {
    const label = (name: PfBuiltinName): string => {
      const decision = this.#program.decisions[BUILTIN_DECISIONS[name].index];
      if (!decision) throw new Error("a program has every builtin decision");
      return `label "${pfDecisionLabel(decision)}"`;
    };
    const [loopback, ...others] = pfBuiltinPasses(label);
    yield loopback;
    const fragments = this.#enforces
      ? "block drop quick all fragment"
      : "pass log quick all fragment no state allow-opts";
    yield `${fragments} ${label("fragment")}`;
    yield* others;
  }

  /** Without a table: the rules of every other address, which end the direction. */
  *#classRules(direction: Direction, classId: number, hasTable: boolean): Iterable<string> {
    const rules = this.#rulesOf(classId);
    const remote = hasTable ? `<${tableName(direction, classId)}>` : "any";
    const ends = direction === "ingress" ? `from ${remote} to any` : `from any to ${remote}`;
    const line = (decision: Decision, matching: string, more: string, isTcp: boolean): string =>
      [this.#action(decision, direction), matching, ends, more, this.#options(decision, isTcp)]
        .filter((part) => part !== "")
        .join(" ");
    for (const [protocol, runs] of rules.byPort) {
      const icmp = ICMP_NAMES.get(protocol);
      if (icmp) {
        const split = pfIcmpRules(runs);
        if (!split) throw new Error("such codes are refused before");
        yield* icmpLines(icmp, split, rules.otherwise, line);
        continue;
      }
      const name = TRANSPORT_NAMES.get(protocol);
      if (name === undefined) throw new Error(`ports of protocol ${protocol} are refused before`);
      for (const [decision, ports] of portsByDecision(runs, rules.otherwise)) {
        yield line(decision, `proto ${name}`, `port ${list(ports)}`, protocol === PROTOCOL.tcp);
      }
    }
    for (const [protocol, decision] of rules.whole) {
      if (rules.byPort.has(protocol)) continue;
      yield line(decision, `proto ${protocol}`, "", protocol === PROTOCOL.tcp);
    }
    yield line(rules.otherwise, "", "", true);
  }

  #action(decision: Decision, direction: Direction): string {
    const side = direction === "ingress" ? "in" : "out";
    if (decision.verdict === "allow") return `pass ${side} quick`;
    return this.#blocks(decision) ? `block drop ${side} quick` : `pass ${side} log quick`;
  }

  #blocks(decision: Decision): boolean {
    return decision.verdict === "deny" && !decision.observeOnly && this.#enforces;
  }

  /** `flags any`, because otherwise only the first packet of a TCP connection would match, and the others fall through. */
  #options(decision: Decision, mayBeTcp: boolean): string {
    const label = `label "${pfDecisionLabel(decision)}"`;
    if (this.#blocks(decision)) return label;
    return `${mayBeTcp ? "flags any " : ""}keep state allow-opts ${label}`;
  }
}

/**
 * Loopback first, then neighbour discovery and path MTU. pf cannot compare hop limits; the system itself refuses routed
 * discovery. Loopback is a rule because pf ignores `set skip` inside an anchor.
 */
export function pfBuiltinPasses(label: (name: PfBuiltinName) => string): readonly [string, ...string[]] {
  const discovery = "icmp6-type { 133, 134, 135, 136, 137 }";
  return [
    `pass quick on lo0 all no state allow-opts ${label("loopback")}`,
    `pass quick inet6 proto icmp6 all ${discovery} no state allow-opts ${label("neighborDiscovery")}`,
    `pass quick inet6 proto icmp6 all icmp6-type 2 no state allow-opts ${label("pathMtu")}`,
    `pass quick inet proto icmp all icmp-type 3 code 4 no state allow-opts ${label("pathMtu")}`,
  ];
}

function* icmpLines(
  icmp: { readonly matching: string; readonly types: string },
  split: PfIcmpRules,
  otherwise: Decision,
  line: (decision: Decision, matching: string, more: string, isTcp: boolean) => string,
): Iterable<string> {
  for (const { types, decision } of split.rules) {
    yield line(decision, icmp.matching, `${icmp.types} ${list(types)}`, false);
  }
  if (split.otherwise !== otherwise) yield line(split.otherwise, icmp.matching, "", false);
}

/** Name of a decision in the labels of rules: `pfctl -a NAME -s labels` counts by it. */
export function pfDecisionLabel({ index, id }: Pick<Decision, "index" | "id">): string {
  return `d${index}_${id}`;
}

function tableName(direction: Direction, classId: number): string {
  return `wl_${direction}_${classId}`;
}

function portsByDecision(runs: readonly PortRun[], otherwise: Decision): ReadonlyMap<Decision, readonly string[]> {
  const ports = new Map<Decision, string[]>();
  for (const { low, high, decision } of runs) {
    if (decision === otherwise) continue;
    const texts = ports.get(decision) ?? [];
    texts.push(low === high ? String(low) : `${low}:${high}`);
    ports.set(decision, texts);
  }
  return ports;
}

function list(items: readonly string[]): string {
  return items.length === 1 ? (items[0] ?? "") : `{ ${items.join(", ")} }`;
}
