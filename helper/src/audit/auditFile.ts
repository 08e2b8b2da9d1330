/** Walking the file of the audit log, line by line and within bounds. */
import { createReadStream } from "node:fs";
import { type AuditEntry, follows } from "@wardline/domain/audit";
import { parseEntry, platformHash } from "./auditEntry.ts";

export interface AuditScan {
  readonly entryCount: number;
  readonly last: AuditEntry | null;
  /** Sequence of the first entry that does not fit; 0 when the chain is valid. */
  readonly brokenAtSequence: number;
  /** Bytes up to and with the last line end. What follows is an entry that was never finished. */
  readonly completeBytes: number;
}

const LINE_END = 0x0a;
/** No entry is longer: its texts are bounded when it is made. */
const MAX_LINE_BYTES = 64 * 1024;

class Walk {
  entryCount = 0;
  last: AuditEntry | null = null;
  brokenAtSequence = 0;
  readonly #visit: (entry: AuditEntry) => void;

  constructor(visit: (entry: AuditEntry) => void) {
    this.#visit = visit;
  }

  line(bytes: Buffer): void {
    this.entryCount += 1;
    const entry = parseEntry(bytes.toString("utf8"));
    const fits = entry !== null && follows(entry, this.last, platformHash);
    if (!fits && this.brokenAtSequence === 0) this.brokenAtSequence = (this.last?.sequence ?? 0) + 1;
    if (!entry) return;
    this.last = entry;
    this.#visit(entry);
  }
}

/** Reads the first `sizeBytes` of the log, verifies the chain and shows every readable entry to `visit`, oldest first. */
export async function scanAuditFile(
  path: string,
  sizeBytes: number,
  visit: (entry: AuditEntry) => void,
): Promise<AuditScan> {
  const walk = new Walk(visit);
  let rest = Buffer.alloc(0);
  let completeBytes = 0;
  let skippedBytes = 0;
  if (sizeBytes > 0) {
    for await (const chunk of createReadStream(path, { end: sizeBytes - 1 })) {
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
  }
  const { entryCount, last, brokenAtSequence } = walk;
  return { entryCount, last, brokenAtSequence, completeBytes };
}
