/** Files that are either the old or the new version after a crash or a full disk, never a part of one. */
import { randomBytes } from "node:crypto";
import { constants, copyFile, type FileHandle, link, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";

const FULL = new Set(["ENOSPC", "EDQUOT"]);
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

/** The new version of a file is in its place although the call failed, and perhaps not after a power cut. */
export class NotPutBackError extends Error {
  constructor(path: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`${path} was replaced, but may not stay so (${reason}), and could not be put back`, { cause });
  }
}

export function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code);
}

/** The expected failure for an error of a write below the state directory. */
export function toWriteFailure(error: unknown, what: string): Failure {
  if (error instanceof Failure) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const isFull = error instanceof Error && "code" in error && FULL.has(String(error.code));
  return new Failure(
    {
      code: isFull ? ErrorCode.DISK_FULL : ErrorCode.INTERNAL,
      message: isFull
        ? `The disk with the agent's state directory is full: ${what} could not be written.`
        : `${what} could not be written: ${reason}.`,
      hint: isFull ? "Free some space on the host and try again. What is enforced did not change." : "",
      retryable: isFull,
    },
    { cause: error },
  );
}

/** Writes all of it: a disk that fills up takes a part of a write without an error, and refuses the next. */
export async function writeFully(handle: FileHandle, data: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await handle.write(data, done, data.length - done, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error("nothing more could be written"), { code: "ENOSPC" });
    done += bytesWritten;
  }
}

/** Makes a rename or an unlink in `directory` survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a new file (mode 0600), on disk when it returns. Its name is only as durable as its directory is. */
export async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits for all of it, whatever fails. Throws what the first of those threw that failed. */
export async function allDone(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}

/**
 * Replaces `path` (mode 0600) with `text`, on disk when it returns. `needed`: what has to be on disk before the new version
 * may be seen; it becomes so meanwhile. Throws the error of the file system, or what `needed` throws; then the former
 * version is there, or none where there was none. Throws {@link NotPutBackError} when the new one is there all the same.
 *
 * Of a disk that refuses to make a name stay nobody knows what it shows after a power cut: until then the former version
 * counts, so that who was refused may go on with it.
 */
export async function replaceFile(path: string, text: string, needed: Promise<unknown> | null = null): Promise<void> {
  const mark = randomBytes(6).toString("hex");
  const temporaryPath = `${path}.${mark}.new`;
  const formerPath = `${path}.${mark}.former`;
  const removeBoth = () => Promise.allSettled([temporaryPath, formerPath].map((each) => rm(each, { force: true })));
  let hasFormer: boolean;
  try {
    await allDone([...(needed === null ? [] : [needed]), writeSynced(temporaryPath, text)]);
    hasFormer = await keepFormer(path, formerPath);
    await rename(temporaryPath, path);
  } catch (error) {
    await removeBoth();
    throw error;
  }
  try {
    await syncDirectory(dirname(path));
  } catch (error) {
    try {
      await (hasFormer ? rename(formerPath, path) : rm(path));
    } catch {
      throw new NotPutBackError(path, error);
    }
    throw error;
  }
  if (hasFormer) await rm(formerPath, { force: true }).catch(() => undefined);
}

/** A second name for what is there, so that it can come back. False when there is nothing. */
async function keepFormer(path: string, formerPath: string): Promise<boolean> {
  try {
    await link(path, formerPath);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    if (!isErrno(error, ...NO_LINKS)) throw error;
    // A file system without hard links.
    await copyFile(path, formerPath, constants.COPYFILE_EXCL);
    return true;
  }
}
