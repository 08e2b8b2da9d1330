/** Moments as a person types them, in the zone that the window shows. */

import { type MomentFields, utcMoment } from "@wardline/domain/flows";

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
        ? ([now.getUTCFullYear(), now.getUTCMonth() + 1, now.getUTCDate()] as const)
        : ([now.getFullYear(), now.getMonth() + 1, now.getDate()] as const);
    return momentOf([...day, Number(hours), Number(minutes), Number(seconds), 0], zone);
  }
  const [, year, month, day, hours = "0", minutes = "0", seconds = "0", fraction = "0"] = MOMENT.exec(plain) ?? [];
  if (year === undefined || month === undefined || day === undefined) return null;
  const date = [Number(year), Number(month), Number(day)] as const;
  const time = [Number(hours), Number(minutes), Number(seconds), Number(fraction.padEnd(3, "0"))] as const;
  return momentOf([...date, ...time], zone);
}

/** In the zone; whether there is such a day and such a time is the same in both. */
function momentOf(fields: MomentFields, zone: Zone): number | null {
  const utcMs = utcMoment(fields);
  if (utcMs === null || zone === "utc") return utcMs;
  const [year, month, day, ...time] = fields;
  return new Date(year, month - 1, day, ...time).getTime();
}
