/** First in, first out, with a limit: what does not fit pushes out the oldest, and the loss is counted. */
export class BoundedQueue<Item> {
  readonly #capacity: number;
  #items: Item[] = [];
  #dropped = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Items that were pushed out since the queue was made. */
  get dropped(): number {
    return this.#dropped;
  }

  push(items: readonly Item[]): void {
    for (const item of items) this.#items.push(item);
    const excess = this.#items.length - this.#capacity;
    if (excess > 0) {
      this.#items.splice(0, excess);
      this.#dropped += excess;
    }
  }

  take(count: number = this.#items.length): Item[] {
    return this.#items.splice(0, count);
  }
}
