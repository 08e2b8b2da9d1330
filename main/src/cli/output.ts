/** Where a command writes: results to standard output, everything else to standard error. */
import { createStyle, type Style, wantsColor } from "./terminal/style.ts";

export type Format = "text" | "json";

export interface Output {
  readonly format: Format;
  /** Styles for standard output. */
  readonly style: Style;
  readonly isTerminal: boolean;
  readonly columns: number;
  /** A result. In JSON format only {@link json} is used. */
  text(text: string): void;
  json(value: unknown): void;
  /** Progress and hints; never part of the result. Ends with a line break. */
  note(text: string): void;
}

export function createOutput(format: Format): Output {
  return {
    format,
    style: createStyle(wantsColor(process.stdout)),
    isTerminal: process.stdout.isTTY === true,
    columns: process.stdout.columns ?? 120,
    text: (text) => void process.stdout.write(text),
    json: (value) => void process.stdout.write(`${JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0)}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
  };
}
