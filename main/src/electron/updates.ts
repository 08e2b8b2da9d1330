/**
 * Whether there is a newer version. Off until it is asked for; it tells, and never downloads or installs: a console that guards
 * hosts is replaced by a person, or by the package manager that installed it.
 */
import type { Logger } from "../backend/ports.ts";
import type { UpdateMode } from "./desktop-settings.ts";

export interface Release {
  /** `1.4.0` or `1.4.0-beta.2`. */
  readonly version: string;
  readonly notes: string;
}

/** Where releases are made known. It has checked who signed what it says. */
export interface ReleaseSource {
  /** The newest; `null` = none is known. @throws when it cannot be reached */
  newest(signal: AbortSignal): Promise<Release | null>;
}

export type UpdateState =
  | { readonly kind: "off" }
  /** This build names no place where releases are made known. */
  | { readonly kind: "nowhere" }
  /** A package manager looks after this program. */
  | { readonly kind: "managed"; readonly by: string }
  | { readonly kind: "current"; readonly checkedAtMs: number }
  | { readonly kind: "newer"; readonly release: Release; readonly checkedAtMs: number }
  | { readonly kind: "unknown"; readonly reason: string };

export interface UpdatesOptions {
  readonly version: string;
  /** `null` = this build has none. */
  readonly source: ReleaseSource | null;
  /** `apt`, `dnf`, …; `null` = nobody looks after it. */
  readonly managedBy: string | null;
  readonly logger: Logger;
  readonly nowMs: () => number;
  /** Told once of each version. */
  readonly onNewer: (release: Release) => void;
}

const CHECK_LIMIT_MS = 20_000;
const CHECK_EVERY_MS = 24 * 3_600_000;
const FIRST_CHECK_AFTER_MS = 60_000;
const LONGEST_NOTES = 20_000;
const VERSION = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-([0-9A-Za-z.-]{1,64}))?$/;

export class Updates {
  readonly #options: UpdatesOptions;
  #state: UpdateState = { kind: "off" };
  #timer: NodeJS.Timeout | null = null;
  #told = "";

  constructor(options: UpdatesOptions) {
    this.#options = options;
  }

  get state(): UpdateState {
    return this.#state;
  }

  set(mode: UpdateMode): void {
    this.close();
    const { managedBy, source } = this.#options;
    const isNowhere = source === null;
    this.#state =
      managedBy !== null ? { kind: "managed", by: managedBy } : isNowhere ? { kind: "nowhere" } : { kind: "off" };
    if (mode === "off" || managedBy !== null || isNowhere) return;
    this.#later(FIRST_CHECK_AFTER_MS);
  }

  /** Asked for by the person: also where checks by themselves are off. */
  async check(): Promise<UpdateState> {
    const { source, managedBy, nowMs, version, logger } = this.#options;
    if (managedBy !== null) return this.#state;
    if (source === null) {
      this.#state = { kind: "nowhere" };
      return this.#state;
    }
    try {
      const release = await source.newest(AbortSignal.timeout(CHECK_LIMIT_MS));
      const isNewer = release !== null && isNewerVersion(release.version, version);
      this.#state = isNewer
        ? { kind: "newer", release: { ...release, notes: release.notes.slice(0, LONGEST_NOTES) }, checkedAtMs: nowMs() }
        : { kind: "current", checkedAtMs: nowMs() };
    } catch (error) {
      logger.warn({ err: error }, "releases not known");
      this.#state = { kind: "unknown", reason: error instanceof Error ? error.message : String(error) };
    }
    if (this.#state.kind === "newer" && this.#told !== this.#state.release.version) {
      this.#told = this.#state.release.version;
      this.#options.onNewer(this.#state.release);
    }
    return this.#state;
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #later(delayMs: number): void {
    this.#timer = setTimeout(() => void this.check().finally(() => this.#later(CHECK_EVERY_MS)), delayMs);
    this.#timer.unref();
  }
}

/** For a dialog. */
export function updateWords(state: UpdateState): { readonly message: string; readonly detail: string } {
  switch (state.kind) {
    case "off":
      return { message: "Newer versions are not looked for.", detail: "Settings, Desktop, turns it on." };
    case "nowhere":
      return {
        message: "This build does not look for newer versions.",
        detail:
          "It names no place where releases are made known, whatever Settings, Desktop says. Look where you got Wardline from.",
      };
    case "managed":
      return { message: `${state.by} keeps Wardline up to date.`, detail: `Ask ${state.by} for a newer version.` };
    case "current":
      return { message: "This is the newest version.", detail: "" };
    case "newer":
      return { message: `Wardline ${state.release.version} is out.`, detail: state.release.notes };
    case "unknown":
      return { message: "Whether there is a newer version is not known.", detail: state.reason };
  }
}

/** Precedence of Semantic Versioning 2.0.0, section 11. What is no version is never newer. */
export function isNewerVersion(candidate: string, current: string): boolean {
  const [one, other] = [VERSION.exec(candidate), VERSION.exec(current)];
  if (!one || !other) return false;
  for (let part = 1; part <= 3; part++) {
    const difference = Number(one[part]) - Number(other[part]);
    if (difference !== 0) return difference > 0;
  }
  return comparePrerelease(one[4], other[4]) > 0;
}

function comparePrerelease(one: string | undefined, other: string | undefined): number {
  if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
  const [left, right] = [one.split("."), other.split(".")];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [a, b] = [left[index], right[index]];
    if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
    if (a === b) continue;
    const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
    if (isNumberA && isNumberB) return Number(a) - Number(b);
    if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
    return a < b ? -1 : 1;
  }
  return 0;
}

const PACKAGED_PATHS: readonly (readonly [string, string])[] = [
  ["/var/lib/dpkg/info/wardline-console.list", "apt"],
  ["/var/lib/dpkg/info/wardline.list", "apt"],
];

/** The package manager that installed this program. @param exists whether there is such a file */
export function managingPackager(execPath: string, exists: (path: string) => boolean): string | null {
  if (!/^\/(?:usr|opt)\//.test(execPath)) return null;
  const found = PACKAGED_PATHS.find(([path]) => exists(path));
  if (found) return found[1];
  return exists("/usr/bin/rpm") && !exists("/usr/bin/dpkg") ? "dnf" : null;
}
