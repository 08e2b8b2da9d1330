import type { Reporter } from "../yaml/reporter.ts";
import { type Located, readText } from "./object-reader.ts";

const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** A moment as RFC 3339 writes it, in Unix milliseconds, or `null` (reported). */
export function readMoment(report: Reporter, value: Located): number | null {
  const text = readText(report, value);
  if (text === null) return null;
  const milliseconds = parseMoment(text);
  if (milliseconds !== null) return milliseconds;
  const shown = text.slice(0, 60);
  const why = /^\d{4}-\d{2}-\d{2}$/.test(text)
    ? "It needs a time and an offset"
    : /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?$/.test(text)
      ? "It needs seconds and an offset, so that it means the same everywhere"
      : "It takes date, time and offset";
  report.report("WL231", value.node, `${value.path} "${shown}" is not a moment. ${why}: 2027-01-31T18:00:00Z.`);
  return null;
}

function parseMoment(text: string): number | null {
  const match = RFC_3339.exec(text);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(Date.UTC(year, month - 1, day));
  const isDate = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isDate || hour > 23 || minute > 59 || second > 59) return null;
  const offset = match[8]!.toUpperCase();
  const [offsetHour, offsetMinute] = offset === "Z" ? [0, 0] : offset.slice(1).split(":").map(Number);
  if (offsetHour! > 23 || offsetMinute! > 59) return null;
  const offsetMs = (offset.startsWith("-") ? -1 : 1) * (offsetHour! * 60 + offsetMinute!) * 60_000;
  const fractionMs = Math.floor(Number(`0${match[7] ?? ""}`) * 1000);
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + fractionMs - offsetMs;
}
