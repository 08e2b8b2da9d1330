/** A finding as it lies in the file: the part for lists, and apart from it what only its own page shows. Both compressed. */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Finding, FindingSchema } from "@wardline/api/wardline/v1/anomaly";
import { MAX_FRAME_BYTES } from "./findingFile.ts";

const MAX_EVIDENCE = 50;
const MAX_POINTS = 300;
/** Of a decoded part: more was never written. */
const MAX_PART_BYTES = 4 * 1024 * 1024;

export const FRAME = { finding: 1, removal: 2, counts: 3 } as const;

export interface Counts {
  /** Findings that left for want of room. */
  readonly removed: number;
  /** How often feedback was given. */
  readonly feedbackNumber: number;
}

/** Without evidence and series. */
export function headOf(finding: Finding): Finding {
  return clone(FindingSchema, { ...finding, evidence: [], series: [] });
}

export function encodeFinding(finding: Finding): Buffer {
  for (let evidence = MAX_EVIDENCE; ; evidence = Math.floor(evidence / 4)) {
    const head = deflateRawSync(toBinary(FindingSchema, headOf(finding)), { level: 4 });
    const body = create(FindingSchema, {
      evidence: finding.evidence.slice(0, evidence),
      series: evidence > 0 ? finding.series.slice(-MAX_POINTS) : [],
    });
    const packed = deflateRawSync(toBinary(FindingSchema, body), { level: 4 });
    const prefix = Buffer.alloc(5);
    prefix.writeUInt8(FRAME.finding, 0);
    prefix.writeUInt32LE(head.length, 1);
    const payload = Buffer.concat([prefix, head, packed]);
    // Texts of a host are bounded long before; what is larger all the same is kept without its evidence.
    if (payload.length <= MAX_FRAME_BYTES || evidence === 0) return payload;
  }
}

export function decodeHead(payload: Buffer): Finding {
  const headLength = payload.readUInt32LE(1);
  return fromBinary(FindingSchema, inflate(payload.subarray(5, 5 + headLength)));
}

export function decodeWhole(payload: Buffer): Finding {
  const headLength = payload.readUInt32LE(1);
  const { evidence, series } = fromBinary(FindingSchema, inflate(payload.subarray(5 + headLength)));
  return Object.assign(decodeHead(payload), { evidence, series });
}

function inflate(packed: Buffer): Buffer {
  return inflateRawSync(packed, { maxOutputLength: MAX_PART_BYTES });
}

export function encodeRemoval(id: string): Buffer {
  return Buffer.concat([Buffer.from([FRAME.removal]), Buffer.from(id)]);
}

export function decodeRemoval(payload: Buffer): string {
  return payload.toString("utf8", 1);
}

export function encodeCounts({ removed, feedbackNumber }: Counts): Buffer {
  const payload = Buffer.alloc(17);
  payload.writeUInt8(FRAME.counts, 0);
  payload.writeBigUInt64LE(BigInt(removed), 1);
  payload.writeBigUInt64LE(BigInt(feedbackNumber), 9);
  return payload;
}

export function decodeCounts(payload: Buffer): Counts {
  return { removed: Number(payload.readBigUInt64LE(1)), feedbackNumber: Number(payload.readBigUInt64LE(9)) };
}
