/** The first rows of many in some order, without keeping the others. */
export class FirstRows<Row> {
  readonly #compare: (left: Row, right: Row) => number;
  readonly #limit: number;
  #rows: Row[] = [];
  /** Of the last of them, once there are enough: what comes after it needs no place. */
  #last: Row | null = null;

  constructor(compare: (left: Row, right: Row) => number, limit: number) {
    this.#compare = compare;
    this.#limit = limit;
  }

  add(row: Row): void {
    if (this.#last !== null && this.#compare(row, this.#last) >= 0) return;
    this.#rows.push(row);
    // Sorted once in a while: a row costs little, however many come.
    if (this.#rows.length >= this.#limit * 2) this.#cut();
  }

  sorted(): readonly Row[] {
    this.#cut();
    return this.#rows;
  }

  #cut(): void {
    this.#rows = this.#rows.sort(this.#compare).slice(0, this.#limit);
    this.#last = this.#rows.length === this.#limit ? (this.#rows.at(-1) ?? null) : null;
  }
}
