/** Texts and numbers as they stand in a sentence. Names come from hosts and processes: bounded, one line, and harmless anywhere. */
import { replaceInvisible } from "../../text/index.ts";

const MARKUP = /[<>&"'`\\]/g;

/** `text` without anything that a page, a terminal or a mail could take for more than a word; at most `limit` characters. */
export function shownText(text: string, limit = 48): string {
  const clean = replaceInvisible(text.slice(0, limit * 4), () => "�").replace(MARKUP, "_");
  return clean.length <= limit ? clean : `${clean.slice(0, limit - 1)}…`;
}

/** For the value of a field in a query: nothing that would end it. */
export function queryValue(text: string): string {
  return text.replace(/[^\w.:/@-]/g, "").slice(0, 128);
}

export function shownAddress(address: string, port: number): string {
  const text = shownText(address, 64);
  if (port === 0) return text;
  return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
}

export function shownBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${shownNumber(value)} ${units[unit]}`;
}

/** Three digits that matter. */
export function shownNumber(value: number): string {
  if (!Number.isFinite(value)) return "0";
  if (Math.abs(value) >= 100 || Number.isInteger(value))
    return String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ",");
  return String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}

export function shownDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 90) return counted(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 5400) return counted(Math.round(seconds / 60), "minute");
  if (seconds < 36 * 3600) return counted(Math.round(seconds / 3600), "hour");
  return counted(Math.round(seconds / 86_400), "day");
}

export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${shownNumber(count)} ${count === 1 ? noun : plural}`;
}

/** Sketches count exactly up to 64: beyond, the number is said as roughly as it is known. */
export function aboutCounted(count: number, noun: string, plural = `${noun}s`): string {
  return count <= 64 ? counted(count, noun, plural) : `about ${counted(Number(count.toPrecision(2)), noun, plural)}`;
}
