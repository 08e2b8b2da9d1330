/** Many short sessions at a door where a password is asked for. Against this host, or from it. */

import type { Seen } from "../features/seen.ts";
import { denyAction, quarantineAction } from "../findings/actions.ts";
import { LOGIN_PORTS, portName } from "../support/addresses.ts";
import {
  addEntry,
  entriesOf,
  keepEntry,
  peekEntry,
  removeWhere,
  type TieredMap,
  tieredMap,
  touchEntry,
} from "../support/tiered-map.ts";
import { counted, shownAddress, shownBytes, shownDuration, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface DoorEntry {
  firstMs: number;
  lastMs: number;
  /** Sessions and their bytes by slot of 10 s (last minute) and of half an hour (last half day). */
  fast: DoorSlot[];
  slow: DoorSlot[];
  /** Of the day that is open: most sessions in a minute and in half a day, and whether a finding was told. */
  highestFast: number;
  highestSlow: number;
  isTold: boolean;
}

interface DoorSlot {
  slot: number;
  sessions: number;
  bytes: number;
}

/** The most sessions that the same two ends had on normal days, slowly forgotten. */
interface DoorHabit {
  fast: number;
  slow: number;
  days: number;
  isFounding: boolean;
  lastMs: number;
}

export interface BruteForceState {
  readonly entries: TieredMap<DoorEntry>;
}

export interface DoorHabits {
  readonly usual: TieredMap<DoorHabit>;
  /** The day that is open, and how many were learned. */
  today: number;
  days: number;
}

const FAST_SLOT_MS = 10_000;
const FAST_SLOTS = 6;
const SLOW_SLOT_MS = 1_800_000;
const SLOW_SLOTS = 24;
const FAST_SESSIONS = 20;
const SLOW_SESSIONS = 60;
/** A session that got in moves more than this both ways together, more often than not: exchanges of keys are long. */
const FAILED_KEYED_BYTES = 9000;
const FAILED_PLAIN_BYTES = 2500;
const KEYED_PORTS: ReadonlySet<number> = new Set([22, 445, 465, 636, 993, 995, 3389, 5986]);
/** Less is no session at all. */
const TRIED_SESSION_BYTES = 250;
const DAY_MS = 86_400_000;
const MARGIN = 3;
const HABIT_DAYS = 2;
const LARGEST_GROWTH = 1.5;

export function freshBruteForce(): BruteForceState {
  return { entries: tieredMap(1024, 512) };
}

export function freshDoorHabits(): DoorHabits {
  return { usual: tieredMap(256, 512), today: -1, days: 0 };
}

export function observeBruteForce(
  state: BruteForceState,
  habits: DoorHabits,
  seen: Seen,
  context: DetectorContext,
): void {
  if (!LOGIN_PORTS.has(seen.port) || seen.protocol !== 6 || seen.isDenied) return;
  const sessions = Math.max(seen.record.started, 0) || 0;
  const bytes = seen.sent + seen.received;
  if (sessions === 0 && bytes === 0) return;
  const key = doorKey(seen);
  const entry =
    touchEntry(state.entries, key) ??
    addEntry(state.entries, key, {
      firstMs: seen.firstMs,
      lastMs: seen.firstMs,
      fast: [],
      slow: [],
      highestFast: 0,
      highestSlow: 0,
      isTold: false,
    });
  count(entry.fast, Math.floor(seen.firstMs / FAST_SLOT_MS), FAST_SLOTS, seen.attempts, bytes);
  count(entry.slow, Math.floor(seen.firstMs / SLOW_SLOT_MS), SLOW_SLOTS, seen.attempts, bytes);
  entry.lastMs = Math.max(entry.lastMs, seen.firstMs);
  const fast = total(entry.fast);
  const slow = total(entry.slow);
  if (slow.sessions >= 8) keepEntry(state.entries, key);
  entry.highestFast = Math.max(entry.highestFast, fast.sessions);
  entry.highestSlow = Math.max(entry.highestSlow, slow.sessions);
  const known = peekEntry(habits.usual, key);
  const usual = known !== undefined && (known.isFounding || known.days >= HABIT_DAYS) ? known : null;
  const fastRatio = ratioOf(fast, seen.port, Math.max(FAST_SESSIONS, MARGIN * (usual?.fast ?? 0)));
  const slowRatio = ratioOf(slow, seen.port, Math.max(SLOW_SESSIONS, MARGIN * (usual?.slow ?? 0)));
  const isFast = fastRatio >= slowRatio;
  const size = isFast ? fast : slow;
  const ratio = Math.max(fastRatio, slowRatio);
  const most = isFast ? (usual?.fast ?? FAST_SESSIONS / MARGIN) : (usual?.slow ?? SLOW_SESSIONS / MARGIN);
  const isTold = context.offer("brute-force", key, ratio, () =>
    describe(entry, key, seen, { isFast, ratio, ...size, most }),
  );
  if (isTold) entry.isTold = true;
}

const failedBytes = (port: number): number => (KEYED_PORTS.has(port) ? FAILED_KEYED_BYTES : FAILED_PLAIN_BYTES);

const doorKey = (seen: Seen): string =>
  `${seen.direction[0]}${seen.remote}:${seen.port}|${seen.direction === "egress" ? seen.who : ""}`;

function ratioOf({ sessions, bytes }: { sessions: number; bytes: number }, port: number, wanted: number): number {
  const each = sessions > 0 ? bytes / sessions : 0;
  if (each < TRIED_SESSION_BYTES || each > failedBytes(port)) return 0;
  return sessions / wanted;
}

function count(slots: DoorSlot[], slot: number, kept: number, sessions: number, bytes: number): void {
  let last = slots.at(-1);
  if (last === undefined || last.slot < slot) {
    last = { slot, sessions: 0, bytes: 0 };
    slots.push(last);
  }
  while (slots[0] !== undefined && slots[0].slot <= slot - kept) slots.shift();
  last.sessions += sessions;
  last.bytes += bytes;
}

function total(slots: readonly DoorSlot[]): { sessions: number; bytes: number } {
  let sessions = 0;
  let bytes = 0;
  for (const slot of slots) {
    sessions += slot.sessions;
    bytes += slot.bytes;
  }
  return { sessions, bytes };
}

interface DoorSize {
  readonly isFast: boolean;
  readonly ratio: number;
  readonly sessions: number;
  readonly bytes: number;
  readonly most: number;
}

function describe(entry: DoorEntry, key: string, seen: Seen, size: DoorSize): Signal {
  const isInward = seen.direction === "ingress";
  const each = size.bytes / Math.max(1, size.sessions);
  const slots = size.isFast ? entry.fast : entry.slow;
  const beganAtMs = Math.max(entry.firstMs, (slots[0]?.slot ?? 0) * (size.isFast ? FAST_SLOT_MS : SLOW_SLOT_MS));
  const who = isInward ? shownAddress(seen.remote, 0) : shownText(seen.process || "A process", 32);
  const target = isInward ? "this host" : shownAddress(seen.remote, 0);
  return {
    detector: "brute-force",
    key,
    ratio: size.ratio,
    severity: size.ratio > 4 || !isInward ? "high" : "medium",
    sentence: `${who} opened ${counted(size.sessions, "short session")} to ${portName(seen.port)} of ${target} within ${shownDuration(Math.max(1000, seen.lastMs - beganAtMs))}, ${shownBytes(each)} each: as when passwords are tried.`,
    beganAtMs,
    atMs: seen.firstMs,
    subjectKey: seen.subjectKey,
    process: isInward ? "" : seen.process,
    remote: seen.remote,
    port: seen.port,
    direction: seen.direction,
    features: [
      {
        key: "short_sessions",
        name: size.isFast ? "short sessions in a minute" : "short sessions in half a day",
        value: size.sessions,
        normal: { low: 0, high: Math.round(size.most) },
        unit: "sessions",
        weight: 0.7,
      },
      {
        key: "bytes_per_session",
        name: "bytes in a session, both ways",
        value: Math.round(each),
        normal: { low: failedBytes(seen.port), high: 1e9 },
        unit: "bytes",
        weight: 0.3,
      },
    ],
    filter: {
      ...ANY_EVIDENCE,
      direction: seen.direction,
      remotes: [seen.remote],
      port: seen.port,
      protocol: 6,
      process: isInward ? null : seen.process,
    },
    actions: [
      ...denyAction(seen.subjectKey, seen.direction, seen.remote, 6, isInward ? seen.port : 0),
      ...(isInward ? [] : quarantineAction(seen.subjectKey)),
    ],
    quietMs: size.isFast ? 180_000 : 2 * 3_600_000,
  };
}

/** At the end of an hour; with the end of a day, what was normal of it becomes habit. What is old goes. */
export function learnDoors(state: BruteForceState, habits: DoorHabits, nowMs: number): void {
  const today = Math.floor(nowMs / DAY_MS);
  if (habits.today >= 0 && today > habits.today) {
    for (const [key, entry] of entriesOf(state.entries)) {
      if (!entry.isTold) learnDay(habits, key, entry);
      entry.highestFast = 0;
      entry.highestSlow = 0;
      entry.isTold = false;
    }
    habits.days++;
  }
  habits.today = today;
  removeWhere(state.entries, ({ lastMs }) => nowMs - lastMs > DAY_MS);
  removeWhere(habits.usual, ({ lastMs }) => nowMs - lastMs > 45 * DAY_MS);
}

function learnDay(habits: DoorHabits, key: string, entry: DoorEntry): void {
  if (entry.highestSlow === 0) return;
  const own = touchEntry(habits.usual, key);
  if (own === undefined) {
    const isFounding = habits.days === 0;
    const { highestFast: fast, highestSlow: slow, lastMs } = entry;
    addEntry(habits.usual, key, { fast, slow, days: 1, isFounding, lastMs });
    if (isFounding) keepEntry(habits.usual, key);
    return;
  }
  own.days++;
  own.lastMs = entry.lastMs;
  const isEarly = own.days <= 3;
  own.fast = grown(own.fast, entry.highestFast, isEarly);
  own.slow = grown(own.slow, entry.highestSlow, isEarly);
  if (own.days === HABIT_DAYS) keepEntry(habits.usual, key);
}

/** The first days show what the habit is; afterwards it grows by half a day at most. */
function grown(known: number, value: number, isEarly: boolean): number {
  return Math.max(known * 0.98, isEarly ? value : Math.min(value, known * LARGEST_GROWTH));
}
