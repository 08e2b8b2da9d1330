/** The minutes of labelled windows as the forest sees them: for comparing it with others on the same numbers. */
import { freshHabits, type Habits, learnHabits } from "../features/habits.ts";
import { seeRecord } from "../features/seen.ts";
import { addToWindow, type MinuteWindow, minuteWindow, quantitiesOf, vectorOf } from "../features/window.ts";
import { ADMIN_PORTS } from "../support/addresses.ts";
import type { LabelledWindow } from "./scenarios.ts";

export interface LabelledMinute {
  readonly startMs: number;
  readonly quantities: readonly number[];
  readonly vector: Float32Array;
  readonly isAttack: boolean;
}

export class MinuteVectors {
  readonly #habits: Habits;

  constructor(habits: Habits = freshHabits()) {
    this.#habits = habits;
  }

  /** As it is now, to go on differently from here. */
  fork(): MinuteVectors {
    return new MinuteVectors(structuredClone(this.#habits));
  }

  *minutes(windows: Iterable<LabelledWindow>): Generator<LabelledMinute> {
    let minute: MinuteWindow | null = null;
    let isAttack = false;
    for (const window of windows) {
      const startMs = Math.floor(window.startMs / 60_000) * 60_000;
      if (minute !== null && minute.startMs !== startMs) {
        yield done(minute, isAttack);
        minute = null;
        isAttack = false;
      }
      minute ??= minuteWindow(startMs);
      isAttack ||= window.isAttack;
      for (const record of window.records) {
        const seen = seeRecord(record, window.startMs, window.startMs);
        if (seen === null) continue;
        addToWindow(minute, seen, this.#habits, ADMIN_PORTS);
        learnHabits(this.#habits, seen);
      }
    }
    if (minute !== null) yield done(minute, isAttack);
  }
}

function done(minute: MinuteWindow, isAttack: boolean): LabelledMinute {
  const quantities = quantitiesOf(minute);
  return { startMs: minute.startMs, quantities, vector: vectorOf(quantities), isAttack };
}
