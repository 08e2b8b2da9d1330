/**
 * How much of each living flow the journal has, kept beside it: without that a restart in the middle of a connection would
 * count its past again. Each group of batches has a block here, written before it; blocks of groups that never reached the
 * journal are left out when the file is read, so that both say the same after a crash at any moment.
 */
import { type FileHandle, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { EventLosses } from "../../enforce/enforcer.ts";
import { syncDirectory, writeFully } from "../../files/atomicFile.ts";
import type { BaselineChanges, BaselineRow } from "./flowBaselines.ts";

const HEADER_BYTES = 8;
/** Written anew when it has grown to so many times what it says. */
const GROWTH = 4;
const MIN_REWRITE_BYTES = 512 * 1024;
const MAX_FILE_BYTES = 512 * 1024 * 1024;

interface Block {
  /** Last sequence of the group; of a rewritten file, of the last group that was put together. */
  readonly sequence: string;
  readonly bootId: string;
  /** Of the enforcer, since its programs were loaded, up to this group. */
  readonly losses: readonly [string, string, string];
  readonly removed: readonly string[];
  readonly set: readonly BaselineRow[];
}

export interface RestoredProgress {
  readonly rows: Map<string, BaselineRow>;
  readonly losses: EventLosses;
}

export class ProgressFile {
  readonly #path: string;
  readonly #bootId: string;
  #handle: FileHandle | null = null;
  #sizeBytes: number;
  #rewriteAtBytes: number;

  private constructor(path: string, bootId: string, sizeBytes: number) {
    this.#path = path;
    this.#bootId = bootId;
    this.#sizeBytes = sizeBytes;
    this.#rewriteAtBytes = Math.max(MIN_REWRITE_BYTES, sizeBytes * GROWTH);
  }

  /**
   * `lastSequence`: of the journal. Restored is `null` when nothing is known: no file, a damaged one, or one that does not
   * go as far as the journal. After a reboot there are no flows from before: then it is empty.
   */
  static async open(
    path: string,
    bootId: string,
    lastSequence: bigint,
  ): Promise<{ readonly file: ProgressFile; readonly restored: RestoredProgress | null }> {
    const found = await readBlocks(path, lastSequence).catch(() => null);
    if (found === null) return { file: new ProgressFile(path, bootId, 0), restored: null };
    const { blocks, endOffset } = found;
    const restored = fold(blocks, bootId);
    return { file: new ProgressFile(path, bootId, endOffset), restored };
  }

  /** On disk when it returns. Throws the error of the file system. */
  async append(sequence: bigint, { removed, set }: BaselineChanges, losses: EventLosses): Promise<void> {
    const block = encodeBlock({
      ...{ sequence: String(sequence), bootId: this.#bootId, removed, set },
      losses: [String(losses.ringFull), String(losses.rateLimited), String(losses.notFollowed)],
    });
    // There is nothing to write anew before the first block, however large that is.
    const isGrown = this.#sizeBytes > 0 && this.#sizeBytes + block.length > this.#rewriteAtBytes;
    if (isGrown) await this.#rewrite(sequence);
    const handle = await this.#open();
    // Also when the last one was written in part, or belongs to a group that failed.
    await handle.truncate(this.#sizeBytes);
    await writeFully(handle, block, this.#sizeBytes);
    await handle.datasync();
    this.#sizeBytes += block.length;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
  }

  async #open(): Promise<FileHandle> {
    if (this.#handle !== null) return this.#handle;
    this.#handle = await openForWriting(this.#path);
    await syncDirectory(join(this.#path, ".."));
    return this.#handle;
  }

  /** The same content in one block. */
  async #rewrite(beforeSequence: bigint): Promise<void> {
    const found = await readBlocks(this.#path, beforeSequence - 1n);
    const folded = found === null ? null : fold(found.blocks, this.#bootId);
    const last = found?.blocks.at(-1);
    if (folded === null || last === undefined) return;
    const block = encodeBlock({ ...last, bootId: this.#bootId, removed: [], set: [...folded.rows.values()] });
    const temporary = `${this.#path}.new`;
    const handle = await open(temporary, "w", 0o600);
    try {
      await writeFully(handle, block, 0);
      await handle.sync();
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
    await this.close();
    await rename(temporary, this.#path);
    await syncDirectory(join(this.#path, ".."));
    this.#sizeBytes = block.length;
    this.#rewriteAtBytes = Math.max(MIN_REWRITE_BYTES, block.length * GROWTH);
  }
}

async function openForWriting(path: string): Promise<FileHandle> {
  const appending = await open(path, "a", 0o600);
  await appending.close();
  return await open(path, "r+");
}

function encodeBlock(block: Block): Buffer {
  const text = Buffer.from(JSON.stringify(block));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(text.length, 0);
  header.writeUInt32LE(crc32(text), 4);
  return Buffer.concat([header, text]);
}

/** Up to the journal's last sequence; what comes behind was never recorded. `null` when it does not go that far. */
async function readBlocks(path: string, lastSequence: bigint) {
  const bytes = await readFile(path);
  if (bytes.length > MAX_FILE_BYTES) return null;
  const blocks: Block[] = [];
  let endOffset = 0;
  while (endOffset + HEADER_BYTES <= bytes.length) {
    const sizeBytes = bytes.readUInt32LE(endOffset);
    const start = endOffset + HEADER_BYTES;
    const text = bytes.subarray(start, start + sizeBytes);
    if (text.length < sizeBytes || crc32(text) !== bytes.readUInt32LE(endOffset + 4)) break;
    const block = JSON.parse(text.toString()) as Block;
    if (BigInt(block.sequence) > lastSequence) break;
    blocks.push(block);
    endOffset = start + sizeBytes;
  }
  const last = blocks.at(-1);
  // Every group has a block: a missing one means that the journal has more than this file knows of.
  return last !== undefined && BigInt(last.sequence) >= lastSequence ? { blocks, endOffset } : null;
}

function fold(blocks: readonly Block[], bootId: string): RestoredProgress {
  const rows = new Map<string, BaselineRow>();
  let losses: EventLosses = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
  for (const block of blocks) {
    // Flows, clocks and counters of the datapath begin anew with each boot.
    if (block.bootId !== bootId) continue;
    for (const key of block.removed) rows.delete(key);
    for (const row of block.set) rows.set(row[0], row);
    const [ringFull, rateLimited, notFollowed] = block.losses;
    losses = { ringFull: BigInt(ringFull), rateLimited: BigInt(rateLimited), notFollowed: BigInt(notFollowed) };
  }
  return { rows, losses };
}
