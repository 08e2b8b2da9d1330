/**
 * How batches lie in a file. A segment begins with a header that says whose it is; frames follow, each with its length, its
 * sequence and checksums of its own, so that every byte of a file is either what was written or known not to be.
 */
import { crc32 } from "node:zlib";

const SEGMENT_MAGIC = 0x31534c57;
const FRAME_MAGIC = 0x31464c57;
export const SEGMENT_HEADER_BYTES = 48;
export const FRAME_HEADER_BYTES = 48;
/** Far above what is written: a length beyond it is damage. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;

const SEGMENT = { magic: 0, id: 4, firstSequence: 20, createdMs: 28, crc: 44 } as const;
const FRAME = {
  magic: 0,
  flags: 4,
  sizeBytes: 8,
  plainBytes: 12,
  sequence: 16,
  sealedMs: 24,
  windowEndMs: 32,
  payloadCrc: 40,
  crc: 44,
} as const;
const FLAG_MORE = 1;

export interface SegmentHeader {
  /** 32 hex digits. */
  readonly journalId: string;
  readonly firstSequence: bigint;
  readonly createdMs: number;
}

export interface FrameHeader {
  readonly sequence: bigint;
  readonly sealedMs: number;
  /** End of the newest window in it, on the wall clock. */
  readonly windowEndMs: number;
  /** Bytes behind the header. */
  readonly sizeBytes: number;
  /** What they are when inflated; 0 = they were not deflated. */
  readonly plainBytes: number;
  /** Further frames belong to it: without the last of them none of them was ever written. */
  readonly hasMore: boolean;
  readonly payloadCrc: number;
}

export function encodeSegmentHeader({ journalId, firstSequence, createdMs }: SegmentHeader): Buffer {
  const buffer = Buffer.alloc(SEGMENT_HEADER_BYTES);
  buffer.writeUInt32LE(SEGMENT_MAGIC, SEGMENT.magic);
  buffer.write(journalId, SEGMENT.id, 16, "hex");
  buffer.writeBigUInt64LE(firstSequence, SEGMENT.firstSequence);
  buffer.writeDoubleLE(createdMs, SEGMENT.createdMs);
  buffer.writeUInt32LE(crc32(buffer.subarray(0, SEGMENT.crc)), SEGMENT.crc);
  return buffer;
}

/** `null` when it is not one, or damaged. */
export function decodeSegmentHeader(buffer: Buffer): SegmentHeader | null {
  if (buffer.length < SEGMENT_HEADER_BYTES || buffer.readUInt32LE(SEGMENT.magic) !== SEGMENT_MAGIC) return null;
  if (crc32(buffer.subarray(0, SEGMENT.crc)) !== buffer.readUInt32LE(SEGMENT.crc)) return null;
  return {
    journalId: buffer.toString("hex", SEGMENT.id, SEGMENT.id + 16),
    firstSequence: buffer.readBigUInt64LE(SEGMENT.firstSequence),
    createdMs: buffer.readDoubleLE(SEGMENT.createdMs),
  };
}

export function encodeFrame(header: Omit<FrameHeader, "sizeBytes" | "payloadCrc">, payload: Uint8Array): Buffer {
  const buffer = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  buffer.writeUInt32LE(FRAME_MAGIC, FRAME.magic);
  buffer.writeUInt32LE(header.hasMore ? FLAG_MORE : 0, FRAME.flags);
  buffer.writeUInt32LE(payload.length, FRAME.sizeBytes);
  buffer.writeUInt32LE(header.plainBytes, FRAME.plainBytes);
  buffer.writeBigUInt64LE(header.sequence, FRAME.sequence);
  buffer.writeDoubleLE(header.sealedMs, FRAME.sealedMs);
  buffer.writeDoubleLE(header.windowEndMs, FRAME.windowEndMs);
  buffer.writeUInt32LE(crc32(payload), FRAME.payloadCrc);
  buffer.writeUInt32LE(crc32(buffer.subarray(0, FRAME.crc)), FRAME.crc);
  buffer.set(payload, FRAME_HEADER_BYTES);
  return buffer;
}

/** `null` when there is none at this place, or it is damaged. */
export function decodeFrameHeader(buffer: Buffer, offset: number): FrameHeader | null {
  if (offset + FRAME_HEADER_BYTES > buffer.length) return null;
  const view = buffer.subarray(offset, offset + FRAME_HEADER_BYTES);
  if (view.readUInt32LE(FRAME.magic) !== FRAME_MAGIC) return null;
  if (crc32(view.subarray(0, FRAME.crc)) !== view.readUInt32LE(FRAME.crc)) return null;
  const header: FrameHeader = {
    sequence: view.readBigUInt64LE(FRAME.sequence),
    sealedMs: view.readDoubleLE(FRAME.sealedMs),
    windowEndMs: view.readDoubleLE(FRAME.windowEndMs),
    sizeBytes: view.readUInt32LE(FRAME.sizeBytes),
    plainBytes: view.readUInt32LE(FRAME.plainBytes),
    hasMore: (view.readUInt32LE(FRAME.flags) & FLAG_MORE) !== 0,
    payloadCrc: view.readUInt32LE(FRAME.payloadCrc),
  };
  return header.sizeBytes > MAX_FRAME_BYTES || header.plainBytes > MAX_FRAME_BYTES ? null : header;
}

export function isPayloadIntact(header: FrameHeader, payload: Uint8Array): boolean {
  return payload.length === header.sizeBytes && crc32(payload) === header.payloadCrc;
}
