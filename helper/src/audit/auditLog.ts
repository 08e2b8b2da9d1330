/**
 * The audit log: NDJSON with a hash chain over a directory of files, every entry on disk before the call returns.
 *
 * A chain shows that entries were changed, removed from the middle or reordered, or that the oldest were removed by anything
 * but the limits, which say so in an entry. It does not show that the newest ones were cut off by somebody who can write the
 * files (root): for that the console mirrors the log.
 */
import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type AuditContent, type AuditEntry, type AuditPlace, mayBegin, sealEntry } from "@wardline/domain/audit";
import { syncDirectory, toWriteFailure } from "../files/atomicFile.ts";
import { Mutex } from "../generations/mutex.ts";
import { AuditCutter } from "./auditCutter.ts";
import { automatic, bounded, platformHash } from "./auditEntry.ts";
import { scanAuditFile } from "./auditFile.ts";
import { NO_PAGE, newestFirst, oldestFirst, type PageCollector } from "./auditPages.ts";
import { AuditReader, type AuditReading, type AuditView, newestOf } from "./auditReader.ts";
import { type AuditLimits, DEFAULT_AUDIT_LIMITS, openSegments, segmentPath } from "./auditSegments.ts";
import { setAside } from "./auditStray.ts";
import { ClockJumps } from "./clockJumps.ts";

export interface AuditPage {
  /** In the order that was asked for. */
  readonly entries: readonly AuditEntry[];
  readonly chainValid: boolean;
  readonly brokenAtSequence: number;
  /** Of the oldest entry that the limits have left; 0 = the log is empty. */
  readonly firstSequence: number;
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

/** Where a crash may fall between two steps, for tests. */
export type AuditStep = "created" | "begun" | "stated" | "removed";

export interface AuditOptions {
  readonly limits?: AuditLimits;
  readonly checkpoint?: (step: AuditStep) => void;
}

interface Waiting {
  readonly content: AuditContent;
  readonly time: string;
}

/** Entries that could not be written and wait for space. More than this are counted only. */
const MAX_WAITING = 256;
interface Opened {
  readonly directory: string;
  readonly closed: string[];
  readonly active: Active;
  readonly last: AuditEntry | null;
  readonly brokenAtSequence: number;
}

interface Active {
  readonly path: string;
  readonly file: FileHandle;
  /** Of whole entries. */
  sizeBytes: number;
  /** Behind them there may be an entry that failed, whole or in part. */
  hasTail: boolean;
}

export class AuditLog {
  readonly #directory: string;
  readonly #wallMs: () => number;
  readonly #jumps: ClockJumps;
  readonly #limits: AuditLimits;
  readonly #checkpoint: (step: AuditStep) => void;
  readonly #mutex = new Mutex();
  readonly #reader = new AuditReader();
  readonly #cutter: AuditCutter;
  readonly #closing = new AbortController();
  #closed: string[];
  #active: Active;
  #last: AuditEntry | null;
  #waiting: Waiting[] = [];
  #lost = 0;
  #brokenAtSequence: number;
  /** Resolves when the files that were closed before are verified. It never rejects. */
  #verified: Promise<void> = Promise.resolve();

  private constructor(opened: Opened, clocks: Clocks, { limits = DEFAULT_AUDIT_LIMITS, checkpoint }: AuditOptions) {
    this.#directory = opened.directory;
    this.#closed = opened.closed;
    this.#active = opened.active;
    this.#last = opened.last;
    this.#brokenAtSequence = opened.brokenAtSequence;
    this.#wallMs = clocks.wallMs;
    this.#jumps = new ClockJumps(clocks.wallMs, clocks.bootMs);
    this.#limits = limits;
    this.#checkpoint = checkpoint ?? (() => {});
    this.#cutter = new AuditCutter({
      limits,
      wallMs: clocks.wallMs,
      steadyMs: clocks.bootMs ?? clocks.wallMs,
      state: (content) => this.#write(bounded(content), this.#now()),
      verify: () => this.#verifyNow(),
      checkpoint: this.#checkpoint,
    });
  }

  /**
   * Opens the log and verifies the file that is written; those before are verified soon after. An entry that a crash left
   * unfinished is cut off, and an entry says so. With a boot clock, an entry marks every place where somebody set the wall
   * clock, so that times before and after are not compared.
   */
  static async open(
    directory: string,
    wallMs: () => number,
    bootMs: (() => number) | null = null,
    options: AuditOptions = {},
  ): Promise<AuditLog> {
    const paths = await openSegments(directory);
    const path = paths.at(-1) ?? segmentPath(directory, 1);
    const file = await open(path, "a+", 0o600);
    try {
      // An entry is on disk only when the names of its file and of the directory are.
      if (paths.length === 0) for (const path of [directory, dirname(directory)]) await syncDirectory(path);
      const { size } = await file.stat();
      const scan = await scanAuditFile({ path, sizeBytes: size, before: undefined }, () => {});
      const closed = paths.slice(0, -1);
      const newest = await newestOf(closed, scan);
      const active = { path, file, sizeBytes: scan.completeBytes, hasTail: false };
      const { first, cut } = scan;
      // What is before it is verified later; where nothing is, it has to begin where the log may begin.
      const startsWrong = closed.length === 0 && first !== null && !mayBegin(first, cut);
      const brokenAtSequence = startsWrong ? (cut?.sequence ?? 0) + 1 : scan.brokenAtSequence;
      const log = new AuditLog(
        { directory, closed, active, last: newest, brokenAtSequence },
        { wallMs, bootMs },
        options,
      );
      const unfinishedBytes = size - scan.completeBytes;
      if (unfinishedBytes > 0) {
        await file.truncate(scan.completeBytes);
        const detail = `cut off ${unfinishedBytes} bytes of an entry that a crash left unfinished`;
        await log.record(automatic("audit.repair", detail));
      }
      await log.#tidy(cut);
      await setAside(directory, (content) => log.append(content));
      log.#verified = log.#verify();
      return log;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** What is wrong with the log now, as sentences. */
  get problems(): readonly string[] {
    const problems: string[] = [];
    if (this.#brokenAtSequence > 0)
      problems.push(`The audit log does not verify: entry ${this.#brokenAtSequence} was changed or is missing.`);
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
      await this.#cutIfDue();
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
      await this.#cutIfDue();
    });
  }

  /** Writes what waits, that the clock was set above all, and removes what is too old by that clock. Never rejects. */
  tick(): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#flushWaiting().catch(() => undefined);
      await this.#cutIfDue();
    });
  }

  /** A page of entries with the result of verifying the whole log now. */
  async list(query: AuditQuery): Promise<AuditPage> {
    const lastSequence = await this.#mutex.run(async () => this.#last?.sequence ?? 0);
    const start = () =>
      query.after === undefined
        ? newestFirst(query.limit, query.before ?? 0, lastSequence)
        : oldestFirst(query.limit, query.after);
    let { page, reading } = await this.#read(start);
    if (reading.brokenAtSequence > 0 && page.entries().length < query.limit) {
      // Where entries are missing, sequences do not tell in which files the page is.
      ({ page, reading } = await this.#read(() => ({ ...start(), wants: () => true })));
    }
    const { firstSequence, last, brokenAtSequence } = reading;
    return {
      entries: page.entries(),
      chainValid: brokenAtSequence === 0,
      brokenAtSequence,
      firstSequence,
      lastSequence: last?.sequence ?? 0,
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#verified;
    await this.#mutex.run(() => this.#active.file.close());
  }

  /** @param start a page for each try: one that fails has collected a part */
  async #read(start: () => PageCollector): Promise<{ readonly page: PageCollector; readonly reading: AuditReading }> {
    for (;;) {
      const page = start();
      const { view, cuts } = await this.#mutex.run(async () => ({ view: this.#view(), cuts: this.#cutter.count }));
      const reading = await this.#reader.read(view, page, this.#closing.signal);
      // Files that were removed meanwhile were missing under the reader's hands.
      if (cuts === this.#cutter.count || reading.brokenAtSequence === 0) return { page, reading };
    }
  }

  #view(): AuditView {
    return { closed: [...this.#closed], active: { path: this.#active.path, sizeBytes: this.#active.sizeBytes } };
  }

  async #verify(): Promise<void> {
    if (this.#closed.length === 0) return;
    try {
      this.#brokenAtSequence = (await this.#read(() => NO_PAGE)).reading.brokenAtSequence;
    } catch {
      // Closed meanwhile, or it cannot be read: whoever lists the log is told.
    }
  }

  /** While the mutex is held. Files that were verified before cost nothing unless they were touched. */
  async #verifyNow(): Promise<number> {
    try {
      const { brokenAtSequence } = await this.#reader.read(this.#view(), NO_PAGE, this.#closing.signal);
      this.#brokenAtSequence ||= brokenAtSequence;
    } catch {
      // What cannot be read is judged as it was.
    }
    return this.#brokenAtSequence;
  }

  #now(): string {
    return new Date(this.#wallMs()).toISOString();
  }

  async #flushWaiting(): Promise<void> {
    await this.#jumps.mark((detail) => this.#write(automatic("clock.jump", detail), this.#now()));
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      await this.#write(next.content, next.time);
      this.#waiting.shift();
    }
    if (this.#lost === 0) return;
    const detail = `${this.#lost} entries could not be written and are lost`;
    await this.#write(automatic("audit.loss", detail), this.#now());
    this.#lost = 0;
  }

  async #write(content: AuditContent, time: string): Promise<void> {
    const entry = sealEntry(content, time, this.#last, platformHash);
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    const active = this.#active;
    await cutTail(active);
    if (active.sizeBytes > 0 && active.sizeBytes + line.length > this.#limits.segmentBytes) {
      await this.#writeInNext(entry.sequence, line);
    } else {
      try {
        await active.file.appendFile(line);
        await active.file.datasync();
      } catch (error) {
        // A full disk may have taken a part of the line, a broken one all of it.
        active.hasTail = true;
        await cutTail(active).catch(() => undefined);
        throw error;
      }
      active.sizeBytes += line.length;
    }
    this.#last = entry;
  }

  /** Begins a file with this entry. Until it is on disk whole, the log ends with the file before. */
  async #writeInNext(sequence: number, line: Buffer): Promise<void> {
    const path = segmentPath(this.#directory, sequence);
    const file = await open(path, "a", 0o600);
    try {
      // What an earlier try has left, if it could not even be taken back.
      await file.truncate(0);
      this.#checkpoint("created");
      await file.appendFile(line);
      await file.datasync();
      await syncDirectory(this.#directory);
      this.#checkpoint("begun");
    } catch (error) {
      await file.truncate(0).catch(() => undefined);
      await file.close().catch(() => undefined);
      await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
    const former = this.#active;
    this.#closed.push(former.path);
    this.#active = { path, file, sizeBytes: line.length, hasTail: false };
    this.#cutter.isDue = true;
    await former.file.close().catch(() => undefined);
  }

  /** Ends a removal that a crash interrupted. */
  async #tidy(cut: AuditPlace | null): Promise<void> {
    try {
      this.#closed = await this.#cutter.finish(this.#closed, this.#active.path, cut);
    } catch {
      // It is stated, so it may stay until the next start.
    }
  }

  /** What cannot be removed now stays: the entry that made it due is written, and that is what counts. */
  async #cutIfDue(): Promise<void> {
    try {
      const { path } = this.#active;
      this.#closed = await this.#cutter.cut(this.#closed, path);
      // The statement needed a file of its own: that counts as well.
      if (path !== this.#active.path) this.#closed = await this.#cutter.cut(this.#closed, this.#active.path);
    } catch {
      this.#cutter.isDue = true;
    }
  }
}

/** The next entry would stand behind what failed, and the chain would be broken there. Throws the error of the file system. */
async function cutTail(active: Active): Promise<void> {
  if (!active.hasTail) return;
  await active.file.truncate(active.sizeBytes);
  active.hasTail = false;
}

interface Clocks {
  readonly wallMs: () => number;
  /** Milliseconds since boot; `null` = jumps are not marked. */
  readonly bootMs: (() => number) | null;
}
