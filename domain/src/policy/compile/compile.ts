import { builtinDecisionContent, type DecisionContent, decisionId } from "../decision.ts";
import { programDigest } from "../digest.ts";
import { hostEndpoint, sharesHostNetwork } from "../endpoints.ts";
import type { Direction, Endpoint, PolicyWorld } from "../model.ts";
import { orderPolicies } from "../order.ts";
import {
  type AddressEntry,
  BUILTIN_DECISIONS,
  type ClassEntry,
  type Decision,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PolicySet,
  type PortEntry,
  PROGRAM_FORMAT_VERSION,
} from "../program.ts";
import { ClassTable, DecisionTable, refuseAbove } from "./class-table.ts";
import { createPolicySelector, planSubject } from "./plan.ts";
import { indexEndpoints } from "./selection.ts";
import { createUnitTable, type NamedPrefix } from "./units.ts";
import { planKey, RuleExpander, View } from "./view.ts";

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

/**
 * Compiles what one host has to know of a world. The same world and name give the same program, digest included.
 *
 * Throws `TOO_LARGE` above one million table entries and `POLICY_UNSUPPORTED` as `orderPolicies`.
 */
export function compile(world: PolicyWorld, hostName: string): HostProgram {
  const subjects = setEndpoints(world, hostName);
  const decisions = new DecisionTable();
  const classTable = new ClassTable(decisions);
  const { viewOf, units } = buildViews(world, subjects, decisions, classTable);
  refuseAbove(units.prefixCount());
  const atoms = assignAtoms(units.prefixes(), [...new Set(viewOf.values())], classTable);

  const classes: ClassEntry[] = [];
  const classesOf = new Map<View, readonly number[]>();
  for (const [set] of subjects.entries()) {
    for (const direction of DIRECTIONS) {
      const view = viewOf.get(viewName(set, direction));
      if (!view) throw new Error("each set has a view in each direction");
      const byAtom = classesOf.get(view) ?? atoms.signatures.map((signature) => view.classOf(signature));
      classesOf.set(view, byAtom);
      for (const [atom, classId] of byAtom.entries()) {
        if (atom === 0 || classId !== byAtom[0]) classes.push({ set, direction, atom, classId });
      }
    }
    refuseAbove(atoms.entries.length + classes.length + classTable.entryCount);
  }
  const { ports, final } = numberDecisions(classTable, decisions);
  const content = {
    formatVersion: PROGRAM_FORMAT_VERSION,
    hostName,
    sets: subjects.map((endpoint, id): PolicySet => ({ id, endpointKey: endpoint.key, match: endpoint.match })),
    addresses4: atoms.entries.filter(({ prefix }) => prefix.length === 4),
    addresses6: atoms.entries.filter(({ prefix }) => prefix.length === 16),
    classes,
    ports,
    decisions: final,
  } as const;
  return { ...content, digest: programDigest(content) };
}

/** The host, then the workloads whose processes can be found on it, by key. */
function setEndpoints(world: PolicyWorld, hostName: string): readonly Endpoint[] {
  const workloads = world.inventory.endpoints
    .filter(({ kind, match, hostName: name }) => kind === "workload" && match !== null && name === hostName)
    .sort((left, right) => (left.key < right.key ? -1 : 1));
  return [{ ...hostEndpoint(world.inventory, hostName), match: null }, ...workloads];
}

function viewName(set: number, direction: Direction): string {
  return `${set} ${direction}`;
}

function buildViews(
  world: PolicyWorld,
  subjects: readonly Endpoint[],
  decisions: DecisionTable,
  classTable: ClassTable,
) {
  const [host] = subjects;
  const units = createUnitTable(world.inventory, indexEndpoints(world.inventory), host?.name ?? null);
  const expander = new RuleExpander(units);
  const policies = orderPolicies(world.policies);
  const selector = createPolicySelector(world.inventory, policies);
  const views = new Map<string, View>();
  const viewOf = new Map<string, View>();
  for (const [set, endpoint] of subjects.entries()) {
    const sharedHost = sharesHostNetwork(endpoint) ? (host ?? null) : null;
    const plans = planSubject(selector, policies, { endpoint, host: sharedHost });
    for (const direction of DIRECTIONS) {
      const key = planKey(plans[direction], expander);
      const view = views.get(key) ?? new View(plans[direction], expander, decisions, classTable);
      views.set(key, view);
      viewOf.set(viewName(set, direction), view);
    }
  }
  return { viewOf, units };
}

interface Atoms {
  readonly entries: readonly AddressEntry[];
  /** A signature for each atom; all others of the atom are treated alike. Atom 0 has the empty one. */
  readonly signatures: readonly (readonly number[])[];
}

/** Prefixes that behave alike in every view share an atom; one that behaves as its surroundings is left out. */
function assignAtoms(prefixes: readonly NamedPrefix[], views: readonly View[], classTable: ClassTable): Atoms {
  const behaviourOf = (signature: readonly number[]): string => views.map((view) => view.classOf(signature)).join();
  const behaviours = new Map<readonly number[], string>();
  const known = (signature: readonly number[]): string => {
    const behaviour = behaviours.get(signature) ?? behaviourOf(signature);
    behaviours.set(signature, behaviour);
    return behaviour;
  };
  const signatures: (readonly number[])[] = [[]];
  const unnamed = behaviourOf([]);
  const atomOf = new Map<string, number>();
  const entries: AddressEntry[] = [];
  for (const { bytes, prefixLength, parent, signature } of prefixes) {
    const behaviour = known(signature);
    if (behaviour === (parent === null ? unnamed : known(parent.signature))) continue;
    let atom = atomOf.get(behaviour);
    if (atom === undefined) {
      atom = signatures.length;
      atomOf.set(behaviour, atom);
      signatures.push(signature);
    }
    entries.push({ prefix: bytes, prefixLength, atom });
    refuseAbove(entries.length + classTable.entryCount);
  }
  return { entries, signatures };
}

/** Numbers the decisions that are used, in the order of the port entries. */
function numberDecisions(classTable: ClassTable, decisions: DecisionTable) {
  const final: Decision[] = builtinDecisions();
  const finalIndex = new Map<number, number>();
  const indexOf = (number: number): number => {
    const known = finalIndex.get(number);
    if (known !== undefined) return known;
    const index = final.length;
    final.push({ index, ...decisions.content(number) });
    finalIndex.set(number, index);
    return index;
  };
  const ports = classTable.tables.flatMap((table, position) =>
    table.map((entry): PortEntry => ({ classId: position + 1, ...entry, decision: indexOf(entry.decision) })),
  );
  return { ports, final };
}

/** The builtins at their fixed places, and reserved places between them and the rules. */
function builtinDecisions(): Decision[] {
  const names = Object.keys(BUILTIN_DECISIONS) as (keyof typeof BUILTIN_DECISIONS)[];
  const byIndex = new Map(names.map((name) => [BUILTIN_DECISIONS[name].index as number, builtinDecisionContent(name)]));
  return Array.from({ length: FIRST_RULE_DECISION }, (_, index) => ({
    index,
    ...(byIndex.get(index) ?? reservedDecision(index)),
  }));
}

function reservedDecision(index: number): DecisionContent {
  return { ...builtinDecisionContent("malformed"), id: decisionId(["reserved", String(index)]) };
}
