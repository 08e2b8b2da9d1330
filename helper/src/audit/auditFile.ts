/** Walking one file of the audit log, line by line and within bounds. */
import { createReadStream } from "node:fs";
import { type AuditEntry, type AuditPlace, follows, readCut } from "@wardline/domain/audit";
import { isErrno } from "../files/atomicFile.ts";
import { parseEntry, platformHash } from "./auditEntry.ts";

export interface AuditScan {
  readonly entryCount: number;
  readonly first: AuditEntry | null;
  readonly last: AuditEntry | null;
  /** Sequence of the first entry that does not fit; 0 when the chain is valid. */
  readonly brokenAtSequence: number;
  /** Bytes up to and with the last line end. What follows is an entry that was never finished. */
  readonly completeBytes: number;
  /** What the newest statement in it says was removed from the log. */
  readonly cut: AuditPlace | null;
}

export interface ScanRange {
  readonly path: string;
  /** Only so much of the file is read. */
  readonly sizeBytes: number;
  /** What its first entry has to follow; `null` = nothing, `undefined` = whatever it says itself. */
  readonly before: AuditPlace | null | undefined;
  readonly signal?: AbortSignal;
}

const LINE_END = 0x0a;
/** No entry is longer: its texts are bounded when it is made. */
const MAX_LINE_BYTES = 64 * 1024;

class Walk {
  entryCount = 0;
  first: AuditEntry | null = null;
  last: AuditEntry | null = null;
  cut: AuditPlace | null = null;
  brokenAtSequence = 0;
  #before: AuditPlace | null | undefined;
  readonly #visit: (entry: AuditEntry) => void;

  constructor(before: AuditPlace | null | undefined, visit: (entry: AuditEntry) => void) {
    this.#before = before;
    this.#visit = visit;
  }

  line(bytes: Buffer): void {
    this.entryCount += 1;
    const entry = parseEntry(bytes.toString("utf8"));
    const fits = entry !== null && follows(entry, this.#placeBefore(entry), platformHash);
    if (!fits && this.brokenAtSequence === 0) this.brokenAtSequence = (this.#before?.sequence ?? 0) + 1;
    if (!entry) return;
    this.first ??= entry;
    this.last = entry;
    this.#before = entry;
    if (fits) this.cut = readCut(entry) ?? this.cut;
    this.#visit(entry);
  }

  #placeBefore({ sequence, previousHash }: AuditEntry): AuditPlace | null {
    if (this.#before !== undefined) return this.#before;
    return sequence > 1 ? { sequence: sequence - 1, hash: previousHash } : null;
  }
}

/**
 * Verifies the chain of a file and shows every readable entry to `visit`, oldest first. A file that is not there has no
 * entries. Throws the errors of the file system, and that of the signal.
 */
export async function scanAuditFile(range: ScanRange, visit: (entry: AuditEntry) => void): Promise<AuditScan> {
  const walk = new Walk(range.before, visit);
  let completeBytes = 0;
  try {
    completeBytes = await walkLines(range, walk);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  const { entryCount, first, last, cut, brokenAtSequence } = walk;
  return { entryCount, first, last, cut, brokenAtSequence, completeBytes };
}

async function walkLines({ path, sizeBytes, signal }: ScanRange, walk: Walk): Promise<number> {
  let rest = Buffer.alloc(0);
  let completeBytes = 0;
  let skippedBytes = 0;
  if (sizeBytes === 0) return 0;
  for await (const chunk of createReadStream(path, { end: sizeBytes - 1, ...(signal ? { signal } : {}) })) {
    if (!(chunk instanceof Buffer)) continue;
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END)) {
      walk.line(bytes.subarray(0, end));
      completeBytes += skippedBytes + end + 1;
      skippedBytes = 0;
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > MAX_LINE_BYTES) {
      // No entry of ours. The chain is broken here, which is said; it must not keep the agent from starting.
      walk.line(bytes);
      skippedBytes += bytes.length;
      bytes = Buffer.alloc(0);
    }
    rest = Buffer.from(bytes);
  }
  return completeBytes;
}
