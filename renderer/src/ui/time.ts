/**
 * Times for people: the only place of the window that turns an instant into text. In which zone and with which clock is a
 * setting of the person, said to this module once; what is exported or copied is always UTC (`formatUtc`).
 */
import { formatAge } from "./text.ts";

export interface TimeDisplay {
  readonly zone: "local" | "utc";
  readonly clock: "24h" | "12h";
}

interface Formats {
  readonly clock: Intl.DateTimeFormat;
  readonly clockMs: Intl.DateTimeFormat;
  readonly day: Intl.DateTimeFormat;
  readonly shortDay: Intl.DateTimeFormat;
  readonly zone: Intl.DateTimeFormat;
}

function formatsOf({ zone, clock }: TimeDisplay): Formats {
  const timeZone = zone === "utc" ? { timeZone: "UTC" } : {};
  const time = {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: clock === "12h" ? "h12" : "h23",
  } as const;
  return {
    clock: new Intl.DateTimeFormat("en-GB", { ...time, ...timeZone }),
    clockMs: new Intl.DateTimeFormat("en-GB", { ...time, fractionalSecondDigits: 3, ...timeZone }),
    day: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", ...timeZone }),
    shortDay: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", ...timeZone }),
    zone: new Intl.DateTimeFormat("en-GB", { timeZoneName: "short", ...timeZone }),
  };
}

let shown: TimeDisplay = { zone: "local", clock: "24h" };
let formats = formatsOf(shown);

/** From now on. Whoever shows a time has to be drawn again. */
export function setTimeDisplay(display: TimeDisplay): void {
  if (display.zone === shown.zone && display.clock === shown.clock) return;
  shown = display;
  formats = formatsOf(display);
}

/** `14:03:22`. */
export function formatClock(timeMs: number): string {
  return formats.clock.format(timeMs);
}

/** `14:03:22.417`. */
export function formatClockMs(timeMs: number): string {
  return formats.clockMs.format(timeMs);
}

/** `21 Nov 2026 14:03:22 UTC`. */
export function formatDateTime(timeMs: number): string {
  return dateTime(formats, timeMs);
}

function dateTime({ day, clock, zone }: Formats, timeMs: number): string {
  const name = zone.formatToParts(timeMs).find((part) => part.type === "timeZoneName")?.value ?? "";
  return `${day.format(timeMs)} ${clock.format(timeMs)} ${name}`.trim();
}

/** `21 Nov 14:03:22`: for columns, where the year and the zone are said elsewhere. */
export function formatShortDateTime(timeMs: number): string {
  return `${formats.shortDay.format(timeMs)} ${formats.clock.format(timeMs)}`;
}

/** Marks of an axis: `14:05`, `14:05:20` where the minute would stand there twice, with the day in front beyond a day. */
export function formatAxisTimes(timesMs: readonly number[]): string[] {
  const [first = 0, second = first + 60_000] = timesMs;
  const isBeyondDay = (timesMs.at(-1) ?? first) - first > 86_400_000;
  return timesMs.map((timeMs) => {
    const text = isBeyondDay ? formatShortDateTime(timeMs) : formatClock(timeMs);
    return second - first < 60_000 ? text : text.replace(/:\d{2}(?=\D*$)/, "");
  });
}

/** `21 Nov 2026`. */
export function formatDay(timeMs: number): string {
  return formats.day.format(timeMs);
}

/** `14:03:22 · 2 s ago`, with the day in front when it is older than a day. */
export function formatMoment(timeMs: number, nowMs: number): string {
  const ageMs = nowMs - timeMs;
  const clock = ageMs > 86_400_000 ? `${formatDay(timeMs)} ${formatClock(timeMs)}` : formatClock(timeMs);
  return `${clock} · ${formatAge(ageMs)} ago`;
}

/** Both zones, each with its name: `21 Nov 2026 15:03:22 CET (here)`, then `21 Nov 2026 14:03:22 UTC`. */
export function formatBothZones(timeMs: number): string {
  const here = dateTime(formatsOf({ zone: "local", clock: shown.clock }), timeMs);
  return `${here} (here)\n${dateTime(formatsOf({ zone: "utc", clock: shown.clock }), timeMs)}`;
}

/** `UTC`, or the name of the zone of this machine. */
export function shownZoneName(timeMs: number): string {
  return formats.zone.formatToParts(timeMs).find((part) => part.type === "timeZoneName")?.value ?? "local";
}

/** `2026-11-21T14:03:22.417Z`: for files, links and what is copied. */
export function formatUtc(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** `1 d 2 h`, `3 min 20 s`, `417 ms`: how long something took. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.max(0, Math.round(durationMs))} ms`;
  if (durationMs < 10_000) return `${(durationMs / 1_000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1_000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor((seconds % 86_400) / 3_600), "h"],
    [Math.floor((seconds % 3_600) / 60), "min"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(" ");
}
