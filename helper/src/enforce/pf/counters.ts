/** Counters of an anchor's rules, by decision: each rule carries its decision in its label. */
import type { DecisionCounter } from "../enforcer.ts";
import type { LabelCounter } from "./pfctl.ts";

/**
 * pf does not say when a rule last matched. The time given is that of the first look that found the count higher, so it
 * is late by at most the time between two looks.
 */
export class PfCounters {
  readonly #seen = new Map<number, { readonly packets: bigint; readonly atBootNs: bigint }>();

  forget(): void {
    this.#seen.clear();
  }

  read(labels: readonly LabelCounter[], nowBootNs: bigint): readonly DecisionCounter[] {
    const sums = new Map<number, { packets: bigint; bytes: bigint }>();
    for (const { label, packets, bytes } of labels) {
      const decision = /^d(\d+)_/.exec(label)?.[1];
      if (decision === undefined) continue;
      const sum = sums.get(Number(decision)) ?? { packets: 0n, bytes: 0n };
      sums.set(Number(decision), { packets: sum.packets + packets, bytes: sum.bytes + bytes });
    }
    return [...sums].map(([decision, sum]) => {
      const before = this.#seen.get(decision) ?? { packets: 0n, atBootNs: 0n };
      const lastSeenBootNs = sum.packets === before.packets ? before.atBootNs : nowBootNs;
      this.#seen.set(decision, { packets: sum.packets, atBootNs: lastSeenBootNs });
      return { decision, ...sum, lastSeenBootNs };
    });
  }
}
