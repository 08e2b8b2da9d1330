/** Which lines differ between the last few images of a packer. */

export interface LineRange {
  readonly first: number;
  readonly count: number;
}

/** The slot that is filled next mostly holds the image before last. */
const REMEMBERED = 8;
/** More pieces than this are not worth being told apart. */
const MOST_RANGES = 1024;

export class ImageChanges {
  /** By serial; `null` = every line. */
  readonly #written = new Map<number, readonly LineRange[] | null>();
  #serial = 0;

  /** Returns the serial of an image whose lines were written so. */
  add(written: readonly LineRange[] | null): number {
    this.#serial += 1;
    this.#written.set(this.#serial, written);
    this.#written.delete(this.#serial - REMEMBERED);
    return this.#serial;
  }

  /** `null` = any line may differ. */
  between(before: number, serial: number): readonly LineRange[] | null {
    const all: LineRange[] = [];
    for (let step = before + 1; step <= serial; step++) {
      const written = this.#written.get(step) ?? null;
      if (written === null || all.length + written.length > MOST_RANGES) return null;
      all.push(...written);
    }
    return before > serial ? null : all;
  }
}
