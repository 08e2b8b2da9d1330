/** A folder of this machine. Links are not followed, neither inside nor out; what is no policy is left alone. */
import { randomUUID } from "node:crypto";
import { constants, type FSWatcher, watch } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { WORKSPACE_LIMITS } from "../../policies/limits.ts";
import { canHoldPolicy, type SourceAdapter, SourceReader, type SourceState } from "./source-files.ts";

const MAX_ENTRIES = 20_000;
const MAX_DEPTH = 16;

export function folderAdapter(root: string): SourceAdapter {
  return {
    read: (signal) => readFolder(root, signal),
    async write(changes) {
      for (const [path, text] of changes) await writeFile(root, path, text);
      return "";
    },
    watch(onChange) {
      let watcher: FSWatcher | null = null;
      try {
        watcher = watch(root, { recursive: true, persistent: false }, onChange);
        // The next look says what is wrong with the folder.
        watcher.on("error", onChange);
      } catch {
        onChange();
      }
      return () => watcher?.close();
    },
  };
}

async function readFolder(root: string, signal: AbortSignal): Promise<SourceState> {
  const reader = new SourceReader();
  let entryCount = 0;
  const walk = async (folder: string, depth: number): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
      signal.throwIfAborted();
      entryCount += 1;
      if (entryCount > MAX_ENTRIES || depth > MAX_DEPTH) throw tooLarge(root);
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!entry.name.startsWith(".")) await walk(path, depth + 1);
      } else if (!canHoldPolicy(path)) continue;
      else if (!entry.isFile()) reader.leaveOut();
      else await readInto(reader, root, path);
    }
  };
  try {
    // The folder itself may be a link that the person chose; nothing below it is.
    await walk("", 0);
  } catch (error) {
    throw folderFailure(root, error);
  }
  return { files: reader.files, leftOutCount: reader.leftOutCount, revision: "", revisionText: "" };
}

async function readInto(reader: SourceReader, root: string, path: string): Promise<void> {
  // What has become a link since the folder was listed is not opened either.
  const file = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => null,
  );
  if (!file) return reader.leaveOut();
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > WORKSPACE_LIMITS.fileSizeBytes) return reader.leaveOut();
    const buffer = Buffer.alloc(WORKSPACE_LIMITS.fileSizeBytes + 1);
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, size, buffer.length - size, size);
      size += bytesRead;
      if (bytesRead === 0 || size === buffer.length) break;
    }
    reader.add(path, buffer.subarray(0, size));
  } finally {
    await file.close();
  }
}

/** Whole or not at all; every folder on the way is a real one. */
async function writeFile(root: string, path: string, text: string | null): Promise<void> {
  const target = join(root, path);
  try {
    let folder = root;
    for (const part of dirname(path).split("/")) {
      if (part === ".") continue;
      folder = join(folder, part);
      const stats = await lstat(folder).catch(() => null);
      if (!stats) await mkdir(folder);
      else if (!stats.isDirectory()) throw linked(folder);
    }
    const stats = await lstat(target).catch(() => null);
    if (stats && !stats.isFile()) throw linked(target);
    if (text === null) return await rm(target, { force: true });
    const partial = join(dirname(target), `.wardline-${randomUUID()}`);
    const file = await open(partial, "wx", stats ? stats.mode & 0o777 : 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, target);
  } catch (error) {
    throw folderFailure(root, error);
  }
}

function linked(path: string): Failure {
  return new Failure({
    code: ErrorCode.PERMISSION_DENIED,
    message: `${path} is a link or no regular file; it is not written through.`,
  });
}

function tooLarge(root: string): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `${root} has more than ${MAX_ENTRIES.toLocaleString("en")} files, or more than ${MAX_DEPTH} folders inside each other.`,
    hint: "Watch the folder that holds the policies, not one above it.",
  });
}

function folderFailure(root: string, error: unknown): unknown {
  if (error instanceof Failure || (error instanceof Error && error.name === "AbortError")) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "") return error;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  const isGone = code === "ENOENT" || code === "ENOTDIR";
  return new Failure({
    code: isFull ? ErrorCode.DISK_FULL : isGone ? ErrorCode.NOT_FOUND : ErrorCode.PERMISSION_DENIED,
    message: isGone ? `There is no folder ${root} any more.` : `${root} cannot be read or written (${code}).`,
    retryable: true,
  });
}
