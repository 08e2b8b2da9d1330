/** ICMP types and codes in the terms of pf. */
import type { Decision } from "../program.ts";
import type { PortRun } from "./port-rules.ts";

/**
 * pf keeps a type or code as a byte that is one higher than the number, so that 255 becomes 0 and matches everything.
 * The highest ones are therefore never written: they are what is left after all others.
 */
const HIGHEST = 255;

export interface PfIcmpRules {
  /** In the order in which they have to stand: `3 code 1` before `3`. */
  readonly rules: readonly { readonly types: readonly string[]; readonly decision: Decision }[];
  /** Every other type. */
  readonly otherwise: Decision;
}

/** `null` when a decision depends on the code of type 255, which pf cannot compare. `runs` cover the whole range. */
export function pfIcmpRules(runs: readonly PortRun[]): PfIcmpRules | null {
  const otherwise = runs.at(-1)?.decision;
  if (!otherwise) throw new Error("runs cover the whole range");
  const withCode = new Map<Decision, string[]>();
  const withoutCode = new Map<Decision, string[]>();
  for (let type = 0; type <= HIGHEST; type++) {
    const inside = runs.filter(({ low, high }) => low <= ((type << 8) | HIGHEST) && high >= type << 8);
    const last: Decision = inside.at(-1)?.decision ?? otherwise;
    if (type === HIGHEST)
      return inside.length > 1 ? null : { rules: [...listed(withCode), ...listed(withoutCode)], otherwise };
    for (const { low, high, decision } of inside.slice(0, -1)) {
      for (let code = Math.max(low, type << 8) & HIGHEST; code <= Math.min(high - (type << 8), HIGHEST); code++) {
        push(withCode, decision, `${type} code ${code}`);
      }
    }
    if (last !== otherwise) push(withoutCode, last, String(type));
  }
  throw new Error("the last type returns");
}

function push(lists: Map<Decision, string[]>, decision: Decision, text: string): void {
  const list = lists.get(decision) ?? [];
  list.push(text);
  lists.set(decision, list);
}

function listed(lists: ReadonlyMap<Decision, readonly string[]>): PfIcmpRules["rules"] {
  return [...lists].map(([decision, types]) => ({ types, decision }));
}
