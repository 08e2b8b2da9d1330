/** What the answer of a host, or the lack of one, makes of a run. */
import type { VerifiedOutcome } from "./knowledge.ts";
import {
  HealingOutcome,
  HealingPhase,
  HealingState,
  type KeptRun,
  type OrderReceipt,
  type SentOrder,
} from "./model.ts";
import { outstandingOrder, withLastOrder, withStep, withWork } from "./run-edit.ts";
import { TIMES } from "./thresholds.ts";
import { actionPhrase } from "./words.ts";

const OUTCOME_WORDS: Readonly<Record<HealingOutcome, string>> = {
  [HealingOutcome.UNSPECIFIED]: "nothing is known of it",
  [HealingOutcome.DONE]: "done",
  [HealingOutcome.FAILED]: "failed",
  [HealingOutcome.SKIPPED]: "skipped",
  [HealingOutcome.NOT_POSSIBLE]: "not possible there",
  [HealingOutcome.INTERRUPTED]: "interrupted in the middle",
};

export interface Answered {
  readonly run: KeptRun;
  readonly learned: VerifiedOutcome | null;
}

/** `null` = the receipt is of no order that waits for one. */
export function withReceipt(run: KeptRun, receipt: OrderReceipt, nowMs: number): Answered | null {
  const last = run.work.orders.at(-1);
  if (!last || last.id !== receipt.orderId || receipt.outcome === HealingOutcome.UNSPECIFIED) return null;
  const isLate = last.outcome === HealingOutcome.INTERRUPTED && last.answeredAtMs === 0;
  if (last.outcome !== HealingOutcome.UNSPECIFIED && !isLate) return null;
  const answered = withLastOrder(run, { outcome: receipt.outcome, answeredAtMs: nowMs });
  const told = withStep(answered, stepOf(last, receipt, nowMs));
  if (run.endedAtMs !== null || (isLate && run.state !== HealingState.VERIFYING)) return { run: told, learned: null };
  const learned =
    receipt.outcome === HealingOutcome.FAILED && !last.isDryRun && !last.isRollback
      ? { fault: run.fault, action: last.action, isHealed: false, repairTimeMs: null }
      : null;
  return { run: onward(told, receipt.outcome, nowMs), learned };
}

function stepOf(order: SentOrder, { outcome, sentence, evidence }: OrderReceipt, nowMs: number) {
  const dry = order.isDryRun ? "Gone through without effect: " : "";
  const words = `${dry}${order.host} was to ${actionPhrase(order)}: ${OUTCOME_WORDS[outcome] ?? "unknown"}.`;
  return {
    ...{ atMs: nowMs, phase: HealingPhase.EXECUTE, action: order.action, host: order.host, outcome, evidence },
    sentence: sentence === "" ? words : `${words} ${sentence}`,
    isDryRun: order.isDryRun,
  };
}

/** No answer came while the order held, or another one decided then: what became of it is not known. It is never sent again. */
export function receiptMissing(run: KeptRun, nowMs: number): KeptRun {
  const order = outstandingOrder(run);
  if (!order) return run;
  const sentence = `${order.host} was to ${actionPhrase(order)}; no answer came. Whether it was done is looked at.`;
  const outcome = HealingOutcome.INTERRUPTED;
  const step = { atMs: nowMs, phase: HealingPhase.EXECUTE, sentence, action: order.action, host: order.host, outcome };
  const missing = withStep(withLastOrder(run, { outcome }), { ...step, isDryRun: order.isDryRun });
  return run.endedAtMs === null ? onward(missing, outcome, nowMs) : missing;
}

/** After a real action it is looked at whether it helped, and where nothing was done what else there is. */
function onward(run: KeptRun, outcome: HealingOutcome, nowMs: number): KeptRun {
  const last = run.work.orders.at(-1)!;
  if (last.isDryRun) return run;
  const mayHaveActed = outcome === HealingOutcome.DONE || outcome === HealingOutcome.INTERRUPTED;
  if (last.isRollback || !mayHaveActed) return { ...withWork(run, { verifyUntilMs: 0 }), state: HealingState.WATCHING };
  const verifyUntilMs = Math.max(last.sentAtMs, nowMs - TIMES.orderValidMs) + TIMES.actionLimitMs;
  return withWork({ ...run, state: HealingState.VERIFYING }, { verifyUntilMs, clearSinceMs: null });
}
