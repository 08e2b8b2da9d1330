/** Reads many keys at one revision, page by page. */

import { RangeRequest_SortOrder, RangeRequest_SortTarget, type RangeResponse } from "@wardline/api/etcdserverpb/rpc";
import { ErrorCode } from "@wardline/domain/errors";
import type { KeyValue, Range, RangeOptions } from "../clusterStore.ts";
import { StoreFailure } from "../storeFailure.ts";
import { DEFAULT_TIMEOUT_MS, type EtcdCalls, REPEATABLE, STALE_READ } from "./calls.ts";
import { endOfPrefix, startOfPrefix, toBytes, toKeyValue } from "./messages.ts";

const PAGE_KEYS = 256;
const MAX_BYTES = 256 * 1024 * 1024;
const RESTARTS = 3;

interface Window {
  key: Uint8Array<ArrayBuffer>;
  rangeEnd: Uint8Array<ArrayBuffer>;
}

export async function readPages(calls: EtcdCalls, prefix: string, options: RangeOptions): Promise<Range> {
  const deadlineMs = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await readOnce(calls, prefix, options, deadlineMs);
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
      if (restarts === RESTARTS || options.revision !== undefined) throw error.failure;
    }
  }
}

/** The revision of the first page was compacted away meanwhile, or another member has not come to it yet. */
class Overtaken extends Error {
  readonly failure: StoreFailure;
  constructor(failure: StoreFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

async function readOnce(calls: EtcdCalls, prefix: string, options: RangeOptions, deadlineMs: number): Promise<Range> {
  const { limit = 0, descending = false, keysOnly = false } = options;
  const window = firstWindow(prefix, options);
  const items: KeyValue[] = [];
  let revision = options.revision ?? 0n;
  let pageKeys = PAGE_KEYS;
  let bytes = 0;
  for (;;) {
    const wanted = limit === 0 ? pageKeys : Math.min(pageKeys, limit - items.length);
    const timeoutMs = Math.max(deadlineMs - performance.now(), 0);
    const asked = { ...options, keysOnly, revision, timeoutMs };
    const page = await readPage(calls, { ...window }, asked, wanted, items.length > 0);
    if (page === "too large") {
      pageKeys = Math.max(1, Math.floor(wanted / 4));
      continue;
    }
    if (revision === 0n) revision = page.header?.revision ?? 0n;
    for (const kv of page.kvs) {
      items.push(toKeyValue(kv));
      bytes += kv.key.length + kv.value.length;
    }
    if (bytes > MAX_BYTES) throw tooLarge(prefix);
    const last = items.at(-1);
    const enough = limit > 0 && items.length >= limit;
    if (!page.more || last === undefined || enough) return { items, revision, more: page.more };
    if (descending) window.rangeEnd = toBytes(last.key);
    else window.key = toBytes(`${last.key}\0`);
  }
}

function firstWindow(prefix: string, { afterKey, descending = false }: RangeOptions): Window {
  const window = { key: startOfPrefix(prefix), rangeEnd: endOfPrefix(prefix) };
  if (afterKey === undefined) return window;
  const after = descending ? toBytes(afterKey) : toBytes(`${afterKey}\0`);
  if (descending && (prefix === "" || Buffer.compare(after, window.rangeEnd) < 0)) window.rangeEnd = after;
  if (!descending && Buffer.compare(after, window.key) > 0) window.key = after;
  return window;
}

async function readPage(
  calls: EtcdCalls,
  window: Window,
  options: RangeOptions & { readonly revision: bigint },
  limit: number,
  follows: boolean,
): Promise<RangeResponse | "too large"> {
  const { mayBeStale = false, revision, keysOnly = false, descending = false } = options;
  const request = {
    ...window,
    limit: BigInt(limit),
    revision,
    serializable: mayBeStale,
    keysOnly,
    sortTarget: RangeRequest_SortTarget.KEY,
    // Ascending is how etcd keeps them: said only where it is otherwise, because a sort reads everything first.
    sortOrder: descending ? RangeRequest_SortOrder.DESCEND : RangeRequest_SortOrder.NONE,
  };
  try {
    return await calls.call(mayBeStale ? STALE_READ : REPEATABLE, options, (endpoint, call) =>
      endpoint.kv.range(request, call),
    );
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error;
    if (error.code === ErrorCode.TOO_LARGE && limit > 1) return "too large";
    const gone = error.code === ErrorCode.COMPACTED || (mayBeStale && error.code === ErrorCode.INVALID_ARGUMENT);
    if (follows && gone) throw new Overtaken(error);
    throw error;
  }
}

function tooLarge(prefix: string): StoreFailure {
  const message = `More than ${MAX_BYTES} bytes are below ${prefix}.`;
  return new StoreFailure({ code: ErrorCode.TOO_LARGE, message, hint: "Read them in parts, with a limit." });
}
