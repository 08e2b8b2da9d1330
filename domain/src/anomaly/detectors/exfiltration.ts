/**
 * Much leaves to one remote end: against what this host sends to that end, or to ends that are no habit. Within ten minutes,
 * and over a day for what leaves in small parts.
 */

import type { Seen } from "../features/seen.ts";
import { denyAction, quarantineAction } from "../findings/actions.ts";
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
import { shownAddress, shownBytes, shownDuration, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface VolumeSlot {
  slot: number;
  sent: number;
  received: number;
}

interface VolumeEntry {
  firstMs: number;
  lastMs: number;
  minutes: VolumeSlot[];
  hours: VolumeSlot[];
  /** Of the day that is open. */
  highestTenMinutes: number;
  highestDay: number;
  /** A finding was told of it today: nothing of that becomes habit. */
  isTold: boolean;
}

/** The most that went to a remote on normal days. */
interface VolumeHabit {
  tenMinutes: number;
  day: number;
  /** Different days with traffic. */
  days: number;
  lastMs: number;
  /** Known from the first day on, when all were new. */
  isFounding: boolean;
  /** What `day` was when it became a habit: it grows to a multiple of that, no further. */
  anchorDay: number;
}

export interface ExfiltrationState {
  readonly entries: TieredMap<VolumeEntry>;
}

export interface VolumeHabits {
  readonly remotes: TieredMap<VolumeHabit>;
  /** The most that went to one remote that was no habit, by direction. */
  readonly strangers: Record<"egress" | "ingress", { tenMinutes: number; day: number }>;
  /** The day that is open, and how many were learned. */
  today: number;
  days: number;
}

const MB = 1e6;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TEN_MINUTES = 10;
const HABIT_DAYS = 2;
/** A day. What grows faster is told before it is habit. */
const LARGEST_GROWTH = 1.5;
/** Of a remote's daily habit over what it was at first. */
const ANCHOR_FACTOR = 10;
const FLOORS = {
  habit: { tenMinutes: 100 * MB, day: 300 * MB },
  stranger: { tenMinutes: 25 * MB, day: 80 * MB },
  untrained: { tenMinutes: 100 * MB, day: 500 * MB },
} as const;
/** Inside the own network much is copied that leaves nobody. What clients fetch of a server even more. */
const PRIVATE_FACTOR = 4;
const SERVED_FACTOR = 8;
/** Of own connections, so much more must be sent than received. */
const LEAST_ASYMMETRY = 3;

export function freshExfiltration(): ExfiltrationState {
  return { entries: tieredMap(2048, 512) };
}

export function freshVolumeHabits(): VolumeHabits {
  return {
    remotes: tieredMap(1024, 1024),
    strangers: { egress: { tenMinutes: 0, day: 0 }, ingress: { tenMinutes: 0, day: 0 } },
    today: -1,
    days: 0,
  };
}

export function observeVolume(
  state: ExfiltrationState,
  habits: VolumeHabits,
  seen: Seen,
  context: DetectorContext,
): void {
  if (seen.isDenied || seen.kind === "multicast" || seen.kind === "unknown" || seen.sent + seen.received === 0) return;
  const key = seen.remoteKey;
  const entry =
    touchEntry(state.entries, key) ??
    addEntry(state.entries, key, {
      firstMs: seen.firstMs,
      lastMs: seen.firstMs,
      minutes: [],
      hours: [],
      highestTenMinutes: 0,
      highestDay: 0,
      isTold: false,
    });
  addTo(entry.minutes, Math.floor(seen.firstMs / MINUTE_MS), TEN_MINUTES, seen);
  addTo(entry.hours, Math.floor(seen.firstMs / HOUR_MS), 24, seen);
  entry.lastMs = Math.max(entry.lastMs, seen.firstMs);
  const ten = total(entry.minutes);
  entry.highestTenMinutes = Math.max(entry.highestTenMinutes, ten.sent);
  const day = total(entry.hours);
  entry.highestDay = Math.max(entry.highestDay, day.sent);
  if (day.sent > MB) keepEntry(state.entries, key);
  const wanted = wantedOf(habits, key, seen, context);
  const isFast = ten.sent / wanted.tenMinutes >= day.sent / wanted.day;
  const size = isFast ? ten : day;
  const limit = isFast ? wanted.tenMinutes : wanted.day;
  const asymmetry = size.sent / Math.max(1, size.received);
  if (seen.direction === "egress" && asymmetry < LEAST_ASYMMETRY) return;
  const ratio = size.sent / limit;
  const isTold = context.offer("exfiltration", key, ratio, () =>
    describe(entry, key, seen, {
      ratio,
      isFast,
      sent: size.sent,
      asymmetry,
      limit,
      isHabit: wanted.isHabit,
      isTentative: !context.isTrained,
    }),
  );
  if (isTold && context.isTrained) entry.isTold = true;
}

interface Wanted {
  readonly tenMinutes: number;
  readonly day: number;
  readonly isHabit: boolean;
}

function wantedOf(habits: VolumeHabits, key: string, seen: Seen, context: DetectorContext): Wanted {
  const factor = (seen.kind === "private" ? PRIVATE_FACTOR : 1) * (seen.direction === "ingress" ? SERVED_FACTOR : 1);
  const own = peekEntry(habits.remotes, key);
  const strangers = habits.strangers[seen.direction];
  if (own !== undefined && isVolumeHabit(own)) {
    return {
      tenMinutes: Math.max(FLOORS.habit.tenMinutes * factor, 4 * own.tenMinutes),
      day: Math.max(FLOORS.habit.day * factor, 3 * own.day),
      isHabit: true,
    };
  }
  const floors = context.isTrained ? FLOORS.stranger : FLOORS.untrained;
  return {
    tenMinutes: Math.max(floors.tenMinutes * factor, 3 * strangers.tenMinutes),
    day: Math.max(floors.day * factor, 3 * strangers.day),
    isHabit: false,
  };
}

function addTo(slots: VolumeSlot[], slot: number, kept: number, { sent, received }: Seen): void {
  let last = slots.at(-1);
  if (last === undefined || last.slot < slot) {
    last = { slot, sent: 0, received: 0 };
    slots.push(last);
  }
  while (slots[0] !== undefined && slots[0].slot <= slot - kept) slots.shift();
  last.sent += sent;
  last.received += received;
}

function total(slots: readonly VolumeSlot[]): { sent: number; received: number } {
  let sent = 0;
  let received = 0;
  for (const slot of slots) {
    sent += slot.sent;
    received += slot.received;
  }
  return { sent, received };
}

interface VolumeSize {
  readonly ratio: number;
  readonly isFast: boolean;
  readonly sent: number;
  readonly asymmetry: number;
  readonly limit: number;
  readonly isHabit: boolean;
  /** On its first day a host may do what it always did: told once, and habit from then on. */
  readonly isTentative: boolean;
}

function describe(entry: VolumeEntry, key: string, seen: Seen, size: VolumeSize): Signal {
  const slots = size.isFast ? entry.minutes : entry.hours;
  const beganAtMs = Math.max(entry.firstMs, (slots[0]?.slot ?? 0) * (size.isFast ? MINUTE_MS : HOUR_MS));
  const isOwn = seen.direction === "egress";
  const usual = size.isHabit ? "to it" : "to an end that is no habit";
  const who = isOwn ? shownText(seen.process || "A process", 32) : "A service here";
  return {
    detector: "exfiltration",
    key,
    ratio: size.ratio,
    severity: seen.kind === "public" && isOwn && !size.isTentative ? (size.ratio > 4 ? "critical" : "high") : "medium",
    sentence: `${who} on ${shownText(seen.record.host, 48)} sent ${shownBytes(size.sent)} to ${shownAddress(seen.remote, isOwn ? seen.port : 0)} within ${shownDuration(Math.max(1000, seen.lastMs - beganAtMs))}, ${shownBytes(size.sent / Math.max(1, size.asymmetry))} came back; up to ${shownBytes(size.limit)} ${size.isFast ? "in ten minutes" : "a day"} ${usual} would be unremarkable.`,
    beganAtMs,
    atMs: seen.firstMs,
    subjectKey: seen.subjectKey,
    process: seen.process,
    remote: seen.remote,
    port: isOwn ? seen.port : 0,
    direction: seen.direction,
    features: [
      {
        key: size.isFast ? "sent_ten_minutes" : "sent_day",
        name: size.isFast ? "bytes sent to one end in ten minutes" : "bytes sent to one end in a day",
        value: size.sent,
        normal: { low: 0, high: size.limit },
        unit: "bytes",
        weight: 0.75,
      },
      {
        key: "asymmetry",
        name: "bytes sent for each byte received",
        value: Math.round(size.asymmetry * 10) / 10,
        normal: isOwn ? { low: 0, high: LEAST_ASYMMETRY } : null,
        unit: "",
        weight: isOwn ? 0.25 : 0,
      },
    ],
    filter: { ...ANY_EVIDENCE, direction: seen.direction, remotes: [seen.remote] },
    actions: [
      ...denyAction(seen.subjectKey, seen.direction, seen.remote, 0, 0),
      ...(isOwn && seen.kind === "public" ? quarantineAction(seen.subjectKey) : []),
    ],
    quietMs: size.isFast ? 15 * MINUTE_MS : 6 * HOUR_MS,
    isTentative: size.isTentative,
  };
}

const isVolumeHabit = ({ days, isFounding }: VolumeHabit): boolean => isFounding || days >= HABIT_DAYS;

/** At the end of an hour; with the end of a day, that day's normal volumes become habit. What is old goes. */
export function learnVolumes(state: ExfiltrationState, habits: VolumeHabits, nowMs: number): void {
  const today = Math.floor(nowMs / DAY_MS);
  if (habits.today >= 0 && today > habits.today) {
    for (const [key, entry] of entriesOf(state.entries)) {
      if (!entry.isTold) learnDay(habits, key, entry);
      entry.highestTenMinutes = 0;
      entry.highestDay = 0;
      entry.isTold = false;
    }
    habits.days++;
  }
  habits.today = today;
  removeWhere(state.entries, ({ lastMs }) => nowMs - lastMs > DAY_MS);
  removeWhere(habits.remotes, ({ lastMs }) => nowMs - lastMs > 45 * DAY_MS);
}

function learnDay(habits: VolumeHabits, key: string, entry: VolumeEntry): void {
  const { highestTenMinutes: ten, highestDay: day, lastMs } = entry;
  if (day === 0) return;
  const own = touchEntry(habits.remotes, key);
  const isFounding = habits.days === 0;
  if (!isFounding && (own === undefined || !isVolumeHabit(own))) {
    const strangers = habits.strangers[key.startsWith("e") ? "egress" : "ingress"];
    strangers.tenMinutes = grown(strangers.tenMinutes, ten, FLOORS.stranger.tenMinutes / 2);
    strangers.day = grown(strangers.day, day, FLOORS.stranger.day / 2);
  }
  if (own === undefined) {
    const anchorDay = Math.max(day, FLOORS.habit.day / 3);
    addEntry(habits.remotes, key, { tenMinutes: ten, day, days: 1, lastMs, isFounding, anchorDay });
    if (isFounding && day > MB) keepEntry(habits.remotes, key);
    return;
  }
  own.days++;
  own.lastMs = lastMs;
  // The first days show what the habit is; afterwards it grows slowly, and to a multiple of that.
  if (own.days <= 3) {
    own.tenMinutes = Math.max(own.tenMinutes, ten);
    own.day = Math.max(own.day, day);
    own.anchorDay = Math.max(own.anchorDay, own.day);
  } else {
    const cap = own.anchorDay * ANCHOR_FACTOR;
    own.tenMinutes = Math.min(cap, grown(own.tenMinutes, ten, FLOORS.habit.tenMinutes / 4));
    own.day = Math.min(cap, grown(own.day, day, FLOORS.habit.day / 4));
  }
  if (own.days >= HABIT_DAYS && own.day > MB / 10) keepEntry(habits.remotes, key);
}

function grown(known: number, value: number, floor: number): number {
  return Math.max(known * 0.98, Math.min(value, Math.max(floor, known * LARGEST_GROWTH)));
}
