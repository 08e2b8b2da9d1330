/** Unit files and their drop-ins, read as far as the services of a test machine need them (systemd.unit, systemd.service). */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** First one wins, as systemd has it. */
export const UNIT_DIRECTORIES = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
] as const;

/** `section.key` to the values that were assigned, in order; an empty assignment has emptied what was before it. */
export type Assignments = ReadonlyMap<string, readonly string[]>;

export interface Unit {
  readonly name: string;
  readonly path: string;
  readonly dropIns: readonly string[];
  readonly settings: Assignments;
}

function* logicalLines(text: string): Generator<string> {
  let pending = "";
  for (const line of text.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    if (line.endsWith("\\")) {
      pending += `${line.slice(0, -1)} `;
      continue;
    }
    yield (pending + line).trim();
    pending = "";
  }
  if (pending !== "") yield pending.trim();
}

/** Adds the assignments of one file to those of the files before it. */
export function readAssignments(text: string, into: Map<string, string[]>): void {
  let section = "";
  for (const line of logicalLines(text)) {
    const header = /^\[(.+)\]$/.exec(line);
    if (header) {
      section = header[1] ?? "";
      continue;
    }
    const equals = line.indexOf("=");
    if (equals < 1) continue;
    const key = `${section}.${line.slice(0, equals).trim()}`;
    const value = line.slice(equals + 1).trim();
    if (value === "") into.set(key, []);
    else into.set(key, [...(into.get(key) ?? []), value]);
  }
}

/** Files named `*.conf` of the unit's drop-in folders, in the order in which they count. */
function findDropIns(name: string, directories: readonly string[]): string[] {
  const byFile = new Map<string, string>();
  for (const directory of directories.toReversed()) {
    const folder = join(directory, `${name}.d`);
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder)) if (file.endsWith(".conf")) byFile.set(file, join(folder, file));
  }
  return [...byFile].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, path]) => path);
}

/** `null` when there is no such unit. */
export function loadUnit(name: string, directories: readonly string[] = UNIT_DIRECTORIES): Unit | null {
  const path = directories.map((directory) => join(directory, name)).find((candidate) => existsSync(candidate));
  if (path === undefined) return null;
  const settings = new Map<string, string[]>();
  const dropIns = findDropIns(name, directories);
  for (const file of [path, ...dropIns]) readAssignments(readFileSync(file, "utf8"), settings);
  return { name, path, dropIns, settings };
}

export function lastOf(unit: Unit, key: string): string | null {
  return unit.settings.get(key)?.at(-1) ?? null;
}

/** Words of all assignments of a key. */
export function wordsOf(unit: Unit, key: string): string[] {
  return (unit.settings.get(key) ?? []).flatMap((value) => splitCommand(value));
}

/** Words of a command line, with quotes, as systemd splits them. There is no shell. */
export function splitCommand(line: string): string[] {
  const words: string[] = [];
  for (const [, double, single, plain] of line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)) {
    words.push(double?.replace(/\\(.)/g, "$1") ?? single ?? plain ?? "");
  }
  return words;
}

const UNITS_MS: Readonly<Record<string, number>> = {
  "": 1000,
  s: 1000,
  sec: 1000,
  ms: 1,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
};

/** A time span as unit files have it: `1`, `1s`, `250ms`, `1min 30s`. */
export function timeSpanMs(text: string | null, usualMs: number): number {
  if (text === null) return usualMs;
  if (text === "infinity") return Number.POSITIVE_INFINITY;
  let total = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(/([\d.]+)\s*([a-z]*)/g)) {
    total += Number(amount) * (UNITS_MS[unit] ?? Number.NaN);
  }
  return Number.isFinite(total) ? total : usualMs;
}
