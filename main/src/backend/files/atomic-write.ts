import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * The old text or the new one, whatever happens in between: written beside the file, flushed, renamed over it. Only its
 * owner may read it. Where the name is a link, the file that it leads to is replaced and the link stays.
 * @throws what the system says (ENOSPC, EACCES, …); then the file is as it was
 */
export function writeAtomically(path: string, text: string | Uint8Array): void {
  const target = realPath(path);
  const temporary = `${target}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`;
  const content = typeof text === "string" ? Buffer.from(text) : text;
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      for (let offset = 0; offset < content.length; ) offset += writeSync(file, content, offset);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  flushDirectory(dirname(target));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** A rename lasts once its directory is on the disk. */
function flushDirectory(dir: string): void {
  try {
    const handle = openSync(dir, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Some file systems do not know it; the rename itself is made.
  }
}
