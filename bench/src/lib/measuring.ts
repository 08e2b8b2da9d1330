/** What every measurement needs: sizes from the environment, a fair order, and failures that are told and not fatal. */
import { execFileSync } from "node:child_process";
import { basename } from "node:path";

/**
 * A number that a reader may change without editing: `WARDLINE_BENCH_ROUNDS=2` for every benchmark that has rounds, or
 * `WARDLINE_BENCH_CONNECTION_ROUNDS=2` for one.
 */
export function fromEnvironment(name: string, usual: number): number {
  const text = setting(name);
  if (text === null) return usual;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name}=${text} is not a number`);
  return value;
}

/** A list of numbers, with commas: `WARDLINE_BENCH_PACKET_SIZES=8,1024`. */
export function listFromEnvironment(name: string, usual: readonly number[]): readonly number[] {
  const text = setting(name);
  if (text === null) return usual;
  const values = text.split(",").map(Number);
  if (!values.every((value) => Number.isFinite(value) && value > 0))
    throw new RangeError(`${name}=${text} is not a list of numbers`);
  return values;
}

function setting(name: string): string | null {
  const bench = basename(process.argv[1] ?? "", ".bench.ts").toUpperCase();
  const text = process.env[`WARDLINE_BENCH_${bench}_${name}`] ?? process.env[`WARDLINE_BENCH_${name}`] ?? "";
  return text === "" ? null : text;
}

/** A fresh random order: drift of the machine then hits every variant alike. */
export function shuffled<T>(items: readonly T[]): T[] {
  const copy = [...items];
  for (let index = copy.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [copy[index], copy[other]] = [copy[other] as T, copy[index] as T];
  }
  return copy;
}

export interface LeftOut {
  readonly what: string;
  readonly why: string;
}

/**
 * Runs parts of a benchmark so that one that fails does not take the others with it: the reason is printed, and published
 * in place of the figure.
 */
export class Attempts {
  readonly leftOut: LeftOut[] = [];

  async run<T>(what: string, part: () => T | Promise<T>): Promise<T | null> {
    try {
      return await part();
    } catch (error) {
      this.skip(what, explain(error));
      return null;
    }
  }

  /** Names something that cannot be measured here. */
  skip(what: string, why: string): void {
    console.log(`left out: ${what}: ${why}`);
    if (!this.leftOut.some((entry) => entry.what === what && entry.why === why)) this.leftOut.push({ what, why });
  }
}

/** First lines of what went wrong: an error of a child process carries its whole input. */
export function explain(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const stderr = error instanceof Error && "stderr" in error && error.stderr ? String(error.stderr) : "";
  return `${text}\n${stderr}`.trim().split("\n").slice(0, 4).join(" / ").slice(0, 400);
}

/** Binds this process to one processor. Returns false where `taskset` is missing. */
export function pinThisProcess(processor: number): boolean {
  try {
    execFileSync("taskset", ["-a", "-p", "-c", `${processor}`, `${process.pid}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
