/**
 * The file of findings: frames that are only ever appended, each with its length and checksum, and now and then the whole
 * written anew. A frame that a crash cut off at the end is not there; anything else that does not check is damage.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { syncDirectory } from "../files/atomicFile.ts";

export interface Place {
  /** Of the payload. */
  readonly offset: number;
  readonly length: number;
}

export interface Frame extends Place {
  readonly payload: Buffer;
}

const MAGIC = Buffer.from("WLFINDS1");
export const FRAME_HEAD_BYTES = 8;
/** One finding is far smaller. */
export const MAX_FRAME_BYTES = 512 * 1024;
const READ_BYTES = 1024 * 1024;

export class FindingFile {
  readonly path: string;
  #handle: FileHandle;
  #sizeBytes: number;

  private constructor(path: string, handle: FileHandle, sizeBytes: number) {
    this.path = path;
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Hands every frame to `onFrame`, oldest first. Returns where damage begins, or `null`; what comes before it was handed
   * out. Throws the error of the file system.
   */
  static async open(
    path: string,
    onFrame: (frame: Frame) => void,
  ): Promise<{ file: FindingFile; damagedAt: number | null }> {
    await rm(`${path}.new`, { force: true });
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const { size } = await handle.stat();
      if (size === 0) {
        await handle.write(MAGIC, 0, MAGIC.length, 0);
        await handle.sync();
        await syncDirectory(dirname(path));
        return { file: new FindingFile(path, handle, MAGIC.length), damagedAt: null };
      }
      const { end, isTorn } = await readFrames(handle, size, onFrame);
      if (end < size && !isTorn) return { file: new FindingFile(path, handle, end), damagedAt: end };
      if (end < size) await handle.truncate(Math.max(end, MAGIC.length));
      if (end < MAGIC.length) await handle.write(MAGIC, 0, MAGIC.length, 0);
      return { file: new FindingFile(path, handle, Math.max(end, MAGIC.length)), damagedAt: null };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** On disk when it returns: all of them, or after a crash a part of them. */
  async append(payloads: readonly Buffer[]): Promise<Place[]> {
    const start = this.#sizeBytes;
    const { bytes, places } = framesOf(payloads, start);
    try {
      await writeAll(this.#handle, bytes, start);
      await this.#handle.datasync();
    } catch (error) {
      // A part of it would stand in the way of the next frame.
      await this.#handle.truncate(start).catch(() => undefined);
      throw error;
    }
    this.#sizeBytes += bytes.length;
    return places;
  }

  async read({ offset, length }: Place): Promise<Buffer> {
    const payload = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#handle.read(payload, 0, length, offset);
    if (bytesRead !== length) throw new Error("the file of findings is shorter than it was");
    return payload;
  }

  /** Replaces the whole by these payloads, in pieces. Until it returns the file is the old one. */
  async rewrite(payloads: AsyncIterable<Buffer>): Promise<Place[]> {
    const temporaryPath = `${this.path}.new`;
    await rm(temporaryPath, { force: true });
    const handle = await open(temporaryPath, "wx+", 0o600);
    try {
      await handle.write(MAGIC, 0, MAGIC.length, 0);
      let size = MAGIC.length;
      const places: Place[] = [];
      for await (const payload of payloads) {
        const framed = framesOf([payload], size);
        await writeAll(handle, framed.bytes, size);
        size += framed.bytes.length;
        places.push(...framed.places);
      }
      await handle.sync();
      await rename(temporaryPath, this.path);
      await syncDirectory(dirname(this.path));
      await this.#handle.close();
      this.#handle = handle;
      this.#sizeBytes = size;
      return places;
    } catch (error) {
      await handle.close();
      await rm(temporaryPath, { force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function framesOf(payloads: readonly Buffer[], start: number): { bytes: Buffer; places: Place[] } {
  const parts: Buffer[] = [];
  const places: Place[] = [];
  let offset = start;
  for (const payload of payloads) {
    const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
    head.writeUInt32LE(payload.length, 0);
    head.writeUInt32LE(crc32(payload), 4);
    parts.push(head, payload);
    places.push({ offset: offset + FRAME_HEAD_BYTES, length: payload.length });
    offset += FRAME_HEAD_BYTES + payload.length;
  }
  return { bytes: Buffer.concat(parts), places };
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    if (bytesWritten === 0) throw Object.assign(new Error("nothing was written"), { code: "ENOSPC" });
    written += bytesWritten;
  }
}

/** `end`: behind the last whole frame. `isTorn`: what comes after it can be the rest of a write that did not end. */
async function readFrames(
  handle: FileHandle,
  size: number,
  onFrame: (frame: Frame) => void,
): Promise<{ end: number; isTorn: boolean }> {
  const magic = Buffer.alloc(MAGIC.length);
  const { bytesRead } = await handle.read(magic, 0, MAGIC.length, 0);
  if (bytesRead < MAGIC.length) return { end: 0, isTorn: true };
  if (!magic.equals(MAGIC)) return { end: 0, isTorn: false };
  let end = MAGIC.length;
  let buffered = Buffer.alloc(0);
  while (end < size) {
    const needed = buffered.length < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + buffered.readUInt32LE(0);
    if (buffered.length >= FRAME_HEAD_BYTES && needed > FRAME_HEAD_BYTES + MAX_FRAME_BYTES)
      return { end, isTorn: false };
    if (buffered.length < needed) {
      const from = end + buffered.length;
      if (from >= size) return { end, isTorn: true };
      const more = Buffer.allocUnsafe(Math.min(READ_BYTES, size - from));
      const read = await handle.read(more, 0, more.length, from);
      if (read.bytesRead === 0) return { end, isTorn: true };
      buffered = Buffer.concat([buffered, more.subarray(0, read.bytesRead)]);
      continue;
    }
    const payload = Buffer.from(buffered.subarray(FRAME_HEAD_BYTES, needed));
    if (crc32(payload) !== buffered.readUInt32LE(4)) {
      // Blocks of the last write that never reached the disk read as zeros.
      return { end, isTorn: end + needed >= size || isBlank(payload) };
    }
    onFrame({ offset: end + FRAME_HEAD_BYTES, length: payload.length, payload });
    end += needed;
    buffered = buffered.subarray(needed);
  }
  return { end, isTorn: false };
}

function isBlank(payload: Buffer): boolean {
  return payload.every((byte) => byte === 0);
}
