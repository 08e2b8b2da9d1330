/** Moments as a person types them, in the zone that the window shows. */

export type Zone = "local" | "utc";

const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/;
const MOMENT = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?)?$/;

/**
 * `14:03`, `14:03:22` (of the day that it is now there), `2026-11-20`, `2026-11-20 14:03:22.417`; with a `Z` behind it is
 * UTC in either zone.
 *
 * @returns Unix ms; `null` while it is none: also for a day or a time that the calendar does not have
 */
export function readMoment(text: string, nowMs: number, shown: Zone): number | null {
  const trimmed = text.trim();
  const zone = /z$/i.test(trimmed) ? "utc" : shown;
  const plain = trimmed.replace(/\s*z$/i, "");
  const clock = CLOCK.exec(plain);
  if (clock) {
    const now = new Date(nowMs);
    const [, hours = "", minutes = "", seconds = "0"] = clock;
    const day =
      zone === "utc"
        ? [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()]
        : [now.getFullYear(), now.getMonth(), now.getDate()];
    return momentOf([...day, Number(hours), Number(minutes), Number(seconds), 0], zone);
  }
  const [, year, month, day, hours = "0", minutes = "0", seconds = "0", fraction = "0"] = MOMENT.exec(plain) ?? [];
  if (year === undefined || month === undefined || day === undefined) return null;
  const parts = [year, Number(month) - 1, day, hours, minutes, seconds, fraction.padEnd(3, "0")];
  return momentOf(parts.map(Number), zone);
}

function momentOf(parts: readonly number[], zone: Zone): number | null {
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0, ms = 0] = parts;
  if (month > 11 || hours > 23 || minutes > 59 || seconds > 59) return null;
  const asUtc = new Date(Date.UTC(year, month, day, hours, minutes, seconds, ms));
  // The 31st of a month that has 30 days is no day.
  if (asUtc.getUTCDate() !== day || asUtc.getUTCMonth() !== month) return null;
  const timeMs = zone === "utc" ? asUtc.getTime() : new Date(year, month, day, hours, minutes, seconds, ms).getTime();
  return Number.isNaN(timeMs) ? null : timeMs;
}
