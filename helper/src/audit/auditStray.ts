/**
 * An older agent knows one file for its log, beside the directory. Started again after that file was taken in, it begins a
 * new log there. It is no part of this chain and cannot become one, but it is evidence: it is kept in the directory as it is.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AuditContent } from "@wardline/domain/audit";
import { syncDirectory } from "../files/atomicFile.ts";
import { automatic } from "./auditEntry.ts";

/**
 * States such a log with its hash, then moves it into the directory; a crash in between states it twice. Where that fails,
 * or there is none, everything stays until the next start.
 * @param append writes an entry, or throws
 */
export async function setAside(directory: string, append: (content: AuditContent) => Promise<void>): Promise<void> {
  const path = `${directory}.ndjson`;
  try {
    const stat = await lstat(path);
    if (!stat.isFile()) return;
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path)) hash.update(chunk);
    const argumentDigest = hash.digest("hex");
    const name = `aside-${argumentDigest.slice(0, 16)}.ndjson`;
    const detail = `an older agent wrote a log of its own meanwhile: its ${stat.size} bytes are kept as ${name}`;
    await append({ ...automatic("audit.aside", detail), argumentDigest });
    await rename(path, join(directory, name));
    await syncDirectory(directory);
    await syncDirectory(dirname(directory));
  } catch {
    // What is enforced does not wait for it.
  }
}
