/**
 * The files of an open journal: groups of batches appended and synced, old segments removed, damaged ones repaired. One
 * caller at a time. Every method throws the error of the file system; a group that failed was not written.
 */
import { randomBytes } from "node:crypto";
import { chmodSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFully } from "../../files/atomicFile.ts";
import { makeDirectory } from "../../files/directory.ts";
import { type BatchContent, type EncodedBatch, encodeBatch, frameOf } from "./batchBytes.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from "./frames.ts";
import { JournalHead } from "./journalHead.ts";
import type { LostEvents, RecordGroup } from "./journalQueue.ts";
import { createSegment, type Damage, openSegments, repairSegment, type Segment, segmentPath } from "./segments.ts";

/** Both limits are kept by removing whole segments. */
const SEGMENTS_PER_JOURNAL = 16;
const SEGMENT_AGE_SHARE = 30;
/** When it is not known any more what was given out last, so many sequences are left out. */
const UNKNOWN_HEAD_SKIP = 65_536n;

export interface JournalLimits {
  readonly directory: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly wallMs: () => number;
}

interface Active {
  readonly segment: Segment;
  readonly handle: FileHandle;
}

export class JournalStore {
  readonly id: string;
  readonly #limits: JournalLimits;
  readonly #head: JournalHead;
  readonly #segments: Segment[];
  #active: Active | null = null;
  #last: bigint;
  #removed: bigint;
  #lastWindowEndMs: number;
  /** A write failed on its way: what it left in the file has to go before anything else. */
  #isUnclean = false;

  private constructor(
    limits: JournalLimits,
    head: JournalHead,
    found: { id: string; segments: Segment[]; last: bigint; removed: bigint; lastWindowEndMs: number },
  ) {
    this.#limits = limits;
    this.#head = head;
    this.id = found.id;
    this.#segments = found.segments;
    this.#last = found.last;
    this.#removed = found.removed;
    this.#lastWindowEndMs = found.lastWindowEndMs;
  }

  static async open(limits: JournalLimits, say: (problem: string) => void): Promise<JournalStore> {
    const { directory } = limits;
    makeDirectory(directory, 0o700);
    chmodSync(directory, 0o700);
    const { head, content } = await JournalHead.open(join(directory, "head"));
    try {
      const { journalId, segments, damages, lastWindowEndMs } = await openSegments(
        directory,
        content?.journalId ?? null,
      );
      for (const damage of damages) say(describeDamage(damage));
      const inFiles = segments.at(-1)?.lastSequence ?? 0n;
      const given = content?.lastSequence ?? (journalId === null ? 0n : inFiles + UNKNOWN_HEAD_SKIP);
      if (inFiles < given)
        say(`Flow records were lost: batches ${inFiles + 1n} to ${given} are not in the journal any more.`);
      const store = new JournalStore(limits, head, {
        id: journalId ?? randomBytes(16).toString("hex"),
        segments,
        last: inFiles > given ? inFiles : given,
        removed: content?.removedBatches ?? 0n,
        lastWindowEndMs: Math.max(lastWindowEndMs, content?.lastWindowEndMs ?? 0),
      });
      await store.#writeHead(store.#last);
      return store;
    } catch (error) {
      await head.close();
      throw error;
    }
  }

  /** Oldest first. Readers look at the list again whenever they come to the end of a file. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Highest sequence that was ever given out. */
  get last(): bigint {
    return this.#last;
  }

  get removed(): bigint {
    return this.#removed;
  }

  get lastWindowEndMs(): number {
    return this.#lastWindowEndMs;
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Returns the batches when all of them are on the disk. */
  async write(group: RecordGroup, lost: LostEvents): Promise<readonly EncodedBatch[]> {
    const { batches, data } = await encodeGroup(group, this.#last, lost);
    const lastSequence = this.#last + BigInt(batches.length);
    if (this.#isUnclean) await this.#active?.handle.truncate(this.#active.segment.sizeBytes);
    await this.removeOld(data.length);
    const { segment, handle } = await this.#activeFor(data.length);
    await group.prepare?.(lastSequence);
    this.#isUnclean = true;
    await writeFully(handle, data, segment.sizeBytes);
    await handle.datasync();
    const before = this.#lastWindowEndMs;
    this.#lastWindowEndMs = group.windowEndMs;
    try {
      await this.#writeHead(lastSequence);
    } catch (error) {
      this.#lastWindowEndMs = before;
      throw error;
    }
    this.#isUnclean = false;
    if (isEmpty(segment)) segment.oldestMs = group.sealedMs;
    segment.newestMs = group.sealedMs;
    segment.lastSequence = lastSequence;
    segment.sizeBytes += data.length;
    this.#last = lastSequence;
    return batches;
  }

  /** Makes room for so many bytes, and removes what is too old. */
  async removeOld(moreBytes = 0): Promise<void> {
    const { maxBytes, maxAgeMs, wallMs } = this.#limits;
    const isTooOld = ({ newestMs }: Segment) => newestMs > 0 && newestMs < wallMs() - maxAgeMs;
    for (let oldest = this.#segments[0]; oldest !== undefined; oldest = this.#segments[0]) {
      const isTooMuch = this.#segments.length > 1 && this.sizeBytes + moreBytes > maxBytes;
      if (!isTooMuch && !isTooOld(oldest)) return;
      if (this.#active?.segment === oldest) await this.#leaveActive();
      await rm(oldest.path, { force: true });
      this.#segments.shift();
      this.#removed += oldest.lastSequence - oldest.firstSequence + 1n;
    }
  }

  /** Puts what is whole of a damaged segment in its place. Returns what happened, `null` when somebody was faster. */
  async repair(segment: Segment): Promise<string | null> {
    const position = this.#segments.indexOf(segment);
    if (position < 0) return null;
    if (this.#active?.segment === segment) await this.#leaveActive();
    const { segment: saved, damage } = await repairSegment(segment);
    this.#segments.splice(position, 1, ...(saved === null ? [] : [saved]));
    return describeDamage(damage);
  }

  async close(): Promise<void> {
    await this.#leaveActive();
    await this.#head.close();
  }

  #writeHead(lastSequence: bigint): Promise<void> {
    return this.#head.write({
      journalId: this.id,
      lastSequence,
      removedBatches: this.#removed,
      lastWindowEndMs: this.#lastWindowEndMs,
    });
  }

  async #activeFor(sizeBytes: number): Promise<Active> {
    const newest = this.#segments.at(-1);
    if (newest !== undefined && this.#goesOn(newest, sizeBytes)) {
      this.#active ??= { segment: newest, handle: await open(newest.path, "r+") };
      return this.#active;
    }
    await this.#leaveActive();
    if (newest !== undefined && isEmpty(newest)) {
      await rm(newest.path, { force: true });
      this.#segments.pop();
    }
    const firstSequence = this.#last + 1n;
    const createdMs = this.#limits.wallMs();
    const path = segmentPath(this.#limits.directory, firstSequence);
    const header = encodeSegmentHeader({ journalId: this.id, firstSequence, createdMs });
    const handle = await createSegment(path, header);
    const counts = { firstSequence, lastSequence: this.#last, sizeBytes: SEGMENT_HEADER_BYTES };
    const segment: Segment = { path, ...counts, createdMs, oldestMs: 0, newestMs: 0 };
    this.#segments.push(segment);
    this.#active = { segment, handle };
    return this.#active;
  }

  /** An empty segment takes anything; one after which sequences are missing takes nothing. */
  #goesOn(newest: Segment, sizeBytes: number): boolean {
    if (newest.lastSequence !== this.#last) return false;
    if (isEmpty(newest)) return true;
    const { maxBytes, maxAgeMs, wallMs } = this.#limits;
    // Also after the clock was set back.
    const ageMs = Math.abs(wallMs() - newest.createdMs);
    return newest.sizeBytes + sizeBytes <= maxBytes / SEGMENTS_PER_JOURNAL && ageMs <= maxAgeMs / SEGMENT_AGE_SHARE;
  }

  async #leaveActive(): Promise<void> {
    const active = this.#active;
    this.#active = null;
    await active?.handle.close();
  }
}

export function isEmpty({ firstSequence, lastSequence }: Segment): boolean {
  return lastSequence < firstSequence;
}

async function encodeGroup({ pieces, sealedMs, windowEndMs }: RecordGroup, last: bigint, lost: LostEvents) {
  const batches: EncodedBatch[] = [];
  const frames: Buffer[] = [];
  for (const [position, records] of pieces.entries()) {
    const sequence = last + BigInt(position + 1);
    const hasMore = position < pieces.length - 1;
    const losses = position === 0 ? lost : null;
    const content: BatchContent = { sequence, sealedMs, windowEndMs, hasMore, records, lost: losses };
    const bytes = encodeBatch(content);
    batches.push({ sequence, bytes });
    frames.push(await frameOf(content, bytes));
  }
  return { batches, data: Buffer.concat(frames) };
}

function describeDamage({ path, movedTo, what }: Damage): string {
  return `The journal of flow records has a damaged file (${path}): ${what}. It was moved to ${movedTo}.`;
}
