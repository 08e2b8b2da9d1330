/** When a rule would have fired over recorded history: the same book, with the recorded times for a clock. */
import { AlertBook } from "./book.ts";
import { type Alert, type AlertMessage, type AlertRule, type Observation, SEVERITY_RANK } from "./model.ts";

const RECEIVER = "backtest";
const MOST_KEPT = 1_000;

/** Several observations of one moment. With `isWhole` everything that the rule says then: what is not in it has ended. */
export interface RecordedMoment {
  readonly timeMs: number;
  readonly isWhole: boolean;
  readonly observations: readonly Observation[];
}

export interface RuleRunResult {
  /** The first 1,000, oldest first. */
  readonly alerts: readonly Alert[];
  readonly count: number;
  /** Messages that one receiver would have got. */
  readonly messages: number;
}

/** Moments go in by the order of their time. */
export class RuleBacktest {
  readonly #book: AlertBook;
  readonly #rule: AlertRule;
  readonly #seen = new Map<string, Alert>();
  readonly #counted = new Set<string>();
  #count = 0;
  #messages = 0;

  constructor(rule: AlertRule) {
    this.#rule = { ...rule, enabled: true, steps: [{ afterSeconds: 0, receivers: [RECEIVER] }] };
    this.#book = new AlertBook({
      rules: [this.#rule],
      silences: [],
      receivers: [{ name: RECEIVER, keepsState: false }],
      // Nothing is known between two records, and nothing was missed.
      longestStepMs: Number.POSITIVE_INFINITY,
    });
  }

  add({ timeMs, isWhole, observations }: RecordedMoment): void {
    this.#passTo(timeMs);
    if (isWhole) this.#book.observeAll(this.#rule.name, observations, timeMs);
    else for (const observation of observations) this.#book.observe(observation, timeMs);
    this.#take(this.#book.advance(timeMs));
  }

  finish(untilMs: number): RuleRunResult {
    this.#passTo(untilMs);
    return { alerts: [...this.#seen.values()], count: this.#count, messages: this.#messages };
  }

  #passTo(timeMs: number): void {
    let last = -1;
    for (;;) {
      const due = this.#book.nextDueMs();
      if (due === null || due >= timeMs || due <= last) return;
      last = due;
      this.#take(this.#book.advance(due));
    }
  }

  #take(messages: readonly AlertMessage[]): void {
    this.#messages += messages.length;
    const { alerts, closed } = this.#book.takeChanges();
    for (const alert of [...alerts, ...closed]) {
      if (alert.firedAtMs === null) continue;
      if (this.#seen.has(alert.id)) this.#seen.set(alert.id, alert);
      else if (this.#isNew(alert)) {
        this.#count++;
        if (this.#seen.size < MOST_KEPT) this.#seen.set(alert.id, alert);
      }
    }
  }

  /** Alerts beyond those that are kept are counted as they fire, once. */
  #isNew(alert: Alert): boolean {
    const isFirstSight = !this.#counted.has(alert.id);
    this.#counted.add(alert.id);
    return isFirstSight;
  }
}

export function backtestRule(rule: AlertRule, moments: Iterable<RecordedMoment>, untilMs: number): RuleRunResult {
  const run = new RuleBacktest(rule);
  for (const moment of moments) run.add(moment);
  return run.finish(untilMs);
}

/** Alerts that only one of two runs has: told apart by what they are about and when they fired. */
export function onlyIn(one: RuleRunResult, other: RuleRunResult): readonly Alert[] {
  const known = new Set(other.alerts.map(identity));
  return one.alerts.filter((alert) => !known.has(identity(alert)));
}

function identity({ key, firedAtMs, severity }: Alert): string {
  return JSON.stringify([key, firedAtMs, SEVERITY_RANK[severity]]);
}
