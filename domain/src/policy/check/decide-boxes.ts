/** What the policies decide about a whole set of packets at once: the evaluator's walk over boxes instead of one packet. */
import { type Direction, type Policy, type PolicyRule, TIER_ORDER, type Verdict } from "../model.ts";
import { type Box, boxesOverlap, intersectBoxes, subtractBoxes } from "./boxes.ts";
import type { SubjectGroup } from "./subject-groups.ts";

export interface DecidedPart {
  /** Disjoint from the other parts. */
  readonly boxes: readonly Box[];
  readonly verdict: Verdict;
  /** `null` when nothing isolates the subject: the default. */
  readonly policy: Policy | null;
  /** `null` when policies isolate the subject and no rule allows it. */
  readonly rule: PolicyRule | null;
}

const MAX_PIECES = 4_096;

/** Parts that together are `target`; `null` when it falls into too many pieces. */
export function decideBoxes(
  group: SubjectGroup,
  direction: Direction,
  target: readonly Box[],
  uses: (policy: Policy) => boolean,
): readonly DecidedPart[] | null {
  const asked = group.asked(direction).filter(({ policy }) => uses(policy));
  const parts: DecidedPart[] = [];
  let rest = target;
  for (const tier of TIER_ORDER) {
    const passed: Box[] = [];
    for (const { policy, rule, boxes } of asked) {
      if (policy.tier !== tier || rest.length === 0 || !boxesOverlap(rest, boxes)) continue;
      // A rule's own boxes may overlap, so what one has taken is taken before the next is asked.
      for (const box of boxes) {
        const taken = intersectBoxes(rest, [box]);
        if (taken.length === 0) continue;
        rest = subtractBoxes(rest, [box]);
        if (rule.action === "pass") passed.push(...taken);
        else parts.push({ boxes: taken, verdict: rule.action, policy, rule });
        if (rest.length + passed.length > MAX_PIECES) return null;
      }
    }
    rest = [...rest, ...passed];
    const isolating = tier === "application" ? group.isolating(direction).find(uses) : undefined;
    if (isolating) {
      if (rest.length > 0) parts.push({ boxes: rest, verdict: "deny", policy: isolating, rule: null });
      return parts;
    }
  }
  if (rest.length > 0) parts.push({ boxes: rest, verdict: "allow", policy: null, rule: null });
  return parts;
}
