/** A settings file from the disk: bounded, regular, text, and for the administrator's also trusted. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Diagnostic } from "@wardline/domain/policy";
import { MAX_SETTINGS_LENGTH, readSettings, type SettingsReading } from "@wardline/domain/settings/file";

export interface FileOnDisk {
  readonly path: string;
  readonly exists: boolean;
  readonly text: string;
  readonly reading: SettingsReading;
}

const NOTHING: SettingsReading = { isBroken: false, settings: new Map(), unfit: new Map(), problems: [] };

/** Never throws: what the system says becomes a problem of the file. */
export function readSettingsFile(path: string, check: (stats: Stats) => Diagnostic | null = () => null): FileOnDisk {
  try {
    const text = readText(path, check);
    if (text === null) return { path, exists: false, text: "", reading: NOTHING };
    if (typeof text !== "string") return refused(path, text);
    return { path, exists: true, text, reading: readSettings({ path, text }) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refused(path, problem(path, "SET206", `The file cannot be read: ${reason}.`));
  }
}

/** Whoever can write the file, or put another one in its place, could lock or unlock settings. */
export function trustedBy(path: string, ownerId: number): (stats: Stats) => Diagnostic | null {
  return (stats) => {
    for (const [what, { uid, mode }] of [
      [path, stats],
      [dirname(path), statSync(dirname(path))],
    ] as const) {
      if (uid !== ownerId)
        return problem(path, "SET205", `${what} belongs to user ${uid}, not to root: its locks are not followed.`);
      if ((mode & 0o022) !== 0)
        return problem(path, "SET205", `${what} can be written by others than root: its locks are not followed.`);
    }
    return null;
  };
}

function readText(path: string, check: (stats: Stats) => Diagnostic | null): string | Diagnostic | null {
  let file: number;
  try {
    // A pipe must not keep the console waiting for somebody to write to it.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) return problem(path, "SET206", "This is not a file of text.");
    const distrust = check(stats);
    if (distrust) return distrust;
    if (stats.size > MAX_SETTINGS_LENGTH * 4)
      return problem(path, "SET206", "The file is larger than 1 MiB: it is not read.");
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(file));
    } catch {
      return problem(path, "SET206", "The file is not text in UTF-8.");
    }
  } finally {
    closeSync(file);
  }
}

function refused(path: string, diagnostic: Diagnostic): FileOnDisk {
  return { path, exists: true, text: "", reading: { ...NOTHING, isBroken: true, problems: [diagnostic] } };
}

function problem(file: string, code: string, message: string): Diagnostic {
  const source = { file, line: 1, column: 1, endLine: 1, endColumn: 1 };
  return { code, severity: "error", message, source, fix: null };
}
