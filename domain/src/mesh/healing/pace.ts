/** How often may be acted: cooldown per target, actions per hour, and the breaker. All of it from the orders of kept runs. */
import { HealingOutcome, type HealingSettings, type KeptRun, type SentOrder } from "./model.ts";
import { TIMES } from "./thresholds.ts";
import { seconds } from "./words.ts";

/** Orders that count: what was tried without effect (dry), and what takes something back, is no action. */
export function isAction({ isDryRun, isRollback }: SentOrder): boolean {
  return !isDryRun && !isRollback;
}

export interface Pace {
  readonly runs: readonly KeptRun[];
  readonly settings: HealingSettings;
  readonly nowMs: number;
}

export interface HeldBack {
  /** Empty = it may be acted on. Says nothing that changes with every second. */
  readonly sentence: string;
  /** It was tried often enough: a person has to look. */
  readonly isBroken: boolean;
  /** A host may still be at it: then nobody does anything about it, whoever asks. */
  readonly isUnderWay: boolean;
}

export function heldBack(target: string, { runs, settings, nowMs }: Pace): HeldBack {
  const all = runs.flatMap((run) => run.work.orders.map((order) => ({ order, run })));
  // What was done for it counts, also where the run that did it is about something else by now, and what its own run did before.
  const own = all
    .filter((each) => each.run.target === target || each.order.target === target)
    .map(({ order }) => order);
  if (own.some((order) => isUnderWay(order, nowMs))) {
    return { ...soft("An order for it is under way."), isUnderWay: true };
  }
  const actions = own.filter(isAction);
  const lastMs = Math.max(0, ...actions.map(({ sentAtMs }) => sentAtMs));
  const failures = failuresInARow(actions);
  if (failures >= TIMES.breakerFailures && nowMs - lastMs < TIMES.breakerMs) {
    const sentence = `${failures} actions in a row did not help: nothing more is done for an hour.`;
    return { sentence, isBroken: true, isUnderWay: false };
  }
  if (lastMs > 0 && nowMs - lastMs < settings.cooldownMs) {
    return soft(`Something was done about it less than ${seconds(settings.cooldownMs)} ago: it cools down.`);
  }
  const recent = all.filter(({ order }) => isAction(order) && nowMs - order.sentAtMs < TIMES.hourMs).length;
  if (recent < settings.actionsPerHour) return soft("");
  return soft(`No more than ${settings.actionsPerHour} actions are taken in an hour, and they were.`);
}

const soft = (sentence: string): HeldBack => ({ sentence, isBroken: false, isUnderWay: false });

/** Its host may still be at it: also where another one decided meanwhile and no longer waits for the answer. */
export function isUnderWay({ outcome, answeredAtMs, expiresAtMs }: SentOrder, nowMs: number): boolean {
  const isAnswered = outcome !== HealingOutcome.UNSPECIFIED && answeredAtMs > 0;
  return !isAnswered && nowMs < expiresAtMs + TIMES.receiptGraceMs;
}

/** Of those with a verdict, the newest first. What could not be done at all says nothing. */
function failuresInARow(orders: readonly SentOrder[]): number {
  const isFailure = (order: SentOrder) => order.isHealed === false || order.outcome === HealingOutcome.FAILED;
  const judged = orders.filter((order) => order.isHealed !== null || isFailure(order));
  const newestFirst = judged.sort((a, b) => b.sentAtMs - a.sentAtMs);
  const firstGood = newestFirst.findIndex((order) => !isFailure(order));
  return firstGood < 0 ? newestFirst.length : firstGood;
}

/** Runs that pace still needs. */
export function isNeededForPace(run: KeptRun, nowMs: number): boolean {
  return run.work.orders.some((order) => isAction(order) && nowMs - order.sentAtMs < TIMES.hourMs);
}
