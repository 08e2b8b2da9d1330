/** /etc/pf.conf: the port and the file itself. */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { isErrno, NotPutBackError } from "../../files/atomicFile.ts";

export interface PfConfFile {
  /** `null` when there is no such file. Throws the error of the file system. */
  read(): string | null;
  /** The old text or the new one after a crash, never a part; owner and mode stay. Throws the error of the file system. */
  replace(text: string): void;
}

export const PF_CONF_PATH = "/etc/pf.conf";

export function pfConfFile(path: string = PF_CONF_PATH): PfConfFile {
  return {
    read() {
      try {
        return readFileSync(path, "utf8");
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
        throw error;
      }
    },
    replace(text) {
      const { mode, uid, gid } = statSync(path);
      replaceFileSync(path, text, { mode: mode & 0o7777, uid, gid });
    },
  };
}

interface Ownership {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Replaces `path` as a whole, on disk when it returns. Without `owner` the new file is private to this user. Throws the error
 * of the file system; then the former version is there, as with `replaceFile`.
 */
export function replaceFileSync(path: string, text: string, owner: Ownership | null = null): void {
  const temporaryPath = `${path}.wardline-new`;
  const formerPath = `${path}.wardline-former`;
  // What a crash left behind.
  removeAll(temporaryPath, formerPath);
  let hasFormer: boolean;
  try {
    writeSyncedSync(temporaryPath, text, owner);
    hasFormer = keepFormerSync(path, formerPath);
    renameSync(temporaryPath, path);
  } catch (error) {
    removeAll(temporaryPath, formerPath);
    throw error;
  }
  try {
    syncDirectorySync(dirname(path));
  } catch (error) {
    putBack(path, hasFormer ? formerPath : null, error);
    throw error;
  }
  removeAll(formerPath);
}

/** @param formerPath `null` = there was none */
function putBack(path: string, formerPath: string | null, error: unknown): void {
  try {
    if (formerPath === null) rmSync(path);
    else renameSync(formerPath, path);
  } catch {
    throw new NotPutBackError(path, error);
  }
}

function removeAll(...paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { force: true });
}

function writeSyncedSync(path: string, text: string, owner: Ownership | null): void {
  const file = openSync(path, "wx", 0o600);
  try {
    if (owner) {
      fchownSync(file, owner.uid, owner.gid);
      fchmodSync(file, owner.mode);
    }
    writeAll(file, Buffer.from(text));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function keepFormerSync(path: string, formerPath: string): boolean {
  try {
    linkSync(path, formerPath);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

function syncDirectorySync(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}
