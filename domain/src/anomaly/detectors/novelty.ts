/**
 * A process that never talked to the network before, a port that never answered: low in severity, and told only on hosts
 * where that is rare. Where something new comes every day, new is not news.
 */

import { isKnown, listenerKey, processKey } from "../features/habits.ts";
import type { Seen } from "../features/seen.ts";
import { shownAddress, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

export interface NoveltyState {
  /** What was new today, so that it is counted once. */
  readonly today: Map<string, number>;
}

export interface NoveltyHabit {
  /** Smoothed; begins high, so that a new engine is silent until it knows. */
  perDay: number;
  days: number;
  countToday: number;
  day: number;
}

const MAX_TODAY = 512;
const SMOOTHING = 0.4;
const EPHEMERAL_FROM = 32_768;
const DAY_MS = 86_400_000;

export function freshNovelty(): NoveltyState {
  return { today: new Map() };
}

export function freshNoveltyHabit(): NoveltyHabit {
  return { perDay: 1, days: 0, countToday: 0, day: -1 };
}

export function observeNovelty(state: NoveltyState, habit: NoveltyHabit, seen: Seen, context: DetectorContext): void {
  if (seen.isFailed || seen.attempts === 0 || !context.isTrained) return;
  const isNewProcess =
    seen.process !== "" && seen.direction === "egress" && !isKnown(context.habits.processes, processKey(seen));
  const isNewListener =
    seen.direction === "ingress" &&
    seen.port < EPHEMERAL_FROM &&
    (seen.protocol === 6 || seen.protocol === 17) &&
    !isKnown(context.habits.listeners, listenerKey(seen));
  if (!isNewProcess && !isNewListener) return;
  const key = isNewProcess ? `process ${seen.who}` : `port ${listenerKey(seen)}`;
  if (!state.today.has(key)) {
    if (state.today.size < MAX_TODAY) state.today.set(key, seen.firstMs);
    habit.countToday++;
  }
  const ratio = 1.2 / (1 + 2 * Math.max(habit.perDay, habit.countToday - 2));
  context.offer("novelty", key, ratio, () => describe(seen, key, ratio, isNewProcess, habit));
}

function describe(seen: Seen, key: string, ratio: number, isNewProcess: boolean, habit: NoveltyHabit): Signal {
  const place = shownText(seen.record.host, 48);
  const sentence = isNewProcess
    ? `${shownText(seen.process, 32)} on ${place} contacted ${shownAddress(seen.remote, seen.port)}; it had not used the network here before.`
    : `${shownText(seen.process || "A process", 32)} on ${place} answered ${shownAddress(seen.remote, 0)} on port ${seen.port}, where nothing here had answered before.`;
  return {
    detector: "novelty",
    key,
    ratio,
    severity: "low",
    sentence,
    beganAtMs: seen.firstMs,
    atMs: seen.firstMs,
    subjectKey: seen.subjectKey,
    process: seen.process,
    remote: isNewProcess ? seen.remote : "",
    port: seen.port,
    direction: seen.direction,
    features: [
      {
        key: isNewProcess ? "new_process" : "new_listening_port",
        name: isNewProcess ? "processes that are new on the network" : "ports that answer for the first time",
        value: 1,
        normal: { low: 0, high: Math.ceil(habit.perDay * 10) / 10 },
        unit: "a day",
        weight: 1,
      },
    ],
    filter: {
      ...ANY_EVIDENCE,
      direction: seen.direction,
      port: isNewProcess ? 0 : seen.port,
      process: isNewProcess ? seen.process : null,
    },
    actions: [],
    quietMs: 600_000,
  };
}

/** At the end of an hour. */
export function learnNovelty(state: NoveltyState, habit: NoveltyHabit, nowMs: number, isTrained: boolean): void {
  const day = Math.floor(nowMs / DAY_MS);
  if (habit.day === day) return;
  if (habit.day >= 0 && isTrained) {
    habit.perDay += SMOOTHING * (habit.countToday - habit.perDay);
    habit.days++;
  }
  habit.day = day;
  habit.countToday = 0;
  state.today.clear();
}
