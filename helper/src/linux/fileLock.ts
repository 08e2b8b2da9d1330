import { closeSync, constants, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { tryLockFile } from "./ffi/libc.ts";

export interface FileLock {
  release(): void;
}

/** Process id written by the holder of a lock, for messages only. */
function readHolder(fileDescriptor: number): string {
  const text = Buffer.alloc(32);
  return text.toString("utf8", 0, readSync(fileDescriptor, text, 0, text.length, 0)).trim();
}

/**
 * Locks `path` for the life of this process. The kernel drops the lock when the process dies, however it dies, so a
 * stale file never blocks a start. Returns the process id of the holder (as text) when the lock is taken.
 */
export function acquireFileLock(path: string): FileLock | { readonly heldBy: string } {
  // O_NOFOLLOW: the directory may be one that others can write to in development.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const fileDescriptor = openSync(path, flags, 0o600);
  if (!tryLockFile(fileDescriptor)) {
    const heldBy = readHolder(fileDescriptor);
    closeSync(fileDescriptor);
    return { heldBy };
  }
  try {
    ftruncateSync(fileDescriptor, 0);
    writeSync(fileDescriptor, `${process.pid}\n`, 0);
  } catch {
    // A full disk must not keep the agent from starting: the lock holds without its text.
  }
  return { release: () => closeSync(fileDescriptor) };
}
