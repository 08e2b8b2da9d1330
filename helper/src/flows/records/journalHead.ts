/**
 * What a journal remembers beside its segments: its id, the highest sequence that any reader may have been given, and how
 * many batches were removed. Two slots are written in turn, in place: one of them is always whole, and a full disk is
 * not in the way.
 */
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { writeFully } from "../../files/atomicFile.ts";

const MAGIC = 0x31484c57;
const SLOT_BYTES = 512;
const SLOT = { magic: 0, turn: 8, id: 16, lastSequence: 32, removedBatches: 40, lastWindowEndMs: 48, crc: 56 } as const;

export interface HeadContent {
  /** 32 hex digits. */
  readonly journalId: string;
  readonly lastSequence: bigint;
  readonly removedBatches: bigint;
  readonly lastWindowEndMs: number;
}

export class JournalHead {
  readonly #handle: FileHandle;
  #turn: bigint;

  private constructor(handle: FileHandle, turn: bigint) {
    this.#handle = handle;
    this.#turn = turn;
  }

  /** The newest whole content, `null` when there is none: a new file, or one with both slots damaged. */
  static async open(path: string): Promise<{ readonly head: JournalHead; readonly content: HeadContent | null }> {
    const handle = await open(path, "a+", 0o600).then(async (appending) => {
      // Made when it is missing; writing at a position needs another mode.
      await appending.close();
      return await open(path, "r+");
    });
    const buffer = Buffer.alloc(2 * SLOT_BYTES);
    await handle.read(buffer, 0, buffer.length, 0);
    const slots = [0, 1].map((slot) => decodeSlot(buffer.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES)));
    const newest = slots.reduce((best, slot) => (slot && (!best || slot.turn > best.turn) ? slot : best), null);
    return { head: new JournalHead(handle, newest?.turn ?? 0n), content: newest };
  }

  /** On disk when it returns. */
  async write(content: HeadContent): Promise<void> {
    const turn = this.#turn + 1n;
    const buffer = Buffer.alloc(SLOT_BYTES);
    buffer.writeUInt32LE(MAGIC, SLOT.magic);
    buffer.writeBigUInt64LE(turn, SLOT.turn);
    buffer.write(content.journalId, SLOT.id, 16, "hex");
    buffer.writeBigUInt64LE(content.lastSequence, SLOT.lastSequence);
    buffer.writeBigUInt64LE(content.removedBatches, SLOT.removedBatches);
    buffer.writeDoubleLE(content.lastWindowEndMs, SLOT.lastWindowEndMs);
    buffer.writeUInt32LE(crc32(buffer.subarray(0, SLOT.crc)), SLOT.crc);
    await writeFully(this.#handle, buffer, Number(turn % 2n) * SLOT_BYTES);
    await this.#handle.datasync();
    this.#turn = turn;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function decodeSlot(slot: Buffer): (HeadContent & { readonly turn: bigint }) | null {
  if (slot.readUInt32LE(SLOT.magic) !== MAGIC) return null;
  if (crc32(slot.subarray(0, SLOT.crc)) !== slot.readUInt32LE(SLOT.crc)) return null;
  return {
    turn: slot.readBigUInt64LE(SLOT.turn),
    journalId: slot.toString("hex", SLOT.id, SLOT.id + 16),
    lastSequence: slot.readBigUInt64LE(SLOT.lastSequence),
    removedBatches: slot.readBigUInt64LE(SLOT.removedBatches),
    lastWindowEndMs: slot.readDoubleLE(SLOT.lastWindowEndMs),
  };
}
