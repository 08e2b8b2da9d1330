/** What several calls of the loop changed, taken together. */
import type { HealingOutcome } from "@wardline/api/wardline/v1/mesh";
import type { HealingChange, KeptRun, OrderReceipt, PlannedOrder } from "@wardline/domain/mesh/healing";

/** The newest state of each run. */
export class Gathered {
  readonly orders: PlannedOrder[] = [];
  readonly runs = new Map<string, KeptRun>();
  readonly dropped = new Set<string>();
  isKnowledgeChanged = false;

  add({ orders, runs, dropped, isKnowledgeChanged }: HealingChange): void {
    this.orders.push(...orders);
    for (const run of runs) this.runs.set(run.id, run);
    for (const id of dropped) this.dropped.add(id);
    this.isKnowledgeChanged ||= isKnowledgeChanged;
  }
}

/** An answer that the leader gives by itself. */
export function receiptOf(orderId: string, outcome: HealingOutcome, sentence: string, atMs: number): OrderReceipt {
  return { orderId, outcome, sentence, evidence: [], atMs };
}
