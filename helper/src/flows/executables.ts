/**
 * Which program a process runs, asked of /proc when one of its flows is reported. The process may be gone by then, and
 * its number may be somebody else's: nothing is said that is not known to be about the process of the flow.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { FlowProcess } from "../enforce/enforcer.ts";

const MAX_ENTRIES = 4_096;
/** So long an answer is given again without looking. */
const TRUST_MS = 2_000;
/** A process that is gone keeps its last answer this long: numbers are given out again only after all others. */
const REMEMBER_GONE_MS = 60_000;
/** Looking takes some 15 µs; what a burst of new processes asks beyond this in one batch stays unknown. */
const MAX_LOOKUPS_PER_BATCH = 200;
const MAX_PATH_LENGTH = 1_024;
/** USER_HZ: /proc counts start times in hundredths of a second on every architecture that we build for. */
const TICK_NS = 10_000_000n;
/** Events are stamped with a clock that moves every 4 to 10 ms, and start times are cut to hundredths. */
const CLOCK_TOLERANCE_NS = 20_000_000n;
/** Inode of the initial PID namespace (PROC_PID_INIT_INO): only there do the kernel's numbers mean the same in /proc. */
const INITIAL_PID_NAMESPACE = "pid:[4026531836]";

interface Entry {
  readonly command: string;
  readonly startedBootNs: bigint;
  readonly path: string;
  readonly askedAtMs: number;
}

interface Running {
  readonly startedBootNs: bigint;
  readonly path: string;
}

/** Field 22 of /proc/PID/stat. The name in field 2 may contain spaces and parentheses, so counting starts behind it. */
function startOf(stat: string): bigint {
  const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 20)[19] ?? "";
  return /^\d+$/.test(ticks) ? BigInt(ticks) * TICK_NS : -1n;
}

function harmless(path: string): string {
  const bounded = path.length > MAX_PATH_LENGTH ? `${path.slice(0, MAX_PATH_LENGTH)}…` : path;
  // A file may be called anything: nothing in its name may act on a terminal.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return bounded.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

export interface ExecutablesOptions {
  readonly nowMs: () => number;
  /** `/proc`; another directory in tests. */
  readonly procDir?: string;
}

export class Executables {
  readonly #nowMs: () => number;
  readonly #procDir: string;
  readonly #entries = new Map<number, Entry>();
  readonly #isUsable: boolean;
  #lookups = 0;

  constructor(options: ExecutablesOptions) {
    this.#nowMs = options.nowMs;
    this.#procDir = options.procDir ?? "/proc";
    this.#isUsable = this.#namespace() === INITIAL_PID_NAMESPACE;
  }

  /** Call once before the events of one batch. */
  beginBatch(): void {
    this.#lookups = 0;
  }

  /**
   * Path of the program, as the process itself sees it (a container has its own file system); ` (deleted)` follows when the
   * file was replaced or removed since the process started. Empty when the process is gone, is a kernel thread, or the
   * number belongs to a process that is younger than the event.
   */
  pathOf({ pid, command }: FlowProcess, eventBootNs: bigint): string {
    if (!this.#isUsable) return "";
    const latestStartNs = eventBootNs + CLOCK_TOLERANCE_NS;
    const nowMs = this.#nowMs();
    const known = this.#entries.get(pid);
    if (known?.command === command && latestStartNs >= known.startedBootNs && nowMs - known.askedAtMs < TRUST_MS)
      return known.path;
    if (this.#lookups >= MAX_LOOKUPS_PER_BATCH) return "";
    this.#lookups += 1;
    const running = this.#look(pid);
    if (running === null) {
      const isRecent = known?.command === command && nowMs - known.askedAtMs < REMEMBER_GONE_MS;
      return isRecent && known !== undefined && latestStartNs >= known.startedBootNs ? known.path : "";
    }
    // Started after the event: the number was given to another process.
    if (running.startedBootNs > latestStartNs) return "";
    this.#remember(pid, { ...running, command, askedAtMs: nowMs });
    return running.path;
  }

  #remember(pid: number, entry: Entry): void {
    this.#entries.delete(pid);
    this.#entries.set(pid, entry);
    if (this.#entries.size <= MAX_ENTRIES) return;
    const oldest = this.#entries.keys().next().value;
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  /** `null` when there is no such process. */
  #look(pid: number): Running | null {
    const directory = join(this.#procDir, String(pid));
    try {
      const before = startOf(readFileSync(join(directory, "stat"), "latin1"));
      if (before < 0n) return null;
      return { startedBootNs: before, path: this.#link(directory) };
    } catch {
      return null;
    }
  }

  /** A kernel thread has no program. */
  #link(directory: string): string {
    try {
      return harmless(readlinkSync(join(directory, "exe")));
    } catch {
      return "";
    }
  }

  #namespace(): string {
    try {
      return readlinkSync(join(this.#procDir, "self/ns/pid"));
    } catch {
      return "";
    }
  }
}
