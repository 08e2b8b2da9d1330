/** What the desktop is told: as much as the person wants, not in quiet hours, and never more in a minute than they said. */
import type { SettingsValues } from "@wardline/domain/settings";
import type { Entry } from "./notification-book.ts";

export interface DesktopNote {
  readonly id: number;
  readonly title: string;
  readonly body: string;
  readonly tag: string;
  readonly isUrgent: boolean;
  readonly place: string;
  readonly atMs: number;
}

/** Windows that open later than this do not show it any more. */
const KEPT_MS = 120_000;
const MINUTE_MS = 60_000;

type Wishes = Pick<SettingsValues, "notifications.desktop" | "notifications.quietHours" | "notifications.perMinute">;

/** `minuteOfDay`: local time. */
export function tellDesktop(
  before: readonly DesktopNote[],
  news: readonly Entry[],
  wishes: Wishes,
  nowMs: number,
  minuteOfDay: number,
): readonly DesktopNote[] {
  const kept = before.filter(({ atMs }) => nowMs - atMs < KEPT_MS);
  const level = wishes["notifications.desktop"];
  // Alerts have receivers of their own, of which the desktop may be one: nothing is told twice.
  const wanted = news.filter(
    ({ urgency, source }) => source !== "alert" && (level === "all" || (level === "urgent" && urgency === 3)),
  );
  if (wanted.length === 0 || isQuiet(wishes["notifications.quietHours"], minuteOfDay)) return kept;
  let id = Math.max(0, ...before.map((note) => note.id));
  const left = wishes["notifications.perMinute"] - kept.filter(({ atMs }) => nowMs - atMs < MINUTE_MS).length;
  if (left <= 0) return kept;
  const single = wanted.length <= left ? wanted : wanted.slice(0, left - 1);
  const notes = single.map(({ title, body, key, urgency, place }) => ({
    ...{ id: ++id, title, body, tag: key, isUrgent: urgency === 3, place, atMs: nowMs },
  }));
  const rest = wanted.length - single.length;
  // One for all that there is no room for.
  if (rest > 0)
    notes.push({
      id: ++id,
      title: rest === 1 ? "One more thing needs a look" : `${rest} more things need a look`,
      body: "They are listed behind the bell.",
      tag: "wardline.more",
      isUrgent: wanted.some(({ urgency }) => urgency === 3),
      place: "overview",
      atMs: nowMs,
    });
  return [...kept, ...notes];
}

/** `22:00-07:00` goes over midnight. */
export function isQuiet(hours: string, minuteOfDay: number): boolean {
  const match = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(hours);
  if (!match) return false;
  const [from = 0, until = 0] = [Number(match[1]) * 60 + Number(match[2]), Number(match[3]) * 60 + Number(match[4])];
  return from <= until ? minuteOfDay >= from && minuteOfDay < until : minuteOfDay >= from || minuteOfDay < until;
}
