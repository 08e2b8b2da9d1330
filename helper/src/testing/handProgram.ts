/** Small HostPrograms written by hand, for tests that need a certain program and no policy text. */
import { createHash } from "node:crypto";
import {
  type AddressEntry,
  BUILTIN_DECISIONS,
  type ClassEntry,
  type Decision,
  type Direction,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PolicySet,
  type PortEntry,
  parseAddress,
  type Verdict,
  type WorkloadMatch,
} from "@wardline/domain/policy";

export interface HandRule {
  readonly direction: Direction;
  /** `null` = any remote address. Else one address. */
  readonly remote: string | null;
  readonly protocol: number;
  readonly port: number;
  readonly verdict: Verdict;
  readonly observeOnly?: boolean;
  /** 0 unless given. */
  readonly set?: number;
}

export interface HandProgramOptions {
  readonly rules: readonly HandRule[];
  /** What happens to everything else; deny in both directions unless given. */
  readonly otherwise?: Readonly<Record<Direction, Verdict>>;
  /** Sets from 1. */
  readonly workloads?: readonly WorkloadMatch[];
}

/** Decision indexes: 16 = other ingress, 17 = other egress, 18 and up = the rules in order. */
export const HAND_DECISION = { ingress: FIRST_RULE_DECISION, egress: FIRST_RULE_DECISION + 1, firstRule: 18 } as const;

function decision(index: number, verdict: Verdict, observeOnly = false): Decision {
  const id = index.toString(16).padStart(16, "0");
  return { index, id, verdict, observeOnly, reason: "rule", tier: null, policyKeys: [], rule: null, source: null };
}

function allDecisions({ rules, otherwise = { ingress: "deny", egress: "deny" } }: HandProgramOptions): Decision[] {
  const builtins = Object.values(BUILTIN_DECISIONS);
  return [
    ...Array.from({ length: FIRST_RULE_DECISION }, (_, index) => decision(index, builtins[index]?.verdict ?? "allow")),
    decision(HAND_DECISION.ingress, otherwise.ingress),
    decision(HAND_DECISION.egress, otherwise.egress),
    ...rules.map((rule, position) => decision(HAND_DECISION.firstRule + position, rule.verdict, rule.observeOnly)),
  ];
}

function addressEntries(remotes: readonly string[], family: 4 | 6): AddressEntry[] {
  return remotes.flatMap((remote, position) => {
    const address = parseAddress(remote);
    if (!address.ok) throw new RangeError(remote);
    const matches = address.family === family;
    return matches ? [{ prefix: address.bytes, prefixLength: address.bytes.length * 8, atom: position + 1 }] : [];
  });
}

/** One class for each set, direction and atom. Later rules do not override earlier ones of the same port. */
export function handProgram(options: HandProgramOptions): HostProgram {
  const remotes = [...new Set(options.rules.flatMap((rule) => (rule.remote === null ? [] : [rule.remote])))];
  const sets: PolicySet[] = [null, ...(options.workloads ?? [])].map((match, id) => ({
    id,
    endpointKey: id === 0 ? "Host/lab" : `Workload/default/w${id}`,
    match,
  }));
  const atoms = new Map(remotes.map((remote, position) => [remote, position + 1]));
  const placed = options.rules.map((rule, position) => ({ rule, position }));
  const keyOf = (set: number, direction: Direction, atom: number | null): string => `${set} ${direction} ${atom}`;
  const rulesByPlace = Map.groupBy(placed, ({ rule }) =>
    keyOf(rule.set ?? 0, rule.direction, rule.remote === null ? null : (atoms.get(rule.remote) ?? 0)),
  );
  const classes: ClassEntry[] = [];
  const ports: PortEntry[] = [];
  for (const set of sets)
    for (const direction of ["ingress", "egress"] as const)
      for (const atom of [0, ...remotes.map((_, position) => position + 1)]) {
        const classId = classes.length + 1;
        classes.push({ set: set.id, direction, atom, classId });
        ports.push({ classId, protocol: null, port: 0, portBits: 0, decision: HAND_DECISION[direction] });
        const own = rulesByPlace.get(keyOf(set.id, direction, atom)) ?? [];
        const general = rulesByPlace.get(keyOf(set.id, direction, null)) ?? [];
        for (const { rule, position } of [...own, ...general]) {
          const { protocol, port } = rule;
          ports.push({ classId, protocol, port, portBits: 16, decision: HAND_DECISION.firstRule + position });
        }
      }
  return {
    formatVersion: 1,
    hostName: "lab",
    digest: createHash("sha256").update(JSON.stringify(options)).digest("hex"),
    sets,
    addresses4: addressEntries(remotes, 4),
    addresses6: addressEntries(remotes, 6),
    classes,
    ports,
    decisions: allDecisions(options),
  };
}
