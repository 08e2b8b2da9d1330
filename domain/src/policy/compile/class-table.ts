/** Classes: port tables, each once however many (set, direction, atom) behave that way. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import {
  type DecisionContent,
  isolatedDecision,
  mergeObserved,
  notIsolatedDecision,
  ruleDecision,
} from "../decision.ts";
import type { Direction, Policy, PolicyRule } from "../model.ts";
import { type CellSpace, cutCells } from "./cells.ts";
import { type Ends, type MatchedRule, paintCells } from "./paint.ts";
import { buildPortTable, type PortTableEntry } from "./port-table.ts";

/** Above this many entries in all tables together a program is refused. */
export const MAX_PROGRAM_ENTRIES = 1_000_000;

/** Decisions by number. The content of a rule's decision is made when it is asked for: most rules decide nothing here. */
export class DecisionTable {
  readonly #contents: (DecisionContent | (() => DecisionContent))[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #ofRule = new Map<PolicyRule, number>();

  forRule(policy: Policy, rule: PolicyRule): number {
    let number = this.#ofRule.get(rule);
    if (number === undefined) {
      number = this.#contents.length;
      this.#contents.push(() => ruleDecision(policy, rule));
      this.#ofRule.set(rule, number);
    }
    return number;
  }

  ends(isolating: readonly Policy[], direction: Direction): Ends {
    return {
      isolated: isolating.length > 0 ? this.#intern(isolatedDecision(isolating, direction)) : null,
      notIsolated: this.#intern(notIsolatedDecision(direction)),
    };
  }

  content(number: number): DecisionContent {
    const known = this.#contents[number];
    if (!known) throw new Error(`there is no decision ${number}`);
    if (typeof known !== "function") return known;
    const content = known();
    this.#contents[number] = content;
    return content;
  }

  /** See {@link mergeObserved}. */
  merge(enforced: number, all: number): number {
    if (enforced === all) return enforced;
    const content = this.content(enforced);
    const merged = mergeObserved(content, this.content(all));
    return merged === content ? enforced : this.#intern(merged);
  }

  #intern(content: DecisionContent): number {
    const known = this.#numbers.get(content.id);
    if (known !== undefined) return known;
    const number = this.#contents.length;
    this.#contents.push(content);
    this.#numbers.set(content.id, number);
    return number;
  }
}

/** The rules that match an address, and what follows them. */
export interface MatchedPlan {
  readonly rules: readonly MatchedRule[];
  readonly ends: Ends;
}

export class ClassTable {
  /** `tables[i]` belongs to class `i + 1`. Decisions are numbers of the decision table. */
  readonly tables: (readonly PortTableEntry[])[] = [];
  entryCount = 0;
  readonly #classIds = new Map<string, number>();
  readonly #decisions: DecisionTable;

  constructor(decisions: DecisionTable) {
    this.#decisions = decisions;
  }

  /** The class of what the plans decide; `all` is `null` when no observed policy takes part. */
  classOf(enforced: MatchedPlan, all: MatchedPlan | null): number {
    const space = cutCells([enforced, all].flatMap((plan) => plan?.rules ?? []).flatMap((rule) => rule.ports));
    const painted = paintCells(space, enforced.rules, enforced.ends);
    const decisions = all === null ? painted : this.#merge(space, painted, all);
    const table = buildPortTable(space, decisions);
    const key = table.map((entry) => `${entry.protocol},${entry.port},${entry.portBits},${entry.decision}`).join(" ");
    const known = this.#classIds.get(key);
    if (known !== undefined) return known;
    this.tables.push(table);
    this.entryCount += table.length;
    refuseAbove(this.entryCount);
    this.#classIds.set(key, this.tables.length);
    return this.tables.length;
  }

  #merge(space: CellSpace, enforced: Int32Array, all: MatchedPlan): Int32Array {
    const painted = paintCells(space, all.rules, all.ends);
    return enforced.map((decision, cell) => this.#decisions.merge(decision, painted[cell] ?? decision));
  }
}

export function refuseAbove(entryCount: number): void {
  if (entryCount <= MAX_PROGRAM_ENTRIES) return;
  throw new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `The compiled policy needs more than ${MAX_PROGRAM_ENTRIES.toLocaleString("en")} table entries on one host.`,
    hint: "Name fewer addresses or port ranges, or use wider prefixes.",
  });
}
