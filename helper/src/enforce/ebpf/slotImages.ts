/** Writes images into slots, and remembers what this process wrote into which. */
import { Failure } from "@wardline/domain/errors";
import type { TableImage } from "./image.ts";
import type { SlotMaps } from "./innerMaps.ts";
import type { Steps } from "./steps.ts";
import { fillSlot, type PackedTable, verifySlot } from "./tables.ts";

export class SlotImages {
  /** Serial of the image that was written and found in a slot; `null` when nobody knows what is there. */
  readonly #serials: [number | null, number | null] = [null, null];

  forget(): void {
    this.#serials[0] = null;
    this.#serials[1] = null;
  }

  /**
   * Fills a slot that is out of use and compares every byte that the programs would read: what was written now, and what
   * has stood there since the image before last. Where that is not what it was, all is written. Throws `Failure`.
   */
  *fill(tree: SlotMaps, slot: 0 | 1, image: TableImage, workloads: PackedTable): Steps<void> {
    const known = this.#serials[slot];
    this.#serials[slot] = null;
    if (known === null || !(yield* this.#fillByDifference(tree, slot, image, workloads, known))) {
      fillSlot(tree, slot, image, workloads);
      yield;
      yield* verifySlot(tree, slot, image, workloads);
    }
    this.#serials[slot] = image.serial;
  }

  *#fillByDifference(
    tree: SlotMaps,
    slot: 0 | 1,
    image: TableImage,
    workloads: PackedTable,
    known: number,
  ): Steps<boolean> {
    fillSlot(tree, slot, image, workloads, known);
    yield;
    try {
      yield* verifySlot(tree, slot, image, workloads);
      return true;
    } catch (error) {
      if (error instanceof Failure) return false;
      throw error;
    }
  }
}
