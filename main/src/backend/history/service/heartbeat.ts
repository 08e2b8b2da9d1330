/** Keeps a stream alive: whoever waits is told at least so often how far it is. */
import type { Clock } from "../../ports.ts";

export type Beat<Item> = { readonly kind: "item"; readonly item: Item } | { readonly kind: "waiting" };

/** The items, and `waiting` whenever none came for the interval. Ends the source however it is left. */
export async function* withHeartbeat<Item>(
  source: AsyncIterable<Item>,
  intervalMs: number,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Beat<Item>> {
  const iterator = source[Symbol.asyncIterator]();
  let isOver = false;
  try {
    let next = iterator.next();
    while (!signal.aborted) {
      const stop = new AbortController();
      const waiting = clock.sleep(intervalMs, AbortSignal.any([signal, stop.signal])).then(() => null);
      const result = await Promise.race([next, waiting]).finally(() => stop.abort());
      if (result === null) {
        if (!signal.aborted) yield { kind: "waiting" };
        continue;
      }
      if (result.done) {
        isOver = true;
        return;
      }
      yield { kind: "item", item: result.value };
      next = iterator.next();
    }
    // Its failure after the end is nobody's.
    next.catch(() => undefined);
  } finally {
    if (!isOver) void iterator.return?.()?.catch(() => undefined);
  }
}
