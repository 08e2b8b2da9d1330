/** The control word, the deadline and the slots' labels: everything that says which tables decide. */
import { lookupElement, type MappedMemory, mapMemory, pageSize, updateElement } from "../../linux/bpf/libbpf.ts";
import { CONTROL, type ControlWord, decodeWord, encodeWord, LAYOUT_VERSION, SLOT } from "./layout.ts";
import type { PinnedTree } from "./tree.ts";

/** What a slot holds. An epoch of 0 with a generation means: filled, never activated. */
export interface SlotLabel {
  readonly generation: number;
  /** 64 hex digits; empty when nothing is in the slot. */
  readonly digest: string;
  readonly epoch: number;
  readonly enforce: boolean;
  readonly decisionCount: number;
  readonly workloadSets: number;
}

export const EMPTY_SLOT: SlotLabel = {
  generation: 0,
  digest: "",
  epoch: 0,
  enforce: false,
  decisionCount: 16,
  workloadSets: 0,
};

/** Stands in a slot while it is being filled, so that nobody can return to it. */
export const UNUSABLE_GENERATION = Number.MAX_SAFE_INTEGER;

export class Control {
  readonly #memory: MappedMemory;
  readonly #words: BigUint64Array;
  readonly #halves: Uint32Array;
  readonly #slotsFd: number;

  constructor(tree: PinnedTree) {
    this.#memory = mapMemory(tree.maps.wl_control, pageSize(), 0, true);
    this.#words = new BigUint64Array(this.#memory.memory, 0, CONTROL.size / 8);
    this.#halves = new Uint32Array(this.#memory.memory, 0, CONTROL.size / 4);
    this.#slotsFd = tree.maps.wl_slots;
  }

  read(): ControlWord {
    return decodeWord(Atomics.load(this.#words, CONTROL.word / 8));
  }

  /** One aligned 64-bit store: every packet sees all of it or none. */
  write(word: ControlWord): void {
    Atomics.store(this.#words, CONTROL.word / 8, encodeWord(word));
  }

  deadlineNs(): bigint {
    return Atomics.load(this.#words, CONTROL.deadlineNs / 8);
  }

  /** Only while no deadline is armed, or the kernel could read the new time with the old word. */
  writeDeadline(bootNs: bigint): void {
    Atomics.store(this.#words, CONTROL.deadlineNs / 8, bootNs);
  }

  /** CLOCK_MONOTONIC until which flows of cgroups that nobody has looked at wait; 0 = not at all. */
  holdUnknownCgroups(untilNs: bigint): void {
    Atomics.store(this.#words, CONTROL.holdUntilNs / 8, untilNs);
  }

  /** Index of the interface of the overlay; 0 = this host has none. Takes effect with the next packet. */
  writeOverlayInterface(index: number): void {
    Atomics.store(this.#halves, CONTROL.overlayInterface / 4, index);
  }

  overlay(): { readonly index: number } | null {
    const index = Atomics.load(this.#halves, CONTROL.overlayInterface / 4);
    return index === 0 ? null : { index };
  }

  nextEpoch(): number {
    return Number(Atomics.add(this.#words, CONTROL.lastEpoch / 8, 1n)) + 1;
  }

  /** What the counters of a slot's generation carry. */
  stamp(slot: 0 | 1): number {
    return Atomics.load(this.#halves, CONTROL.stamps / 4 + slot);
  }

  /** Starts the counters of a slot that decides nothing at zero. */
  renewStamp(slot: 0 | 1): void {
    Atomics.store(this.#halves, CONTROL.stamps / 4 + slot, this.nextEpoch());
  }

  readSlot(slot: 0 | 1): SlotLabel {
    const key = Buffer.alloc(4);
    const value = Buffer.alloc(SLOT.size);
    key.writeUInt32LE(slot);
    lookupElement(this.#slotsFd, key, value);
    const generation = Number(value.readBigUInt64LE(SLOT.generation));
    const digest = value.subarray(SLOT.digest, SLOT.digest + 32);
    return {
      generation,
      // A slot that was never filled has none; generation 0 has one when it was loaded to return to.
      digest: digest.every((byte) => byte === 0) ? "" : digest.toString("hex"),
      epoch: value.readUInt32LE(SLOT.epoch),
      enforce: value.readUInt32LE(SLOT.enforce) === 1,
      decisionCount: value.readUInt32LE(SLOT.decisionCount),
      workloadSets: value.readUInt32LE(SLOT.workloadSets),
    };
  }

  writeSlot(slot: 0 | 1, label: SlotLabel): void {
    const key = Buffer.alloc(4);
    const value = Buffer.alloc(SLOT.size);
    key.writeUInt32LE(slot);
    value.writeBigUInt64LE(BigInt(label.generation), SLOT.generation);
    value.write(label.digest, SLOT.digest, 32, "hex");
    value.writeUInt32LE(label.epoch, SLOT.epoch);
    value.writeUInt32LE(Number(label.enforce), SLOT.enforce);
    value.writeUInt32LE(label.decisionCount, SLOT.decisionCount);
    value.writeUInt32LE(label.workloadSets, SLOT.workloadSets);
    updateElement(this.#slotsFd, key, value);
  }

  /** The memory must not be used afterwards. */
  close(): void {
    this.#memory.unmap();
  }
}

/** First content of a new tree's control map. */
export function initialControl(): Buffer {
  const control = Buffer.alloc(CONTROL.size);
  control.writeUInt32LE(LAYOUT_VERSION, CONTROL.layoutVersion);
  return control;
}
