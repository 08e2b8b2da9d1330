/** What is whole in the bytes of a segment, and what is not. */
import {
  decodeFrameHeader,
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  isPayloadIntact,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./frames.ts";

export interface FoundFrame {
  readonly header: FrameHeader;
  /** Where its header begins. */
  readonly offset: number;
}

export interface SegmentScan {
  /** `null` = not a segment, or one whose first bytes are damaged: nothing in it is to be had. */
  readonly header: SegmentHeader | null;
  /** Whole frames of whole groups, in order. */
  readonly frames: readonly FoundFrame[];
  /** End of the last of them (of the header when there is none). */
  readonly endOffset: number;
  /** Whole frames come after bytes that are none: something that was written is damaged, not only the end missing. */
  readonly hasHole: boolean;
}

const MAGIC = Buffer.from("WLF1", "latin1");

/** Sequences must grow: what a write that failed left behind is not taken for a frame. */
export function scanSegment(bytes: Buffer): SegmentScan {
  const header = decodeSegmentHeader(bytes);
  if (header === null) return { header, frames: [], endOffset: 0, hasHole: false };
  const frames: FoundFrame[] = [];
  let group: FoundFrame[] = [];
  let endOffset = SEGMENT_HEADER_BYTES;
  let lastSequence = header.firstSequence - 1n;
  let [isBroken, hasHole] = [false, false];
  for (let offset = SEGMENT_HEADER_BYTES; offset < bytes.length; ) {
    const frame = frameAt(bytes, offset);
    if (frame === null || frame.sequence <= lastSequence) {
      // A group with a damaged member keeps its other members: they were written.
      isBroken = true;
      const next = bytes.indexOf(MAGIC, offset + 1);
      if (next < 0) break;
      offset = next;
      continue;
    }
    lastSequence = frame.sequence;
    group.push({ header: frame, offset });
    offset += FRAME_HEADER_BYTES + frame.sizeBytes;
    if (frame.hasMore) continue;
    frames.push(...group);
    group = [];
    endOffset = offset;
    hasHole ||= isBroken;
  }
  return { header, frames, endOffset, hasHole };
}

function frameAt(bytes: Buffer, offset: number): FrameHeader | null {
  const header = decodeFrameHeader(bytes, offset);
  if (header === null) return null;
  const start = offset + FRAME_HEADER_BYTES;
  return isPayloadIntact(header, bytes.subarray(start, start + header.sizeBytes)) ? header : null;
}

/** A segment with the whole frames of a damaged one. */
export function salvage(bytes: Buffer, { frames }: SegmentScan): Buffer {
  const parts = frames.map(({ header, offset }) =>
    bytes.subarray(offset, offset + FRAME_HEADER_BYTES + header.sizeBytes),
  );
  return Buffer.concat([bytes.subarray(0, SEGMENT_HEADER_BYTES), ...parts]);
}
