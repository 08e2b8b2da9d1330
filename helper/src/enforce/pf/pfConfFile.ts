/** /etc/pf.conf: the port and the file itself. */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

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

/** Replaces `path` as a whole, on disk when it returns. Without `owner` the new file is private to this user. */
export function replaceFileSync(path: string, text: string, owner: Ownership | null = null): void {
  const temporaryPath = `${path}.wardline-new`;
  // One that a crash left behind.
  rmSync(temporaryPath, { force: true });
  try {
    const file = openSync(temporaryPath, "wx", 0o600);
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
    renameSync(temporaryPath, path);
  } catch (error) {
    rmSync(temporaryPath, { force: true });
    throw error;
  }
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}
