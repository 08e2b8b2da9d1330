/**
 * The audit log: NDJSON with a hash chain, every entry on disk before the call returns.
 *
 * A chain shows that entries were changed, removed from the middle or reordered. It does not show that the newest ones
 * were cut off by somebody who can write the file (root): for that the console mirrors the log.
 */
import { type FileHandle, open } from "node:fs/promises";
import { type AuditContent, type AuditEntry, sealEntry } from "@wardline/domain/audit";
import { toWriteFailure } from "../files/atomicFile.ts";
import { Mutex } from "../generations/mutex.ts";
import { platformHash } from "./auditEntry.ts";
import { scanAuditFile } from "./auditFile.ts";

export interface AuditPage {
  /** In the order that was asked for. */
  readonly entries: readonly AuditEntry[];
  readonly chainValid: boolean;
  readonly brokenAtSequence: number;
  /** Of the whole log; 0 = it is empty. */
  readonly lastSequence: number;
}

export interface AuditQuery {
  readonly limit: number;
  /** Newest first and below this sequence; 0 = from the newest. */
  readonly before?: number;
  /** Oldest first and above this sequence instead. */
  readonly after?: number;
}

interface Waiting {
  readonly content: AuditContent;
  readonly time: string;
}

/** Entries that could not be written and wait for space. More than this are counted only. */
const MAX_WAITING = 256;
const MAX_TEXT_LENGTH = 2_000;
/** Wall clock against boot clock since the entry before: less is the work of a time server. */
const CLOCK_JUMP_MS = 2_000;

function bounded(content: AuditContent): AuditContent {
  return {
    ...content,
    actor: content.actor.slice(0, MAX_TEXT_LENGTH),
    detail: content.detail.slice(0, MAX_TEXT_LENGTH),
  };
}

export class AuditLog {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #wallMs: () => number;
  readonly #bootMs: (() => number) | null;
  #clockOffsetMs: number;
  readonly #mutex = new Mutex();
  #sizeBytes: number;
  #last: AuditEntry | null;
  #waiting: Waiting[] = [];
  #lost = 0;
  /** Sequence at which the chain broke before this process; 0 = valid. */
  readonly brokenAtStart: number;

  private constructor(path: string, file: FileHandle, clocks: Clocks, sizeBytes: number, start: OpenedAt) {
    this.#path = path;
    this.#file = file;
    this.#wallMs = clocks.wallMs;
    this.#bootMs = clocks.bootMs;
    this.#clockOffsetMs = clocks.bootMs === null ? 0 : clocks.wallMs() - clocks.bootMs();
    this.#sizeBytes = sizeBytes;
    this.#last = start.last;
    this.brokenAtStart = start.brokenAtSequence;
  }

  /**
   * Opens and verifies the log. An entry that a crash left unfinished is cut off, and an entry says so. With a boot clock,
   * an entry marks every place where somebody set the wall clock, so that times before and after are not compared.
   */
  static async open(path: string, wallMs: () => number, bootMs: (() => number) | null = null): Promise<AuditLog> {
    const file = await open(path, "a+", 0o600);
    try {
      const { size } = await file.stat();
      const scan = await scanAuditFile(path, size, () => {});
      const log = new AuditLog(path, file, { wallMs, bootMs }, scan.completeBytes, scan);
      const unfinishedBytes = size - scan.completeBytes;
      if (unfinishedBytes > 0) {
        await file.truncate(scan.completeBytes);
        const detail = `cut off ${unfinishedBytes} bytes of an entry that a crash left unfinished`;
        await log.record({
          actor: "agent",
          role: "none",
          action: "audit.repair",
          argumentDigest: "",
          outcome: "automatic",
          detail,
        });
      }
      return log;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** What is wrong with the log now, as sentences. */
  get problems(): readonly string[] {
    const problems: string[] = [];
    if (this.brokenAtStart > 0)
      problems.push(`The audit log does not verify: entry ${this.brokenAtStart} was changed or is missing.`);
    const unwritten = this.#waiting.length + this.#lost;
    if (unwritten > 0)
      problems.push(
        `${unwritten} audit entries could not be written: the disk with the state directory is full or broken.`,
      );
    return problems;
  }

  /** Writes an entry. Throws `Failure` (DISK_FULL, INTERNAL); then nothing may be changed in the name of this entry. */
  append(content: AuditContent): Promise<void> {
    return this.#mutex.run(async () => {
      try {
        await this.#flushWaiting();
        await this.#write(bounded(content), this.#now());
      } catch (error) {
        throw toWriteFailure(error, "the audit entry");
      }
    });
  }

  /** Writes an entry about something that already happened: keeps it for later when it cannot be written now. */
  record(content: AuditContent): Promise<void> {
    return this.#mutex.run(async () => {
      const entry = { content: bounded(content), time: this.#now() };
      try {
        await this.#flushWaiting();
        await this.#write(entry.content, entry.time);
      } catch {
        if (this.#waiting.length < MAX_WAITING) this.#waiting.push(entry);
        else this.#lost += 1;
      }
    });
  }

  /** A page of entries with the result of verifying the whole file now. */
  async list(query: AuditQuery): Promise<AuditPage> {
    const sizeBytes = await this.#mutex.run(async () => this.#sizeBytes);
    const page =
      query.after === undefined ? newestFirst(query.limit, query.before ?? 0) : oldestFirst(query.limit, query.after);
    const scan = await scanAuditFile(this.#path, sizeBytes, page.visit);
    const isCut = scan.completeBytes !== sizeBytes;
    const brokenAtSequence = scan.brokenAtSequence || (isCut ? (scan.last?.sequence ?? 0) + 1 : 0);
    const lastSequence = scan.last?.sequence ?? 0;
    return { entries: page.entries(), chainValid: brokenAtSequence === 0, brokenAtSequence, lastSequence };
  }

  close(): Promise<void> {
    return this.#mutex.run(() => this.#file.close());
  }

  #now(): string {
    return new Date(this.#wallMs()).toISOString();
  }

  async #flushWaiting(): Promise<void> {
    await this.#markClockJump();
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      await this.#write(next.content, next.time);
      this.#waiting.shift();
    }
    if (this.#lost === 0) return;
    const detail = `${this.#lost} entries could not be written and are lost`;
    await this.#write(
      { actor: "agent", role: "none", action: "audit.loss", argumentDigest: "", outcome: "automatic", detail },
      this.#now(),
    );
    this.#lost = 0;
  }

  async #markClockJump(): Promise<void> {
    if (this.#bootMs === null) return;
    const offsetMs = this.#wallMs() - this.#bootMs();
    const jumpMs = offsetMs - this.#clockOffsetMs;
    if (Math.abs(jumpMs) >= CLOCK_JUMP_MS) {
      const seconds = (Math.abs(jumpMs) / 1000).toFixed(1);
      const detail = `the wall clock was set ${jumpMs > 0 ? "forward" : "back"} by ${seconds} s since the entry before`;
      await this.#write(
        { actor: "agent", role: "none", action: "clock.jump", argumentDigest: "", outcome: "automatic", detail },
        this.#now(),
      );
    }
    this.#clockOffsetMs = offsetMs;
  }

  async #write(content: AuditContent, time: string): Promise<void> {
    const entry = sealEntry(content, time, this.#last, platformHash);
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    try {
      await this.#file.appendFile(line);
      await this.#file.datasync();
    } catch (error) {
      // A full disk may have taken a part of the line.
      await this.#file.truncate(this.#sizeBytes).catch(() => undefined);
      throw error;
    }
    this.#sizeBytes += line.length;
    this.#last = entry;
  }
}

interface PageCollector {
  readonly visit: (entry: AuditEntry) => void;
  readonly entries: () => readonly AuditEntry[];
}

function newestFirst(limit: number, before: number): PageCollector {
  const page: AuditEntry[] = [];
  return {
    visit(entry) {
      if (before > 0 && entry.sequence >= before) return;
      page.push(entry);
      if (page.length > limit * 2) page.splice(0, page.length - limit);
    },
    entries: () => page.slice(-limit).reverse(),
  };
}

function oldestFirst(limit: number, after: number): PageCollector {
  const page: AuditEntry[] = [];
  return {
    visit(entry) {
      if (entry.sequence > after && page.length < limit) page.push(entry);
    },
    entries: () => page,
  };
}

interface Clocks {
  readonly wallMs: () => number;
  /** Milliseconds since boot; `null` = jumps are not marked. */
  readonly bootMs: (() => number) | null;
}

interface OpenedAt {
  readonly last: AuditEntry | null;
  readonly brokenAtSequence: number;
}
