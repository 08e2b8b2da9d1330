/** Adds a key to a file of known hosts, beside whatever else writes it. */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { errorCode } from "../config/config-files.ts";
import type { PublicKey } from "../keys/public-key.ts";
import { hashedName } from "./known-hosts-file.ts";

/**
 * One `write` at the end, so that lines of other programs stay whole and none is lost; an existing file keeps owner,
 * mode and what it is a link to.
 *
 * @param name as `knownHostName` or an alias
 * @throws Failure PERMISSION_DENIED, DISK_FULL, INTERNAL; then the file is as it was
 */
export async function appendKnownHost(path: string, name: string, key: PublicKey, isHashed: boolean): Promise<void> {
  const host = isHashed ? hashedName(name, randomBytes(20)) : name;
  const line = `${host} ${key.type} ${key.blob.toString("base64")}\n`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600);
    try {
      await append(handle, line);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw writeFailure(path, error);
  }
}

async function append(handle: FileHandle, line: string): Promise<void> {
  const { size } = await handle.stat();
  const bytes = Buffer.from((await endsInLine(handle, size)) ? line : `\n${line}`);
  const { bytesWritten } = await handle.write(bytes);
  if (bytesWritten === bytes.length) {
    await handle.sync();
    return;
  }
  // A full disk took part of the line.
  await handle.truncate(size);
  throw Object.assign(new Error("only a part could be written"), { code: "ENOSPC" });
}

async function endsInLine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === 0x0a;
}

function writeFailure(path: string, error: unknown): Failure {
  const code = errorCode(error);
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  const isRefused = code === "EACCES" || code === "EPERM" || code === "EROFS";
  return new Failure(
    {
      code: isFull ? ErrorCode.DISK_FULL : isRefused ? ErrorCode.PERMISSION_DENIED : ErrorCode.INTERNAL,
      message: `The key was not written to ${path} (${code}).`,
      hint: isFull ? "Make room on the disk." : "Make the file writable for you, or name another UserKnownHostsFile.",
    },
    { cause: error },
  );
}
