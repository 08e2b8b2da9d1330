/** What this host does: whom it talks to, on which ports, by which processes. Grows only by traffic in which no finding lies. */
import {
  addEntry,
  keepEntry,
  peekEntry,
  removeWhere,
  type TieredMap,
  tieredMap,
  touchEntry,
} from "../support/tiered-map.ts";
import type { Seen } from "./seen.ts";

export interface Habit {
  firstMs: number;
  lastMs: number;
  /** Different hours in which it was seen. */
  hours: number;
}

export interface Habits {
  /** Direction, remote and port. */
  readonly pairs: TieredMap<Habit>;
  /** Direction and remote. */
  readonly remotes: TieredMap<Habit>;
  /** Process and direction. */
  readonly processes: TieredMap<Habit>;
  /** Protocol and port that answers here. */
  readonly listeners: TieredMap<Habit>;
}

const HOUR_MS = 3_600_000;
/** In so many different hours a thing must be seen before it is a habit: one busy hour makes none. */
const HABIT_HOURS = 3;
const FORGOTTEN_MS = 45 * 24 * HOUR_MS;
const FORGOTTEN_YOUNG_MS = 8 * 24 * HOUR_MS;

export function freshHabits(): Habits {
  return {
    pairs: tieredMap(4096, 8192),
    remotes: tieredMap(4096, 4096),
    processes: tieredMap(512, 1024),
    listeners: tieredMap(512, 1024),
  };
}

export const pairKey = ({ direction, remote, port }: Pick<Seen, "direction" | "remote" | "port">): string =>
  `${direction[0]}${remote}:${port}`;
export const remoteKey = ({ direction, remote }: Pick<Seen, "direction" | "remote">): string => direction[0] + remote;
export const processKey = ({ direction, process }: Pick<Seen, "direction" | "process">): string =>
  direction[0] + process;
export const listenerKey = ({ protocol, port }: Pick<Seen, "protocol" | "port">): string => `${protocol}:${port}`;

/** Only what succeeded is a habit: a scanner does not make its targets known. */
export function learnHabits(habits: Habits, seen: Seen): void {
  if (seen.isFailed || seen.remote === "") return;
  learn(habits.pairs, seen.pairKey, seen.firstMs);
  learn(habits.remotes, seen.remoteKey, seen.firstMs);
  if (seen.process !== "") learn(habits.processes, processKey(seen), seen.firstMs);
  if (seen.direction === "ingress") learn(habits.listeners, listenerKey(seen), seen.firstMs);
}

function learn(map: TieredMap<Habit>, key: string, atMs: number): void {
  const habit = touchEntry(map, key);
  if (habit === undefined) {
    addEntry(map, key, { firstMs: atMs, lastMs: atMs, hours: 1 });
    return;
  }
  if (Math.floor(atMs / HOUR_MS) > Math.floor(habit.lastMs / HOUR_MS)) {
    habit.hours++;
    if (habit.hours === HABIT_HOURS) keepEntry(map, key);
  }
  habit.lastMs = Math.max(habit.lastMs, atMs);
}

export function isHabit(map: TieredMap<Habit>, key: string): boolean {
  return (peekEntry(map, key)?.hours ?? 0) >= HABIT_HOURS;
}

export function isKnown(map: TieredMap<Habit>, key: string): boolean {
  return peekEntry(map, key) !== undefined;
}

export function forgetOldHabits(habits: Habits, nowMs: number): void {
  for (const map of [habits.pairs, habits.remotes, habits.processes, habits.listeners]) {
    removeWhere(
      map,
      ({ lastMs, hours }) => nowMs - lastMs > (hours >= HABIT_HOURS ? FORGOTTEN_MS : FORGOTTEN_YOUNG_MS),
    );
  }
}
