/**
 * Totals that others keep, as growth: a Prometheus counter must never fall, and a sum over rules does when a rule goes.
 * A total that is lower than before began anew, so that all of it is growth.
 */
export class Growth {
  readonly #before = new Map<string, bigint>();

  /** How much the total of `key` has grown since it was asked about last. */
  of(key: string, total: bigint): number {
    const before = this.#before.get(key) ?? 0n;
    this.#before.set(key, total);
    return Number(total >= before ? total - before : total);
  }

  /** Forgets every other key. What is forgotten and comes back counts from zero. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#before.keys()) {
      if (!keys.has(key)) this.#before.delete(key);
    }
  }
}
