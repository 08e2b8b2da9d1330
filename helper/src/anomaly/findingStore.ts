/**
 * The findings of this host, kept over restarts: bounded in number and in bytes, the oldest that are over leave first. What
 * goes on is written once a minute; a new one, and one that became worse or ended, at once.
 */
import { join } from "node:path";
import { clone } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Feedback, Finding } from "@wardline/api/wardline/v1/anomaly";
import {
  type AnomalySeverity,
  type DetectorKind,
  FindingSchema,
  FindingState,
} from "@wardline/api/wardline/v1/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toWriteFailure } from "../files/atomicFile.ts";
import * as codec from "./findingCodec.ts";
import { FindingFile, type Frame, type Place } from "./findingFile.ts";
import { moveAside } from "./modelFile.ts";

export interface FindingLimits {
  readonly maxFindings: number;
  /** Of the file. */
  readonly maxBytes: number;
}

const LIMITS: FindingLimits = { maxFindings: 10_000, maxBytes: 16 * 1024 * 1024 };
/** Of a file that is written anew: the rest is room for what comes. */
const FILLED = 0.75;
const MAX_FEEDBACK = 20;
const MAX_CHAIN = 50;
/** Changes that wait for the disk, while it is full for example. */
const MAX_UNSAVED = 500;

/** What is in memory of each finding. */
export interface FindingEntry {
  readonly id: string;
  readonly detector: DetectorKind;
  readonly severity: AnomalySeverity;
  readonly isOver: boolean;
  readonly detectedAtMs: number;
  readonly lastAtMs: number;
  readonly score: number;
  readonly feedback: readonly Feedback[];
  readonly chain: readonly string[];
  /** `null` = it is only in memory yet. */
  readonly place: Place | null;
}

export class FindingStore {
  readonly #limits: FindingLimits;
  readonly #entries = new Map<string, FindingEntry>();
  /** Whole, newer than what is on disk. */
  readonly #unsaved = new Map<string, Finding>();
  readonly #due = new Set<string>();
  #file!: FindingFile;
  #liveBytes = 0;
  #counts: codec.Counts = { removed: 0, feedbackNumber: 0 };
  #newestFirst: readonly FindingEntry[] | null = null;
  #work: Promise<unknown> = Promise.resolve();
  #problem = "";

  private constructor(limits: FindingLimits) {
    this.#limits = limits;
  }

  /**
   * A damaged file is moved aside, and what could be read of it is kept: `problem` says so, and `isDamaged` that findings
   * have to be found again. Throws `Failure` when the file system refuses.
   */
  static async open(
    directory: string,
    limits: FindingLimits = LIMITS,
  ): Promise<{ store: FindingStore; isDamaged: boolean; problem: string }> {
    const store = new FindingStore(limits);
    const path = join(directory, "findings.log");
    try {
      const { file, damagedAt } = await FindingFile.open(path, (frame) => store.#readFrame(frame));
      store.#file = file;
      if (damagedAt === null) return { store, isDamaged: false, problem: "" };
      const aside = await moveAside(path);
      await store.#compact();
      const problem = `The file of findings was damaged at byte ${damagedAt}: it was moved to ${aside}. ${store.size} findings could be kept; the others are looked for again in the journal.`;
      return { store, isDamaged: true, problem };
    } catch (error) {
      throw toWriteFailure(error, "the file of findings");
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get removed(): number {
    return this.#counts.removed;
  }

  get feedbackNumber(): number {
    return this.#counts.feedbackNumber;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  /** Why the newest are only in memory; empty = all is well. */
  get problem(): string {
    return this.#problem;
  }

  /** By when they were found, newest first. */
  entries(): readonly FindingEntry[] {
    this.#newestFirst ??= [...this.#entries.values()].sort(
      (left, right) => right.detectedAtMs - left.detectedAtMs || (left.id < right.id ? 1 : -1),
    );
    return this.#newestFirst;
  }

  entry(id: string): FindingEntry | null {
    return this.#entries.get(id) ?? null;
  }

  /** Whole. Throws `Failure` NOT_FOUND, INTERNAL. */
  async whole(id: string): Promise<Finding> {
    return this.#read(id, codec.decodeWhole);
  }

  /** Without evidence and series; those that left meanwhile are left out. */
  async heads(ids: readonly string[]): Promise<Finding[]> {
    const found = await Promise.all(
      ids.map((id) =>
        this.#read(id, codec.decodeHead).then(codec.headOf, (error) => {
          if (error instanceof Failure && error.code === ErrorCode.NOT_FOUND) return null;
          throw error;
        }),
      ),
    );
    return found.filter((finding) => finding !== null);
  }

  /** Takes new and changed findings as the detectors say them; feedback and chain stay as they are. Returns them as kept. */
  put(findings: readonly Finding[]): Finding[] {
    return findings.map((finding) => {
      const known = this.#entries.get(finding.id);
      finding.feedback = [...(known?.feedback ?? [])];
      finding.chainFindingIds = [...(known?.chain ?? [])];
      const isOver = finding.state === FindingState.OVER;
      if (!known || known.severity !== finding.severity || known.isOver !== isOver) this.#due.add(finding.id);
      this.#remember(finding);
      return finding;
    });
  }

  /** On disk when it returns. Throws `Failure` NOT_FOUND, DISK_FULL, INTERNAL: then nothing was changed. */
  async addFeedback(id: string, feedback: Feedback): Promise<Finding> {
    const before = this.#counts;
    const finding = await this.#change(id, (whole) => {
      whole.feedback = [feedback, ...whole.feedback].slice(0, MAX_FEEDBACK);
      this.#counts = { ...before, feedbackNumber: before.feedbackNumber + 1 };
    });
    if (this.#problem === "") return finding;
    this.#counts = before;
    await this.#change(id, (whole) => {
      whole.feedback = whole.feedback.slice(1);
    });
    throw new Failure({ code: ErrorCode.DISK_FULL, message: this.#problem, retryable: true });
  }

  /** `null` when it is not kept any more, or says the same already. */
  async setChain(id: string, chain: readonly string[]): Promise<Finding | null> {
    const bounded = chain.slice(0, MAX_CHAIN);
    const known = this.#entries.get(id);
    if (!known || known.chain.join() === bounded.join()) return null;
    return this.#change(id, (whole) => {
      whole.chainFindingIds = [...bounded];
    });
  }

  /** Writes what is new and worse, or with `all` everything. Never rejects: see `problem`. */
  flush(all = false): Promise<void> {
    return this.#serially(async () => {
      const ids = (all ? [...this.#unsaved.keys()] : [...this.#due]).filter((id) => this.#unsaved.has(id));
      try {
        await this.#write(ids);
        this.#problem = "";
      } catch (error) {
        this.#problem = toWriteFailure(error, "a finding").message;
      }
    });
  }

  async close(): Promise<void> {
    await this.flush(true);
    await this.#serially(() => this.#file.close());
  }

  #readFrame({ payload, offset, length }: Frame): void {
    const kind = payload[0];
    if (kind === codec.FRAME.counts) this.#counts = codec.decodeCounts(payload);
    else if (kind === codec.FRAME.removal) this.#drop(codec.decodeRemoval(payload));
    else if (kind === codec.FRAME.finding) this.#place(codec.decodeHead(payload), { offset, length });
    this.#newestFirst = null;
  }

  async #read(id: string, decode: (payload: Buffer) => Finding): Promise<Finding> {
    const unsaved = this.#unsaved.get(id);
    if (unsaved) return unsaved;
    return this.#serially(async () => {
      const place = this.#entries.get(id)?.place;
      if (!place) throw unknown(id);
      try {
        return decode(await this.#file.read(place));
      } catch (error) {
        throw new Failure(
          { code: ErrorCode.INTERNAL, message: `Finding ${id} cannot be read from the disk: ${error}` },
          { cause: error },
        );
      }
    });
  }

  async #change(id: string, change: (whole: Finding) => void): Promise<Finding> {
    if (!this.#entries.has(id)) throw unknown(id);
    // Not the object that may just be on its way to the disk.
    const whole = clone(FindingSchema, await this.whole(id));
    change(whole);
    this.#remember(whole);
    this.#due.add(id);
    await this.flush();
    return whole;
  }

  #remember(finding: Finding): void {
    this.#unsaved.set(finding.id, finding);
    this.#place(finding, this.#entries.get(finding.id)?.place ?? null);
    this.#newestFirst = null;
    if (this.#unsaved.size <= MAX_UNSAVED) return;
    // The disk takes nothing: what is oldest is known as it was last written, or not at all.
    const [oldest = ""] = this.#unsaved.keys();
    this.#unsaved.delete(oldest);
    if (this.#entries.get(oldest)?.place === null) this.#forget(oldest);
  }

  #place(head: Finding, place: Place | null): void {
    const before = this.#entries.get(head.id);
    if (before?.place) this.#liveBytes -= before.place.length;
    if (place) this.#liveBytes += place.length;
    this.#entries.set(head.id, entryOf(head, place));
  }

  #drop(id: string): void {
    const before = this.#entries.get(id);
    if (before?.place) this.#liveBytes -= before.place.length;
    this.#entries.delete(id);
  }

  #forget(id: string): void {
    this.#drop(id);
    this.#unsaved.delete(id);
    this.#due.delete(id);
    this.#counts = { ...this.#counts, removed: this.#counts.removed + 1 };
    this.#newestFirst = null;
  }

  async #write(ids: readonly string[]): Promise<void> {
    const surplus = this.#surplus(this.#limits.maxFindings);
    for (const id of surplus) this.#forget(id);
    const kept = ids.flatMap((id) => this.#unsaved.get(id) ?? []);
    const payloads = kept.map(codec.encodeFinding);
    const bytes = payloads.reduce((sum, payload) => sum + payload.length + 8, 0);
    if (this.#file.sizeBytes + bytes > this.#limits.maxBytes * FILLED) {
      this.#makeRoom(bytes);
      await this.#compact();
    }
    const removals = surplus.map(codec.encodeRemoval);
    const places = await this.#file.append([...removals, ...payloads, codec.encodeCounts(this.#counts)]);
    for (const [index, written] of kept.entries()) {
      const newest = this.#unsaved.get(written.id);
      if (!newest) continue;
      this.#place(newest, places[removals.length + index]!);
      // What changed while it was written still has to be.
      if (newest !== written) continue;
      this.#unsaved.delete(written.id);
      this.#due.delete(written.id);
    }
    this.#newestFirst = null;
  }

  /** Those that leave so that only `count` stay: over ones first, the oldest first. */
  #surplus(count: number): string[] {
    if (this.#entries.size <= count) return [];
    return this.#leaving()
      .slice(0, this.#entries.size - count)
      .map(({ id }) => id);
  }

  #leaving(): FindingEntry[] {
    return [...this.#entries.values()].sort(
      (left, right) => Number(right.isOver) - Number(left.isOver) || left.lastAtMs - right.lastAtMs,
    );
  }

  #makeRoom(bytes: number): void {
    const room = this.#limits.maxBytes * FILLED * FILLED;
    if (this.#liveBytes + bytes <= room) return;
    for (const { id } of this.#leaving()) {
      if (this.#liveBytes + bytes <= room) return;
      if (this.#entries.get(id)?.place) this.#forget(id);
    }
  }

  /** Only what lives, in a new file. */
  async #compact(): Promise<void> {
    const placed = [...this.#entries.values()].filter(({ place }) => place !== null);
    const file = this.#file;
    const counts = codec.encodeCounts(this.#counts);
    const payloads = async function* () {
      for (const { place } of placed) yield await file.read(place!);
      yield counts;
    };
    const places = await this.#file.rewrite(payloads());
    for (const [index, { id }] of placed.entries()) {
      this.#entries.set(id, { ...this.#entries.get(id)!, place: places[index]! });
    }
    this.#newestFirst = null;
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }
}

function entryOf(finding: Finding, place: Place | null): FindingEntry {
  const { id, detector, severity, state, detectedAt, lastAt, score, feedback, chainFindingIds } = finding;
  return {
    ...{ id, detector, severity, score, place },
    isOver: state === FindingState.OVER,
    detectedAtMs: detectedAt ? timestampMs(detectedAt) : 0,
    lastAtMs: lastAt ? timestampMs(lastAt) : 0,
    feedback: [...feedback],
    chain: [...chainFindingIds],
  };
}

export function unknown(id: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no finding ${JSON.stringify(id.slice(0, 100))} on this host.`,
    hint: "It may have left for want of room: the oldest do. A console that was connected has kept it.",
  });
}
