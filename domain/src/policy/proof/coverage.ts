/** Which rules the tests touch: a rule is touched when it decides some connection of some case. */
import type { DecidedConnection } from "../access/index.ts";
import { type DecisionContent, mergeObserved, notIsolatedDecision, ruleDecision } from "../decision.ts";
import type { Direction, Policy, PolicyRule, PolicyWorld } from "../model.ts";
import { orderPolicies } from "../order.ts";

export interface CoveredRule {
  readonly policy: Policy;
  readonly rule: PolicyRule;
}

/** Rules with the action `pass` decide nothing by themselves and are not counted. */
export interface Coverage {
  readonly ruleCount: number;
  readonly touchedCount: number;
  /** In the order in which policies are asked, and in file order within each. */
  readonly untouched: readonly CoveredRule[];
}

/** Collects decisions; what it keeps is bounded by the number of rules. */
export class CoverageBook {
  readonly #touched = new Set<string>();
  readonly #seen = new Set<DecisionContent>();

  add({ egress, ingress }: Pick<DecidedConnection, "egress" | "ingress">): void {
    this.#addSide(egress, "egress");
    this.#addSide(ingress, "ingress");
  }

  #addSide(decision: DecisionContent, direction: Direction): void {
    if (decision.reason !== "rule" || this.#seen.has(decision)) return;
    this.#seen.add(decision);
    this.#touched.add(keyOf(decision, direction));
  }

  /** Of two rules of one policy that say the same, only the first ever decides. */
  coverage(world: PolicyWorld): Coverage {
    const counted = new Set<string>();
    const untouched: CoveredRule[] = [];
    let ruleCount = 0;
    for (const policy of orderPolicies(world.policies)) {
      for (const rule of policy.rules) {
        if (rule.action === "pass") continue;
        ruleCount += 1;
        const key = keyOf(decisionOf(policy, rule), rule.direction);
        if (counted.has(key) || !this.#touched.has(key)) untouched.push({ policy, rule });
        counted.add(key);
      }
    }
    return { ruleCount, touchedCount: ruleCount - untouched.length, untouched };
  }
}

function keyOf({ id, rule }: DecisionContent, direction: Direction): string {
  return `${direction} ${id} ${rule}`;
}

/** As connections carry it: rules of observed policies only ever decide what is reported. */
function decisionOf(policy: Policy, rule: PolicyRule): DecisionContent {
  const own = ruleDecision(policy, rule);
  return policy.mode === "enforce" ? own : mergeObserved(notIsolatedDecision(rule.direction), own);
}
