/** Keeps the audit log within its limits: states what goes, then removes whole files, oldest first. */
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type AuditContent, type AuditPlace, cutContent } from "@wardline/domain/audit";
import { syncDirectory } from "../files/atomicFile.ts";
import { type AuditLimits, firstSequenceOf, readFirstEntry, statSegment } from "./auditSegments.ts";

/** A wrong wall clock makes everything look old: it costs one file an hour until somebody sets it right, not the log. */
const AGE_INTERVAL_MS = 3_600_000;
const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;

export interface CutterPorts {
  readonly limits: AuditLimits;
  readonly wallMs: () => number;
  /** A clock that nobody sets. */
  readonly steadyMs: () => number;
  /** Writes the statement into the log, on disk when it returns. */
  readonly state: (content: AuditContent) => Promise<void>;
  /** The first entry that does not fit, as the files are now; 0 = all fit. Never rejects. */
  readonly verify: () => Promise<number>;
  readonly checkpoint: (step: "stated" | "removed") => void;
}

export class AuditCutter {
  readonly #ports: CutterPorts;
  #ageCheckedMs: number;
  /** Up to which entry it is stated: a file that cannot be removed is tried again, and not stated again. */
  #statedThrough = 0;
  /** Whether the log has grown by a file since it was held against its limits. */
  isDue = true;
  /** How often files were removed. */
  count = 0;

  constructor(ports: CutterPorts) {
    this.#ports = ports;
    this.#ageCheckedMs = ports.steadyMs();
  }

  /**
   * Returns the files that are left of `closed`. Throws the errors of the file system: then nothing was removed that is not
   * stated, and the next call goes on.
   */
  async cut(closed: readonly string[], activePath: string): Promise<string[]> {
    const { limits, state, verify, checkpoint } = this.#ports;
    const isAgeDue = this.#ports.steadyMs() - this.#ageCheckedMs >= AGE_INTERVAL_MS;
    if ((!this.isDue && !isAgeDue) || closed.length === 0) return [...closed];
    let count = this.isDue ? await this.#countOverSize(closed) : 0;
    let why = `the log has reached its limit of ${(limits.maxBytes / MIB).toLocaleString("en")} MiB`;
    if (count === 0 && isAgeDue && (await this.#isTooOld(closed[1] ?? activePath))) {
      count = 1;
      why = `they are older than ${(limits.maxAgeMs / DAY_MS).toLocaleString("en")} days`;
    }
    if (isAgeDue) this.#ageCheckedMs = this.#ports.steadyMs();
    // Here, since the statement may begin a file itself.
    this.isDue = false;
    const next = await readFirstEntry(closed[count] ?? activePath);
    if (count > 0 && next) {
      const through = { sequence: next.sequence - 1, hash: next.previousHash };
      // Nobody can look at what goes any later.
      const brokenAtSequence = await verify();
      const isEvidence = brokenAtSequence > 0 && brokenAtSequence <= through.sequence;
      if (isEvidence) why += `; entry ${brokenAtSequence} was changed or missing`;
      if (through.sequence > this.#statedThrough) {
        await state(cutContent(firstSequenceOf(closed[0] ?? ""), through, why));
        this.#statedThrough = through.sequence;
        checkpoint("stated");
      }
      await this.#remove(closed.slice(0, count));
      return closed.slice(count);
    }
    return [...closed];
  }

  /** Removes what was stated before, and is there because somebody died in between. Returns what is left of `closed`. */
  async finish(closed: readonly string[], activePath: string, cut: AuditPlace | null): Promise<string[]> {
    const kept = closed.findIndex((_, index) => {
      const next = closed[index + 1] ?? activePath;
      return !cut || firstSequenceOf(next) - 1 > cut.sequence;
    });
    const count = kept < 0 ? closed.length : kept;
    if (count > 0) await this.#remove(closed.slice(0, count));
    return closed.slice(count);
  }

  async #remove(paths: readonly string[]): Promise<void> {
    this.count += 1;
    for (const path of paths) {
      await rm(path, { force: true });
      this.#ports.checkpoint("removed");
    }
    const [first] = paths;
    if (first) await syncDirectory(dirname(first));
  }

  /** The file that is written is counted as full: it will be. */
  async #countOverSize(closed: readonly string[]): Promise<number> {
    const sizes = await Promise.all(closed.map(async (path) => (await statSegment(path)).sizeBytes));
    let total = sizes.reduce((sum, size) => sum + size, this.#ports.limits.segmentBytes);
    let count = 0;
    for (const size of sizes) {
      if (total <= this.#ports.limits.maxBytes) break;
      total -= size;
      count += 1;
    }
    return count;
  }

  /** The oldest file has nothing newer than the beginning of the one after it. */
  async #isTooOld(nextPath: string): Promise<boolean> {
    const next = await readFirstEntry(nextPath);
    return next !== null && this.#ports.wallMs() - Date.parse(next.time) > this.#ports.limits.maxAgeMs;
  }
}
