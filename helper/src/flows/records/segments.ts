/** The files of a journal: which there are, opened whole or made whole, removed when they are too many or too old. */
import { chmod, type FileHandle, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory, writeFully } from "../../files/atomicFile.ts";
import { decodeFrameHeader, decodeSegmentHeader, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from "./frames.ts";
import { type SegmentScan, salvage, scanSegment } from "./segmentScan.ts";

const SUFFIX = ".records";
const DAMAGED = ".damaged";
/** Of the files that were moved aside, so many are kept for whoever wants to know. */
const KEPT_DAMAGED = 3;

export interface Segment {
  readonly path: string;
  /** Sequences of its first and last batch; the last is below the first while it is empty. */
  firstSequence: bigint;
  lastSequence: bigint;
  /** Whole frames end here; readers go no further. */
  sizeBytes: number;
  readonly createdMs: number;
  /** When its first and last batch were sealed; 0 while it is empty. */
  oldestMs: number;
  newestMs: number;
}

export interface Damage {
  readonly path: string;
  /** Where what was damaged is now; empty when nothing is kept of it. */
  readonly movedTo: string;
  readonly what: string;
}

export function segmentPath(directory: string, firstSequence: bigint): string {
  return join(directory, `${firstSequence.toString().padStart(20, "0")}${SUFFIX}`);
}

export interface OpenedSegments {
  readonly segments: Segment[];
  readonly damages: readonly Damage[];
  /** Of the newest segment that there is, whole or not. */
  readonly journalId: string | null;
  readonly lastWindowEndMs: number;
}

/**
 * Looks at the segments of a directory. Only the newest is read whole: the others were whole when they were left, and are
 * checked again when they are read. `expectedId`: what belongs to another journal is moved aside; `null` = the newest's id.
 */
export async function openSegments(directory: string, expectedId: string | null): Promise<OpenedSegments> {
  const names = (await readdir(directory)).filter((name) => /^\d{20}\.records$/.test(name)).sort();
  const heads = await Promise.all(names.map((name) => readHead(join(directory, name))));
  const journalId = expectedId ?? heads.findLast((head) => head !== null)?.journalId ?? null;
  const damages: Damage[] = [];
  const segments: Segment[] = [];
  let lastWindowEndMs = 0;
  for (const [position, name] of names.entries()) {
    const path = join(directory, name);
    const head = heads[position];
    const isLast = position === names.length - 1;
    if (head === null && isLast && (await stat(path)).size <= SEGMENT_HEADER_BYTES) {
      // Its making did not come to an end: nothing was ever in it.
      await rm(path);
      continue;
    }
    if (!head || head.journalId !== journalId) {
      damages.push(await moveAside(path, head ? "it belongs to another journal" : "its beginning is damaged"));
      continue;
    }
    const previous = segments.at(-1);
    if (previous && previous.lastSequence < 0n) previous.lastSequence = head.firstSequence - 1n;
    if (!isLast) {
      if (head.oldestMs > 0) segments.push({ ...head, path, lastSequence: -1n });
      else await rm(path);
      continue;
    }
    const { segment, damage, windowEndMs } = await openLast(path, head.createdMs);
    if (damage !== null) damages.push(damage);
    if (segment !== null) segments.push(segment);
    lastWindowEndMs = windowEndMs;
  }
  await finishLengths(segments, damages);
  await forgetDamaged(directory);
  return { segments, damages, journalId, lastWindowEndMs };
}

interface Head {
  readonly journalId: string;
  readonly firstSequence: bigint;
  readonly createdMs: number;
  readonly oldestMs: number;
  readonly newestMs: number;
  readonly sizeBytes: number;
}

async function readHead(path: string): Promise<Head | null> {
  const handle = await open(path, "r");
  try {
    const buffer = Buffer.alloc(SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    const bytes = buffer.subarray(0, bytesRead);
    const header = decodeSegmentHeader(bytes);
    if (header === null) return null;
    const first = decodeFrameHeader(bytes, SEGMENT_HEADER_BYTES);
    const { size, mtimeMs } = await handle.stat();
    const oldestMs = first?.sealedMs ?? (size > SEGMENT_HEADER_BYTES ? header.createdMs : 0);
    return { ...header, oldestMs, newestMs: Math.max(oldestMs, mtimeMs), sizeBytes: size };
  } finally {
    await handle.close();
  }
}

/** A last segment that was moved aside leaves its predecessor without a known end: that is read too. */
async function finishLengths(segments: Segment[], damages: Damage[]): Promise<void> {
  const last = segments.at(-1);
  if (!last || last.lastSequence >= 0n) return;
  segments.pop();
  const { segment, damage } = await openLast(last.path, last.createdMs);
  if (damage !== null) damages.push(damage);
  if (segment !== null) segments.push(segment);
}

interface OpenedLast {
  readonly segment: Segment | null;
  readonly damage: Damage | null;
  readonly windowEndMs: number;
}

/** Cuts a torn tail, which nobody was given; what was damaged otherwise is kept beside what could be saved of it. */
async function openLast(path: string, createdMs: number): Promise<OpenedLast> {
  const bytes = await readFile(path);
  const scan = scanSegment(bytes);
  const damage = scan.hasHole ? await repair(path, bytes, scan) : null;
  const last = scan.frames.at(-1)?.header;
  if (!scan.hasHole && scan.endOffset < bytes.length) await truncateFile(path, scan.endOffset);
  const sizeBytes = scan.hasHole ? salvage(bytes, scan).length : scan.endOffset;
  const segment = scan.header === null ? null : describe(path, scan, sizeBytes, createdMs);
  return { segment, damage, windowEndMs: last?.windowEndMs ?? 0 };
}

function describe(path: string, { header, frames }: SegmentScan, sizeBytes: number, createdMs: number): Segment {
  const [first, last] = [frames[0]?.header, frames.at(-1)?.header];
  const firstSequence = first?.sequence ?? header?.firstSequence ?? 0n;
  return {
    path,
    firstSequence,
    lastSequence: last?.sequence ?? firstSequence - 1n,
    sizeBytes,
    createdMs,
    oldestMs: first?.sealedMs ?? 0,
    newestMs: last?.sealedMs ?? 0,
  };
}

async function truncateFile(path: string, sizeBytes: number): Promise<void> {
  const handle = await open(path, "r+");
  try {
    await handle.truncate(sizeBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Puts what is whole of a damaged segment in its place. */
async function repair(path: string, bytes: Buffer, scan: SegmentScan): Promise<Damage> {
  const temporary = `${path}.new`;
  await writeFile(temporary, salvage(bytes, scan), { mode: 0o600, flush: true });
  const damage = await moveAside(path, "a part of it is damaged");
  await rename(temporary, path);
  await syncDirectory(join(path, ".."));
  return damage;
}

async function moveAside(path: string, what: string): Promise<Damage> {
  const movedTo = `${path}${DAMAGED}`;
  await rename(path, movedTo);
  return { path, movedTo, what };
}

/** A segment that a reader found damaged: what is whole of it, `null` when nothing is. */
export async function repairSegment(segment: Segment): Promise<{ segment: Segment | null; damage: Damage }> {
  const whole = await readFile(segment.path);
  const bytes = whole.subarray(0, segment.sizeBytes);
  const scan = scanSegment(bytes);
  if (scan.frames.length === 0) return { segment: null, damage: await moveAside(segment.path, "it is damaged") };
  const damage = await repair(segment.path, bytes, scan);
  return { segment: describe(segment.path, scan, salvage(bytes, scan).length, segment.createdMs), damage };
}

/** The oldest beyond what is kept, and what a crash left half-made. */
export async function forgetDamaged(directory: string): Promise<void> {
  const names = await readdir(directory);
  const damaged = names.filter((name) => name.endsWith(DAMAGED)).sort();
  const unfinished = names.filter((name) => name.endsWith(`${SUFFIX}.new`));
  for (const name of [...damaged.slice(0, -KEPT_DAMAGED), ...unfinished]) await rm(join(directory, name));
}

/** Readable by nobody else, whatever the umask says. */
export async function createSegment(path: string, header: Buffer): Promise<FileHandle> {
  const handle = await open(path, "w+", 0o600);
  try {
    await chmod(path, 0o600);
    await writeFully(handle, header, 0);
    await handle.sync();
    await syncDirectory(join(path, ".."));
    return handle;
  } catch (error) {
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
}
