/** What writers that a crash ended have left: nobody knows their names any more, and some hold a private key. */
import { type Dirent, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** As `replaceFile` names them. */
const LEFTOVER = /\.[0-9a-f]{12}\.(?:new|former)$/;
/** The state directory, its parts, and the certificates of the cluster. */
const DEPTH = 3;

/**
 * Removes them from a directory that nobody writes to and from those in it. What cannot be removed stays until the next
 * start; nothing is followed out of the directory.
 */
export function removeLeftovers(directory: string, depth = DEPTH): void {
  for (const entry of entriesOf(directory)) {
    const path = join(directory, entry.name);
    if (entry.isFile() && LEFTOVER.test(entry.name)) remove(path);
    if (entry.isDirectory() && depth > 1) removeLeftovers(path, depth - 1);
  }
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It costs only space.
  }
}
