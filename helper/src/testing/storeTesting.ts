/** Small things that tests of stores share. */
import { type ErrorCode, Failure } from "@wardline/domain/errors";
import type { KeyValue, Operation, WatchBatch } from "../cluster/store/clusterStore.ts";

const encoder = new TextEncoder();

export function text(value: string): Uint8Array {
  return encoder.encode(value);
}

export function textOf(item: KeyValue | null | undefined): string | null {
  return item ? new TextDecoder().decode(item.value) : null;
}

export function put(key: string, value: string, leaseId = 0n): Operation {
  return { kind: "put", key, value: text(value), leaseId };
}

/** The code of the failure that this ends with. Throws when it succeeds, or ends with anything else. */
export async function failureOf(work: Promise<unknown>): Promise<ErrorCode> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Failure) return error.code;
    throw error;
  }
  throw new Error("it succeeded");
}

export interface Collected {
  /** Without empty ones. */
  readonly batches: WatchBatch[];
  /** Resolves when the watch ends; rejects with what it throws. */
  readonly ended: Promise<void>;
  waitFor(condition: (batches: readonly WatchBatch[]) => boolean, limitMs?: number): Promise<void>;
}

/** Reads a watch in the background. */
export function collect(watch: AsyncIterable<WatchBatch>): Collected {
  const batches: WatchBatch[] = [];
  let changed = Promise.withResolvers<void>();
  const ended = (async () => {
    try {
      for await (const batch of watch) {
        if (batch.events.length > 0) batches.push(batch);
        changed.resolve();
        changed = Promise.withResolvers();
      }
    } finally {
      changed.resolve();
    }
  })();
  // Whoever waits for it gets the error; nobody has to.
  ended.catch(() => {});
  let over = false;
  const finish = () => {
    over = true;
  };
  ended.then(finish, finish);
  const waitFor = async (condition: (batches: readonly WatchBatch[]) => boolean, limitMs = 15_000) => {
    const deadline = Date.now() + limitMs;
    while (!condition(batches)) {
      if (over) await ended;
      if (over || Date.now() > deadline) throw new Error(`the watch brought only ${batches.length} batches`);
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, Math.max(deadline - Date.now(), 1));
      await Promise.race([changed.promise, late.promise]);
      clearTimeout(timer);
      // Lets `over` be set when that was the end.
      await Promise.resolve();
    }
  };
  return { batches, ended, waitFor };
}
