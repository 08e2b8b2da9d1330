/** A batch as the bytes of its message, deflated on the disk. */
import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FlowLossesSchema } from "@wardline/api/wardline/v1/flow";
import { type FlowRecordBatch, FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { toTimestamp } from "../../agent/clock.ts";
import { encodeFrame, type FrameHeader } from "./frames.ts";
import type { LostEvents } from "./journalQueue.ts";

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);
/** Less is not worth the call. */
const DEFLATE_MIN_BYTES = 256;

export interface EncodedBatch {
  readonly sequence: bigint;
  /** A whole `FlowRecordBatch`. */
  readonly bytes: Uint8Array;
}

export interface BatchContent {
  readonly sequence: bigint;
  readonly sealedMs: number;
  readonly windowEndMs: number;
  readonly hasMore: boolean;
  readonly records: Uint8Array;
  /** Only with the first batch of a group. */
  readonly lost: LostEvents | null;
}

export function encodeBatch({ sequence, sealedMs, records, lost }: BatchContent): Uint8Array {
  const batch = create(FlowRecordBatchSchema, { sequence, sealedAt: toTimestamp(sealedMs) });
  if (lost !== null && lost.ringFull + lost.rateLimited + lost.notFollowed + lost.unwritten > 0n) {
    const { unwritten: readerLag, ...losses } = lost;
    batch.lost = create(FlowLossesSchema, { ...losses, readerLag });
  }
  // Fields of a message may come in any order.
  return Buffer.concat([toBinary(FlowRecordBatchSchema, batch), records]);
}

export function decodeBatch(bytes: Uint8Array): FlowRecordBatch {
  return fromBinary(FlowRecordBatchSchema, bytes);
}

export async function frameOf(content: BatchContent, batch: Uint8Array): Promise<Buffer> {
  const isDeflated = batch.length >= DEFLATE_MIN_BYTES;
  const payload = isDeflated ? await deflate(batch, { level: 3 }) : batch;
  return encodeFrame({ ...content, plainBytes: isDeflated ? batch.length : 0 }, payload);
}

/** Throws when the payload is not what its header says. */
export async function batchOf({ plainBytes }: FrameHeader, payload: Uint8Array): Promise<Uint8Array> {
  if (plainBytes === 0) return payload;
  const batch = await inflate(payload, { maxOutputLength: plainBytes });
  if (batch.length !== plainBytes) throw new Error("the batch is shorter than its header says");
  return batch;
}
