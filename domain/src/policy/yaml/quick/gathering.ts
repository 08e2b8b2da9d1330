/** The parts of collections that are being read, those of the inner behind those of the outer. */
export class Gathering<Part> {
  readonly #parts: Part[] = [];
  /** How many there are; where those of the next collection begin. */
  count = 0;

  add(part: Part): void {
    this.#parts[this.count] = part;
    this.count += 1;
  }

  at(place: number): Part | undefined {
    return this.#parts[place];
  }

  /** Takes out the parts from `from` on. The list is as long as it must be: one that grows keeps room for 16 more. */
  take(from: number): Part[] {
    const { count } = this;
    this.count = from;
    const first = this.#parts[from];
    return count === from + 1 && first !== undefined ? [first] : this.#parts.slice(from, count);
  }
}
