/**
 * Reads batches from the files of a journal. A reader holds one piece of one file; what comes behind it waits on the disk.
 * Files may be removed while they are read: an open one stays readable, and what is gone otherwise is skipped.
 */
import { type FileHandle, open } from "node:fs/promises";
import { isErrno } from "../../files/atomicFile.ts";
import { batchOf, type EncodedBatch } from "./batchBytes.ts";
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  isPayloadIntact,
  SEGMENT_HEADER_BYTES,
} from "./frames.ts";
import type { Segment } from "./segments.ts";

const CHUNK_BYTES = 256 * 1024;
/** Of batches, inflated, that are handed out at once. */
const PIECE_BYTES = 512 * 1024;
/** A segment that cannot be read even after it was repaired is left out. */
const MAX_REPAIRS = 2;

export interface BatchSource {
  /** Oldest first, as they are now. */
  readonly segments: () => readonly Segment[];
  /** Reading ends with this sequence. */
  readonly last: bigint;
  /** Called when a file is not what was written; resolves when it is whole again or gone. */
  readonly onDamage: (segment: Segment) => Promise<void>;
}

/** Oldest first. Ends without an error when the signal is set. */
export async function* readBatches(
  source: BatchSource,
  afterSequence: bigint,
  signal: AbortSignal,
): AsyncGenerator<readonly EncodedBatch[]> {
  let after = afterSequence;
  let repairs = 0;
  while (!signal.aborted && after < source.last) {
    const segment = source.segments().find(({ lastSequence }) => lastSequence > after);
    if (segment === undefined) return;
    const end = segment.lastSequence;
    try {
      for await (const batches of readSegment(segment, after, source.last, signal)) {
        after = batches.at(-1)?.sequence ?? after;
        yield batches;
      }
      // Sequences that were lost from its end belong to nobody.
      if (!signal.aborted) after = end > after ? end : after;
      repairs = 0;
    } catch (error) {
      if (error instanceof Damaged && repairs < MAX_REPAIRS) {
        repairs += 1;
        await source.onDamage(segment);
      } else if (isErrno(error, "ENOENT") || error instanceof Damaged) {
        // Removed in the meantime, or beyond help.
        after = end > after ? end : after;
        repairs = 0;
      } else throw error;
    }
  }
}

class Damaged extends Error {}

async function* readSegment(
  segment: Segment,
  after: bigint,
  last: bigint,
  signal: AbortSignal,
): AsyncGenerator<readonly EncodedBatch[]> {
  const handle = await open(segment.path, "r");
  try {
    const frames = new FrameReader(handle, segment.sizeBytes);
    let batches: EncodedBatch[] = [];
    let sizeBytes = 0;
    for (let header = await frames.next(); header !== null && !signal.aborted; header = await frames.next()) {
      const { sequence } = header;
      if (sequence > last) break;
      if (sequence <= after) continue;
      const bytes = await frames.batch(header);
      if (sizeBytes + bytes.length > PIECE_BYTES && batches.length > 0) {
        yield batches;
        batches = [];
        sizeBytes = 0;
      }
      batches.push({ sequence, bytes });
      sizeBytes += bytes.length;
    }
    if (batches.length > 0) yield batches;
  } finally {
    await handle.close();
  }
}

/** Walks the frames of a file with few reads. Throws {@link Damaged}. */
class FrameReader {
  readonly #handle: FileHandle;
  readonly #endOffset: number;
  #chunk: Buffer = Buffer.alloc(0);
  #chunkOffset = SEGMENT_HEADER_BYTES;
  #offset = SEGMENT_HEADER_BYTES;
  #payloadOffset = 0;

  constructor(handle: FileHandle, endOffset: number) {
    this.#handle = handle;
    this.#endOffset = endOffset;
  }

  /** `null` at the end. */
  async next(): Promise<FrameHeader | null> {
    if (this.#offset >= this.#endOffset) return null;
    const header = decodeFrameHeader(await this.#bytes(this.#offset, FRAME_HEADER_BYTES), 0);
    if (header === null) throw new Damaged();
    this.#payloadOffset = this.#offset + FRAME_HEADER_BYTES;
    this.#offset = this.#payloadOffset + header.sizeBytes;
    if (this.#offset > this.#endOffset) throw new Damaged();
    return header;
  }

  /** Of the frame that `next` returned last. */
  async batch(header: FrameHeader): Promise<Uint8Array> {
    const payload = await this.#bytes(this.#payloadOffset, header.sizeBytes);
    if (!isPayloadIntact(header, payload)) throw new Damaged();
    const batch = await batchOf(header, payload).catch(() => {
      throw new Damaged();
    });
    // The chunk is used for one file only, and what is handed out may outlive it.
    return batch === payload ? Uint8Array.from(batch) : batch;
  }

  async #bytes(offset: number, sizeBytes: number): Promise<Buffer> {
    const inChunk = offset - this.#chunkOffset;
    if (inChunk < 0 || inChunk + sizeBytes > this.#chunk.length) {
      const wanted = Math.min(Math.max(CHUNK_BYTES, sizeBytes), this.#endOffset - offset);
      const chunk = Buffer.allocUnsafe(Math.max(0, wanted));
      const { bytesRead } = await this.#handle.read(chunk, 0, chunk.length, offset);
      this.#chunk = chunk.subarray(0, bytesRead);
      this.#chunkOffset = offset;
    }
    const start = offset - this.#chunkOffset;
    return this.#chunk.subarray(start, start + sizeBytes);
  }
}
