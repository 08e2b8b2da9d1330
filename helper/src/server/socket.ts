/** The agent's Unix socket: made in a private directory, restricted, then renamed into place. */

import { chmodSync, chownSync, lstatSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import type { Server } from "node:net";
import { dirname, join } from "node:path";
import { makeDirectory } from "../files/directory.ts";
import { acquireFileLock, type FileLock } from "../linux/fileLock.ts";

/** A start that cannot succeed for a reason that the operator can change. */
export class StartError extends Error {}

export interface BoundSocket {
  /** Removes the socket, if it is still ours, and frees the path. Close the server first. */
  unbind(): void;
}

const MAX_SOCKET_PATH_BYTES = 107;
const SOCKET_MODE = 0o660;

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Others must not be able to put their own socket in the place of ours. */
function checkDirectory(directory: string): void {
  const { uid, mode } = statSync(directory);
  if (uid !== process.geteuid?.() && uid !== 0)
    throw new StartError(`${directory} belongs to user ${uid}, not to this agent`);
  if ((mode & 0o022) !== 0)
    throw new StartError(`${directory} can be written by others (mode ${(mode & 0o777).toString(8)})`);
}

function checkPath(path: string): void {
  const existing = lstatSync(path, { throwIfNoEntry: false });
  if (existing && !existing.isSocket()) throw new StartError(`${path} exists and is not a socket`);
}

function lockPath(path: string): FileLock {
  const lock = acquireFileLock(`${path}.lock`);
  if ("heldBy" in lock) throw new StartError(`another agent (process ${lock.heldBy}) serves ${path}`);
  return lock;
}

/** Throws {@link StartError} when a living agent has the path or the place is not safe. A dead agent's is replaced. */
export async function bindSocket(server: Server, path: string, groupId: number | null): Promise<BoundSocket> {
  const directory = dirname(path);
  makeDirectory(directory, 0o755);
  checkDirectory(directory);
  const lock = lockPath(path);
  try {
    checkPath(path);
    const privateDir = mkdtempSync(join(directory, ".w"));
    try {
      const privatePath = join(privateDir, "s");
      for (const each of [path, privatePath]) {
        if (Buffer.byteLength(each) > MAX_SOCKET_PATH_BYTES) throw new StartError(`${each} is too long for a socket`);
      }
      await listen(server, privatePath);
      chmodSync(privatePath, SOCKET_MODE);
      if (groupId !== null && process.geteuid?.() === 0) chownSync(privatePath, 0, groupId);
      renameSync(privatePath, path);
    } finally {
      rmSync(privateDir, { recursive: true, force: true });
    }
  } catch (error) {
    lock.release();
    throw error;
  }
  const { ino } = lstatSync(path);
  return {
    unbind() {
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true });
      lock.release();
    },
  };
}
