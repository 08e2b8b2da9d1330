/** Writes changed texts back to their files, each whole or not at all. */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";

export interface TextChange {
  readonly path: string;
  /** What the file held when it was read, without a byte order mark. */
  readonly text: string;
  readonly newText: string;
}

const BYTE_ORDER_MARK = "\uFEFF";

/**
 * Replaces each file by one with the new text, through links, with mode and owner kept; a byte order mark stays.
 * @throws Failure REVISION_CONFLICT when a file no longer holds what was read, PERMISSION_DENIED, DISK_FULL
 */
export function writeTexts(changes: readonly TextChange[]): void {
  for (const change of changes) writeText(change);
}

function writeText({ path, text, newText }: TextChange): void {
  try {
    const target = realpathSync(path);
    const present = readFileSync(target, "utf8");
    const mark = present.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : "";
    if (present !== mark + text) {
      const message = `${path} was changed by something else meanwhile, so it was not written.`;
      throw new Failure({ code: ErrorCode.REVISION_CONFLICT, message, hint: "Check it again." });
    }
    replaceFile(target, mark + newText);
  } catch (error) {
    throw error instanceof Failure ? error : cannotWrite(path, error);
  }
}

/** In the same folder, because a rename works within one file system only. */
function replaceFile(target: string, text: string): void {
  const { mode, uid, gid } = statSync(target);
  const partialPath = join(dirname(target), `.wardline-${randomUUID()}.partial`);
  const descriptor = openSync(partialPath, "wx", 0o600);
  try {
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      const own = statSync(partialPath);
      if (own.uid !== uid || own.gid !== gid) fchownSync(descriptor, uid, gid);
      fchmodSync(descriptor, mode & 0o7777);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(partialPath, target);
  } catch (error) {
    rmSync(partialPath, { force: true });
    throw error;
  }
}

function cannotWrite(path: string, error: unknown): Failure {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new Failure({ code: ErrorCode.PERMISSION_DENIED, message: `You may not write ${path}.` }, { cause: error });
  }
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return new Failure(
    {
      code: isFull ? ErrorCode.DISK_FULL : ErrorCode.INVALID_ARGUMENT,
      message: `${path} cannot be written (${code}).`,
    },
    { cause: error },
  );
}
