/**
 * The person's settings file and the administrator's: what counts, where it comes from and what is wrong, followed on the
 * disk. The file belongs to the person: one that cannot be read is never written over, and a change touches only its nodes.
 */
import { createHash } from "node:crypto";
import { existsSync, type FSWatcher, renameSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Diagnostic } from "@wardline/domain/policy";
import {
  refuseValue,
  type SettingKey,
  type SettingsValues,
  type SettingValue,
  withDefaults,
} from "@wardline/domain/settings";
import { editSettings, NEW_SETTINGS_FILE, readSettings, type SettingsEdits } from "@wardline/domain/settings/file";
import { ChangeSignal } from "../async/signal.ts";
import { writeAtomically } from "../files/atomic-write.ts";
import { makeDirectory } from "../files/directory.ts";
import type { Clock, Logger } from "../ports.ts";
import { withFileLock } from "./file-lock.ts";
import { type GoodValues, LastGood } from "./last-good.ts";
import { type FileOnDisk, readSettingsFile, trustedBy } from "./read-file.ts";
import { refuseBroken, refuseLocked, refuseSafeMode, refuseUnknown } from "./refusals.ts";

/** Besides what the system tells at once: a file on a network, or a directory that was not there, is noticed by looking. */
const LOOK_MS = 1_000;

export interface SettingsFilesOptions {
  readonly path: string;
  readonly lockedPath: string;
  /** Of the administrator's file and its directory. */
  readonly lockOwnerId?: number;
  readonly stateDir: string;
  readonly isSafeMode: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type Origin = "default" | "user" | "locked" | "kept";

export interface SettingFact {
  readonly key: SettingKey;
  readonly origin: Exclude<Origin, "default">;
  readonly file: string;
  /** 0 where the file does not say it (any more). */
  readonly line: number;
  /** Of the person's file, where a lock is before it. */
  readonly userValue: SettingValue | undefined;
}

export interface SettingsSnapshot {
  readonly values: SettingsValues;
  readonly facts: readonly SettingFact[];
  readonly problems: readonly Diagnostic[];
  readonly path: string;
  readonly exists: boolean;
  /** Empty when there is none. */
  readonly lockedPath: string;
  readonly isBroken: boolean;
  readonly isSafeMode: boolean;
  readonly readAtMs: number;
}

export interface ChangeOptions {
  /** The person has chosen to give up what cannot be read. */
  readonly replaceBroken?: boolean;
}

export class SettingsFiles {
  readonly changes = new ChangeSignal();
  readonly #options: SettingsFilesOptions;
  readonly #lastGood: LastGood;
  #user: FileOnDisk;
  #snapshot: SettingsSnapshot;
  #signature = "";

  constructor(options: SettingsFilesOptions) {
    this.#options = options;
    this.#lastGood = new LastGood(options.stateDir, options.logger);
    this.#signature = this.#sign();
    const { user, snapshot } = this.#read();
    this.#user = user;
    this.#snapshot = snapshot;
  }

  snapshot(): SettingsSnapshot {
    return this.#snapshot;
  }

  /** Looks at the disk now. True when something else counts, or something else is wrong. */
  look(): boolean {
    const signature = this.#sign();
    if (signature === this.#signature) return false;
    this.#signature = signature;
    const { user, snapshot } = this.#read();
    this.#user = user;
    const isSame = sameOf(snapshot) === sameOf(this.#snapshot);
    this.#snapshot = snapshot;
    if (!isSame) this.changes.notify();
    return !isSame;
  }

  /** Follows the files until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const nudge = new ChangeSignal();
    const watchers = new Map<string, FSWatcher>();
    const dirs = [...new Set([dirname(this.#options.path), dirname(this.#options.lockedPath)])];
    try {
      while (!signal.aborted) {
        const seen = nudge.version;
        for (const dir of dirs) watchDirectory(dir, watchers, () => nudge.notify());
        this.look();
        await nudge.wait(seen, LOOK_MS, signal);
      }
    } finally {
      for (const watcher of watchers.values()) watcher.close();
    }
  }

  /**
   * Sets (or with `null` takes out) settings, all or none. Gives where a broken file was moved to, or "".
   * @throws Failure INVALID_ARGUMENT, SETTING_LOCKED, SETTINGS_BROKEN, READ_ONLY, DISK_FULL, PERMISSION_DENIED
   */
  change(edits: SettingsEdits, { replaceBroken = false }: ChangeOptions = {}): Promise<string> {
    for (const [key, value] of edits) {
      const refusal = value === null ? null : refuseValue(key, value);
      if (refusal !== null) throw refuseUnknown(refusal);
    }
    return this.#write(() => {
      const { reading, text, exists, path } = this.#user;
      refuseLocked(this.#snapshot, edits);
      if (reading.isBroken && !replaceBroken) throw refuseBroken(path, reading.problems);
      const unfit = [...edits.keys()].filter((key) => reading.unfit.has(key));
      if (unfit.length > 0 && !replaceBroken) throw refuseBroken(path, reading.problems, unfit);
      const base = reading.isBroken ? this.#fromLastGood() : exists ? text : NEW_SETTINGS_FILE;
      const edited = editSettings({ path, text: base }, edits);
      if (!edited.ok) throw refuseUnknown(`The file cannot be changed in place. ${edited.reason}`);
      if (edited.text === text) return "";
      const movedTo = reading.isBroken && exists ? this.#moveAside() : "";
      this.#put(edited.text);
      return movedTo;
    });
  }

  file(): { readonly path: string; readonly text: string; readonly digest: string } {
    this.look();
    const { path, text, exists } = this.#user;
    return { path, text, digest: exists ? digestOf(text) : "" };
  }

  /** @throws Failure REVISION_CONFLICT, POLICY_INVALID, as `change` */
  save(text: string, baseDigest: string): Promise<string> {
    return this.#write(() => {
      const { path } = this.#user;
      if (this.file().digest !== baseDigest)
        throw new Failure({
          code: ErrorCode.REVISION_CONFLICT,
          message: "The settings file was changed elsewhere since it was opened here. Nothing was written.",
          hint: "Read it again, and make the change in what it says now.",
        });
      const reading = readSettings({ path, text });
      if (reading.isBroken) throw refuseBroken(path, reading.problems);
      this.#put(text);
      return digestOf(text);
    });
  }

  async #write<Result>(body: () => Result): Promise<Result> {
    const { path, clock, isSafeMode } = this.#options;
    if (isSafeMode) throw refuseSafeMode();
    try {
      makeDirectory(dirname(path), 0o700);
      return await withFileLock(path, clock, () => {
        this.look();
        return body();
      });
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw fromSystem(error, path);
    } finally {
      this.look();
    }
  }

  #put(text: string): void {
    writeAtomically(this.#options.path, text);
  }

  #fromLastGood(): string {
    const values: GoodValues = this.#lastGood.take("user", this.#user.reading);
    const edited = editSettings({ path: this.#options.path, text: NEW_SETTINGS_FILE }, values);
    return edited.ok ? edited.text : NEW_SETTINGS_FILE;
  }

  #moveAside(): string {
    const { path, clock } = this.#options;
    const stamp = new Date(clock.nowMs()).toISOString().replaceAll(/[-:]/g, "").slice(0, 15);
    let to = `${path}.broken-${stamp}`;
    for (let count = 2; existsSync(to); count++) to = `${path}.broken-${stamp}-${count}`;
    renameSync(path, to);
    return to;
  }

  #read(): { user: FileOnDisk; snapshot: SettingsSnapshot } {
    const { path, lockedPath, lockOwnerId = 0, isSafeMode, clock } = this.#options;
    const locked = readSettingsFile(lockedPath, trustedBy(lockedPath, lockOwnerId));
    const user = readSettingsFile(path);
    const lockedValues = this.#lastGood.take("locked", locked.reading);
    const userValues: GoodValues = isSafeMode ? new Map() : this.#lastGood.take("user", user.reading);
    this.#lastGood.keep();
    const snapshot: SettingsSnapshot = {
      values: withDefaults({ ...Object.fromEntries(userValues), ...Object.fromEntries(lockedValues) }),
      facts: [...factsOf(locked, lockedValues, user, userValues)],
      problems: [...locked.reading.problems, ...(isSafeMode ? [] : user.reading.problems)].toSorted(bySeverity),
      path,
      exists: user.exists,
      lockedPath: locked.exists ? lockedPath : "",
      isBroken: !isSafeMode && user.reading.isBroken,
      isSafeMode,
      readAtMs: clock.nowMs(),
    };
    return { user, snapshot };
  }

  #sign(): string {
    const { path, lockedPath } = this.#options;
    return [path, lockedPath].map(signatureOf).join(" ");
  }
}

function* factsOf(
  locked: FileOnDisk,
  lockedValues: GoodValues,
  user: FileOnDisk,
  userValues: GoodValues,
): Generator<SettingFact> {
  const lineIn = ({ reading }: FileOnDisk, key: SettingKey) =>
    reading.settings.get(key)?.line ?? reading.unfit.get(key) ?? 0;
  for (const key of lockedValues.keys())
    yield { key, origin: "locked", file: locked.path, line: lineIn(locked, key), userValue: userValues.get(key) };
  for (const key of userValues.keys()) {
    if (lockedValues.has(key)) continue;
    const origin = user.reading.settings.has(key) ? "user" : "kept";
    yield { key, origin, file: user.path, line: lineIn(user, key), userValue: undefined };
  }
}

function watchDirectory(dir: string, watchers: Map<string, FSWatcher>, onChange: () => void): void {
  if (watchers.has(dir)) return;
  try {
    const watcher = watch(dir, { persistent: false }, onChange);
    watcher.on("error", () => {
      watcher.close();
      watchers.delete(dir);
    });
    watchers.set(dir, watcher);
  } catch {
    // Not there yet, or no more watches to be had: looking once a second is enough.
  }
}

function signatureOf(path: string): string {
  try {
    const stats = statSync(path, { bigint: true });
    return `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

function sameOf({ readAtMs: _, ...rest }: SettingsSnapshot): string {
  return JSON.stringify(rest);
}

function bySeverity(one: Diagnostic, other: Diagnostic): number {
  return Number(one.severity !== "error") - Number(other.severity !== "error");
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function fromSystem(error: unknown, path: string): Failure {
  const { code, message } = error as NodeJS.ErrnoException;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  const isDenied = code === "EACCES" || code === "EPERM" || code === "EROFS";
  return new Failure({
    code: isFull ? ErrorCode.DISK_FULL : isDenied ? ErrorCode.PERMISSION_DENIED : ErrorCode.INTERNAL,
    message: `The settings could not be written: ${message ?? String(error)}. The file is as it was.`,
    hint: isFull ? "Make room on the disk." : `Look who may write ${path}.`,
  });
}
