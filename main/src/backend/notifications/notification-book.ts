/**
 * What is listed behind the bell: matters that are open, what became of those that are over, and what a person has put
 * away. Pure; `changed` is what must be kept.
 */
import type { Matter, Urgency } from "./matter.ts";

export interface Entry extends Matter {
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** How often it came while it was listed. */
  readonly count: number;
  readonly isOpen: boolean;
  readonly isRead: boolean;
  readonly snoozedUntilMs: number | null;
  /** Put away by a person at this urgency: it comes back when it gets worse, or happens anew. 0 = listed. */
  readonly dismissedAt: Urgency | 0;
}

export interface Book {
  /** By key. */
  readonly entries: ReadonlyMap<string, Entry>;
}

/** More matters than anybody reads; the newest stay. */
export const MOST_ENTRIES = 500;

export interface Followed {
  readonly book: Book;
  /** Matters that are new, came back or got worse: what the desktop may be told. */
  readonly news: readonly Entry[];
  readonly hasChanged: boolean;
}

export function followMatters(book: Book, matters: readonly Matter[], nowMs: number, keepMs: number): Followed {
  const entries = new Map(book.entries);
  const news: Entry[] = [];
  const now = new Map(matters.map((matter) => [matter.key, matter]));
  for (const [key, matter] of now) {
    const before = entries.get(key);
    const next = before ? renewed(before, matter, nowMs) : fresh(matter, nowMs);
    if (next === before) continue;
    entries.set(key, next);
    if (isNews(before, next, nowMs)) news.push(next);
  }
  for (const [key, entry] of entries) {
    if (now.has(key)) continue;
    const isOver = entry.dismissedAt !== 0 || nowMs - entry.lastAtMs > keepMs;
    if (isOver) entries.delete(key);
    else if (entry.isOpen)
      entries.set(key, { ...entry, isOpen: false, lastAtMs: nowMs, snoozedUntilMs: null, deadlineMs: null });
  }
  return { book: { entries: bounded(entries) }, news, hasChanged: !isSame(book.entries, entries) };
}

function fresh(matter: Matter, nowMs: number): Entry {
  const listed = { count: 1, isOpen: true, isRead: false, snoozedUntilMs: null, dismissedAt: 0 } as const;
  return { ...matter, ...listed, firstAtMs: nowMs, lastAtMs: nowMs };
}

function renewed(before: Entry, matter: Matter, nowMs: number): Entry {
  if (!before.isOpen) return { ...fresh(matter, nowMs), firstAtMs: before.firstAtMs, count: before.count + 1 };
  const isWorse = matter.urgency > before.urgency;
  const next: Entry = {
    ...before,
    ...matter,
    ...(isWorse ? { lastAtMs: nowMs, isRead: false, dismissedAt: 0, snoozedUntilMs: null } : {}),
    // What a person has put away at a higher urgency stays so.
    ...(before.dismissedAt !== 0 && matter.urgency > before.dismissedAt ? { dismissedAt: 0, isRead: false } : {}),
  };
  return JSON.stringify(next) === JSON.stringify(before) ? before : next;
}

function isNews(before: Entry | undefined, next: Entry, nowMs: number): boolean {
  if (next.dismissedAt !== 0 || (next.snoozedUntilMs ?? 0) > nowMs) return false;
  return !before?.isOpen || next.urgency > before.urgency;
}

function bounded(entries: Map<string, Entry>): Map<string, Entry> {
  if (entries.size <= MOST_ENTRIES) return entries;
  const order = [...entries.values()].sort(
    (one, other) => Number(other.isOpen) - Number(one.isOpen) || other.lastAtMs - one.lastAtMs,
  );
  for (const { key } of order.slice(MOST_ENTRIES)) entries.delete(key);
  return entries;
}

function isSame(one: ReadonlyMap<string, Entry>, other: ReadonlyMap<string, Entry>): boolean {
  return one.size === other.size && [...other].every(([key, entry]) => one.get(key) === entry);
}

type Change = (entry: Entry) => Entry | null;

function changeEntries(book: Book, keys: readonly string[], change: Change): Book {
  const entries = new Map(book.entries);
  for (const key of keys.length === 0 ? [...entries.keys()] : keys) {
    const entry = entries.get(key);
    if (!entry) continue;
    const next = change(entry);
    if (next) entries.set(key, next);
    else entries.delete(key);
  }
  return { entries };
}

/** No keys = all. What is over goes; what is open is left out until it gets worse or comes anew. */
export function dismiss(book: Book, keys: readonly string[]): Book {
  return changeEntries(book, keys, (entry) =>
    entry.isOpen ? { ...entry, dismissedAt: entry.urgency, isRead: true } : null,
  );
}

export function snooze(book: Book, keys: readonly string[], untilMs: number): Book {
  return changeEntries(book, keys, (entry) => ({ ...entry, snoozedUntilMs: untilMs, isRead: true }));
}

export function markRead(book: Book, keys: readonly string[]): Book {
  return changeEntries(book, keys, (entry) => (entry.isRead ? entry : { ...entry, isRead: true }));
}

/** Newest first, open ones before those that are over. */
export function listed({ entries }: Book): readonly Entry[] {
  return [...entries.values()]
    .filter(({ dismissedAt }) => dismissedAt === 0)
    .sort(
      (one, other) =>
        Number(other.isOpen) - Number(one.isOpen) ||
        (one.isOpen ? other.urgency - one.urgency : 0) ||
        other.lastAtMs - one.lastAtMs ||
        (one.key < other.key ? -1 : 1),
    );
}

/** The number on the bell. */
export function needingPerson(entries: readonly Entry[], nowMs: number): number {
  return entries.filter(
    ({ isOpen, urgency, snoozedUntilMs }) => isOpen && urgency >= 2 && (snoozedUntilMs ?? 0) <= nowMs,
  ).length;
}
