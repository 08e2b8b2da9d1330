/** Work on many things at once, but not on too many. */

/** Runs `work` for each item, at most `limit` at a time; the results in the order of the items. */
export async function mapPooled<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const run = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as Item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run));
  return results;
}

/** One piece of computing for each turn of the event loop, so that what waits for it does not add up to one long stop. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  run<Result>(compute: () => Result): Promise<Result> {
    const result = this.#last.then(() => new Promise<void>((resolve) => setImmediate(resolve))).then(compute);
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
