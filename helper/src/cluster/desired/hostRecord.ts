/** What a host keeps on its own disk about the desired set, so that a restart without the store goes on where it was. */
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { EnforcementMode } from "../../enforce/enforcer.ts";
import { isErrno, replaceFile, toWriteFailure } from "../../files/atomicFile.ts";
import { makeDirectory } from "../../files/directory.ts";

/** A set as this host had it in force. */
export interface AppliedSet {
  readonly setNumber: bigint;
  readonly setDigest: string;
  /** Of the files, as the generation's record has it: tells whether the set is what is enforced. */
  readonly stateDigest: string;
  readonly mode: EnforcementMode;
}

export interface HostRecord {
  /** True from the first set on. */
  readonly follows: boolean;
  /** Newest first; the first is what should be enforced. */
  readonly applied: readonly AppliedSet[];
  /** A set that a person on this host left: it is not put in force again. */
  readonly left: bigint;
}

export const EMPTY_RECORD: HostRecord = { follows: false, applied: [], left: 0n };

const KEPT_SETS = 8;
const MAX_BYTES = 64 * 1024;
const DIGEST = /^[0-9a-f]{64}$/;

function pathOf(stateDir: string): string {
  return join(stateDir, "cluster", "desired.json");
}

/** A record that is lost or damaged costs an apply that was not needed, and nothing else. */
export async function readHostRecord(stateDir: string): Promise<HostRecord> {
  const path = pathOf(stateDir);
  try {
    if ((await stat(path)).size > MAX_BYTES) return EMPTY_RECORD;
    return decode(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, "ENOENT")) return EMPTY_RECORD;
    throw error;
  }
}

/** Throws `Failure` DISK_FULL, INTERNAL. */
export async function writeHostRecord(stateDir: string, { follows, applied, left }: HostRecord): Promise<void> {
  const sets = applied.map((set) => ({ ...set, setNumber: set.setNumber.toString() }));
  try {
    makeDirectory(join(stateDir, "cluster"), 0o700);
    await replaceFile(pathOf(stateDir), `${JSON.stringify({ follows, applied: sets, left: left.toString() })}\n`);
  } catch (error) {
    throw toWriteFailure(error, "the record of the desired set");
  }
}

/** For a host that leaves its cluster: it is its own master again. */
export async function forgetDesiredSet(stateDir: string): Promise<void> {
  await rm(pathOf(stateDir), { force: true });
}

export function withApplied(record: HostRecord, set: AppliedSet): HostRecord {
  const others = record.applied.filter(({ setNumber }) => setNumber !== set.setNumber);
  return { follows: true, applied: [set, ...others].slice(0, KEPT_SETS), left: 0n };
}

function decode(value: unknown): HostRecord {
  if (typeof value !== "object" || value === null) return EMPTY_RECORD;
  const { follows, applied, left } = value as Record<string, unknown>;
  if (typeof follows !== "boolean" || !Array.isArray(applied)) return EMPTY_RECORD;
  return { follows, applied: applied.flatMap(decodeSet).slice(0, KEPT_SETS), left: toNumber(left) };
}

function decodeSet(value: unknown): AppliedSet[] {
  if (typeof value !== "object" || value === null) return [];
  const { setNumber, setDigest, stateDigest, mode } = value as Record<string, unknown>;
  const isWhole = isDigest(setDigest) && isDigest(stateDigest) && (mode === "enforce" || mode === "observe");
  return isWhole ? [{ setNumber: toNumber(setNumber), setDigest, stateDigest, mode }] : [];
}

function isDigest(value: unknown): value is string {
  return typeof value === "string" && DIGEST.test(value);
}

function toNumber(value: unknown): bigint {
  return typeof value === "string" && /^\d{1,20}$/.test(value) ? BigInt(value) : 0n;
}
