/**
 * The files of the audit log. Each is named after the sequence of its first entry, so their order needs no index, and a new
 * one begins with a single step: its first entry, which carries the hash of the last one in the file before.
 */
import { existsSync } from "node:fs";
import { open, readdir, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AuditEntry } from "@wardline/domain/audit";
import { isErrno, syncDirectory } from "../files/atomicFile.ts";
import { makeDirectory } from "../files/directory.ts";
import { parseEntry } from "./auditEntry.ts";

/** Longer than any first line that the agent writes. */
const HEAD_BYTES = 64 * 1024;
const NAME = /^(\d{16})\.ndjson$/;

export interface AuditLimits {
  /** Of all files together; whole files are removed, oldest first, before it is exceeded. */
  readonly maxBytes: number;
  /** A file is removed when its newest entry is older. The one that is written stays. */
  readonly maxAgeMs: number;
  /** A file takes no entry beyond this size. */
  readonly segmentBytes: number;
}

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;

/** Limits for so much space and time; a file is a 64th of the space, 1 to 16 MiB. */
export function auditLimits(sizeMib: number, days: number): AuditLimits {
  const segmentBytes = Math.min(16 * MIB, Math.max(MIB, Math.floor((sizeMib * MIB) / 64)));
  return { maxBytes: sizeMib * MIB, maxAgeMs: days * DAY_MS, segmentBytes };
}

export const DEFAULT_AUDIT_LIMITS = auditLimits(256, 730);

export function segmentPath(directory: string, firstSequence: number): string {
  return join(directory, `${String(firstSequence).padStart(16, "0")}.ndjson`);
}

/** Sequence of the first entry of a file, by its name. */
export function firstSequenceOf(path: string): number {
  return Number(/(\d{16})\.ndjson$/.exec(path)?.[1] ?? 0);
}

/** Paths, oldest first. Makes the directory (mode 0700) and takes in the single file that agents wrote before there were several. */
export async function openSegments(directory: string): Promise<string[]> {
  makeDirectory(directory, 0o700);
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  if (names.length > 0) return names.map((name) => join(directory, name));
  const former = `${directory}.ndjson`;
  if (!existsSync(former)) return [];
  const path = segmentPath(directory, 1);
  await rename(former, path);
  await syncDirectory(directory);
  await syncDirectory(dirname(directory));
  return [path];
}

/** The first entry of a file; `null` = none can be read there. */
export async function readFirstEntry(path: string): Promise<AuditEntry | null> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      const end = buffer.subarray(0, bytesRead).indexOf(0x0a);
      return end < 0 ? null : parseEntry(buffer.subarray(0, end).toString("utf8"));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    throw error;
  }
}

export interface SegmentStat {
  readonly sizeBytes: number;
  /** Another one as soon as anything of the file was touched; empty = it is not there. */
  readonly fingerprint: string;
}

export async function statSegment(path: string): Promise<SegmentStat> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return { sizeBytes: Number(size), fingerprint: [ino, size, mtimeNs, ctimeNs].join(":") };
  } catch (error) {
    if (isErrno(error, "ENOENT")) return { sizeBytes: 0, fingerprint: "" };
    throw error;
  }
}
