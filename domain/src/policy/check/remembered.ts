/** Values that one round of work leaves to the next; what a round does not keep is gone after it, so it stays bounded. */
export class Remembered<Key, Value> {
  #before: ReadonlyMap<Key, Value> = new Map();
  #now = new Map<Key, Value>();

  startRound(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }

  /** What the round before kept. */
  find(key: Key): Value | undefined {
    return this.#before.get(key);
  }

  keep(key: Key, value: Value): void {
    this.#now.set(key, value);
  }
}
