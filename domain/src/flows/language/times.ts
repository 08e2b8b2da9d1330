/** Moments and lengths of time as people write them. Moments without a zone are UTC, as everything that is printed. */

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
  ["w", 604_800_000],
]);
const DAY_MS = 86_400_000;
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?)?([Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?$/;

/** Unix milliseconds from 1970 to 9999; `null` when the text is no moment. */
export function readMoment(text: string, nowMs: number): number | null {
  const word = text.toLowerCase();
  if (word === "now") return nowMs;
  const midnightMs = Math.floor(nowMs / DAY_MS) * DAY_MS;
  if (word === "today") return midnightMs;
  if (word === "yesterday") return midnightMs - DAY_MS;
  const agoMs = readLength(word.replace(/^-/, ""));
  if (agoMs !== null && /[a-z]$/.test(word)) return bounded(nowMs - agoMs);
  return readIso(text);
}

function readIso(text: string): number | null {
  const parts = MOMENT.exec(text);
  if (!parts) return null;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "0", zone = "Z"] = parts;
  const fields = [year, month, day, hour, minute, second].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const ms = utcMoment([...fields, Number(fraction.padEnd(3, "0"))]);
  return ms === null ? null : bounded(ms - zoneMs(zone));
}

/** Year, month (1 to 12), day, hours, minutes, seconds and milliseconds. */
export type MomentFields = readonly [number, number, number, number, number, number, number];

/** Unix milliseconds of a moment in UTC; `null` when the calendar or the clock does not have it. */
export function utcMoment([year, month, day, hours, minutes, seconds, milliseconds]: MomentFields): number | null {
  const ms = Date.UTC(year, month - 1, day, hours, minutes, seconds, milliseconds);
  const date = new Date(ms);
  // The 31st of February is the 3rd of March to a computer.
  const isReal =
    // And years before 100 are of the last century.
    date.getUTCFullYear() === year &&
    date.getUTCMonth() + 1 === month &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hours &&
    date.getUTCMinutes() === minutes &&
    date.getUTCSeconds() === seconds;
  return isReal ? ms : null;
}

function zoneMs(zone: string): number {
  const parts = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  if (!parts) return 0;
  return (parts[1] === "-" ? -1 : 1) * (Number(parts[2]) * 60 + Number(parts[3])) * 60_000;
}

function bounded(ms: number): number | null {
  return ms >= 0 && ms <= LAST_MS ? ms : null;
}

/** `90s`, `1h30m`, `1.5d`; a bare number is seconds. Whole milliseconds, `null` when the text is no length of time. */
export function readLength(text: string): number | null {
  if (/^\d{1,16}(\.\d{1,6})?$/.test(text)) return Math.round(Number(text) * 1000);
  if (text.length > 40 || !/^(\d{1,16}(\.\d{1,6})?[a-z]+)+$/.test(text)) return null;
  let sum = 0;
  for (const [, number = "", unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)([a-z]+)/g)) {
    const unitMs = UNIT_MS.get(unit);
    if (unitMs === undefined) return null;
    sum += Number(number) * unitMs;
  }
  return sum <= Number.MAX_SAFE_INTEGER ? Math.round(sum) : null;
}

/** The shortest text that `readLength` reads as the same: `5s`, `90s`, `1500ms`. */
export function formatLength(ms: number): string {
  for (const [unit, unitMs] of [...UNIT_MS].reverse()) {
    if (unit !== "min" && unit !== "w" && ms > 0 && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms}ms`;
}
