/** Pieces of the page. */
import { type Json, numberAt } from "./results.ts";

const ABSENT = "–";

export function figure(value: number | null, digits = 1): string {
  if (value === null || Number.isNaN(value)) return ABSENT;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: 0 });
}

/** `median [first quartile–third quartile]` of a summary. */
export function spread(summary: Json, digits = 1): string {
  const median = numberAt(summary, "median");
  if (median === null) return ABSENT;
  return `${figure(median, digits)} [${figure(numberAt(summary, "q1"), digits)}–${figure(numberAt(summary, "q3"), digits)}]`;
}

export function signed(value: number | null, digits = 1): string {
  if (value === null) return ABSENT;
  return `${value > 0 ? "+" : ""}${figure(value, digits)}`;
}

/** `from to to` of an interval of differences. */
export function interval(bounds: Json, digits = 1): string {
  const [low, high] = [numberAt(bounds, "low"), numberAt(bounds, "high")];
  return low === null || high === null ? ABSENT : `${signed(low, digits)} to ${signed(high, digits)}`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "Not measured.\n";
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}

/** `met`, `not met`, or a dash when there is nothing to judge. */
export function verdict(isMet: boolean | null): string {
  return isMet === null ? ABSENT : isMet ? "met" : "**not met**";
}

export function link(file: string): string {
  return `[${file}.json](${file}.json)`;
}
