/**
 * One watch: a stream at one endpoint, and another one at the next when that one ends, from the revision after the last that
 * was handed over whole. Nothing is read from the network that the consumer has not asked for.
 */

import { create } from "@bufbuild/protobuf";
import type { WatchRequest as EtcdWatchRequest, WatchResponse } from "@wardline/api/etcdserverpb/rpc";
import { WatchRequestSchema } from "@wardline/api/etcdserverpb/rpc";
import { ErrorCode } from "@wardline/domain/errors";
import type { StoreEvent, WatchBatch, WatchRequest } from "../clusterStore.ts";
import { compacted, invalid, StoreFailure } from "../storeFailure.ts";
import { type EtcdCalls, REPEATABLE } from "./calls.ts";
import type { Endpoint } from "./endpointPool.ts";
import { judge, type Verdict } from "./errors.ts";
import { endOfPrefix, startOfPrefix, toEvent } from "./messages.ts";

/** Until the server has said that it watches; longer with each failure, so that a busy server is not asked ever more. */
const CREATED_LIMIT_MS = 3000;
const LONGEST_CREATED_LIMIT_MS = 12_000;
const GIVE_UP_MS = 30_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
const TOKENS_REFUSED_LIMIT = 3;

interface Position {
  /** First revision that was not handed over. */
  next: bigint;
  lastAnswerMs: number;
  failuresInARow: number;
  tokensRefused: number;
}

export async function* watchEtcd(calls: EtcdCalls, request: WatchRequest): AsyncGenerator<WatchBatch> {
  const { signal } = request;
  if (request.fromRevision < 1n) throw invalid("A watch begins at revision 1 or later.");
  const position: Position = {
    next: request.fromRevision,
    lastAnswerMs: performance.now(),
    failuresInARow: 0,
    tokensRefused: 0,
  };
  while (!signal.aborted) {
    const [endpoint] = calls.pool.candidates();
    if (endpoint !== undefined) {
      try {
        yield* followOne(calls, endpoint, request, position);
      } catch (error) {
        weigh(calls, endpoint, position, error, signal);
      }
    }
    if (signal.aborted) return;
    const silentMs = performance.now() - position.lastAnswerMs;
    if (silentMs > GIVE_UP_MS) throw gaveUp(calls.pool.problems());
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** position.failuresInARow, LONGEST_PAUSE_MS) * (0.5 + Math.random());
    position.failuresInARow += 1;
    await pause(calls, endpoint === undefined ? GIVE_UP_MS - silentMs + 1 : pauseMs, signal);
  }
}

/** Ends when the stream does; what comes next is then for another. */
async function* followOne(
  calls: EtcdCalls,
  endpoint: Endpoint,
  request: WatchRequest,
  position: Position,
): AsyncGenerator<WatchBatch> {
  const ended = new AbortController();
  const onAbort = () => ended.abort();
  request.signal.addEventListener("abort", onAbort, { once: true });
  if (request.signal.aborted) ended.abort();
  let watching = false;
  let isLate = false;
  const limitMs = Math.min(CREATED_LIMIT_MS * 2 ** position.failuresInARow, LONGEST_CREATED_LIMIT_MS);
  const late = setTimeout(() => {
    isLate = true;
    endpoint.connection.check();
    ended.abort();
  }, limitMs);
  try {
    await endpoint.connection.open();
    const headers = await calls.headers(REPEATABLE, endpoint);
    const answers = endpoint.watch.watch(requests(request, position.next, ended.signal), {
      headers,
      signal: ended.signal,
    });
    yield* join(answers, position, () => {
      watching = true;
      clearTimeout(late);
    });
  } catch (error) {
    throw isLate ? new Ended("no answer in time") : error;
  } finally {
    clearTimeout(late);
    // However long nothing changed, it was there until now.
    if (watching) position.lastAnswerMs = performance.now();
    request.signal.removeEventListener("abort", onAbort);
    ended.abort();
  }
}

async function* requests({ prefix }: WatchRequest, next: bigint, ended: AbortSignal): AsyncGenerator<EtcdWatchRequest> {
  yield create(WatchRequestSchema, {
    requestUnion: {
      case: "createRequest",
      value: {
        key: startOfPrefix(prefix),
        rangeEnd: endOfPrefix(prefix),
        // One earlier than needed: older versions drop a deletion at the very revision that history was compacted to, so a
        // watch is begun only where the revision before it is kept too.
        startRevision: next > 1n ? next - 1n : next,
        progressNotify: true,
        fragment: true,
      },
    },
  });
  // The stream stays open in both directions for as long as it is wanted.
  if (!ended.aborted) await new Promise((resolve) => ended.addEventListener("abort", resolve, { once: true }));
}

/**
 * Whole revisions of what may come in fragments. The last revision of a fragment is held back until something later than it
 * comes, or the last fragment.
 */
export async function* join(
  answers: AsyncIterable<WatchResponse>,
  position: Omit<Position, "lastAnswerMs">,
  onCreated: () => void,
): AsyncGenerator<WatchBatch> {
  let held: StoreEvent[] = [];
  for await (const answer of answers) {
    refuseEnd(answer);
    if (answer.created) {
      onCreated();
      position.failuresInARow = 0;
      position.tokensRefused = 0;
      continue;
    }
    for (const event of answer.events.map(toEvent)) {
      const revision = event.item.modRevision;
      if (revision < position.next) continue;
      if (held.length > 0 && held[0]!.item.modRevision !== revision) {
        yield hand(held, position);
        held = [];
      }
      held.push(event);
    }
    if (answer.fragment) continue;
    if (held.length > 0) {
      yield hand(held, position);
      held = [];
    } else if (answer.events.length === 0) {
      const batch = caughtUp(answer, position);
      if (batch) yield batch;
    }
  }
}

function hand(events: readonly StoreEvent[], position: Pick<Position, "next">): WatchBatch {
  const revision = events[0]!.item.modRevision;
  position.next = revision + 1n;
  return { revision, events };
}

/** etcd says now and then, in the order of its events, that it has nothing older to tell. */
function caughtUp({ header }: WatchResponse, position: Pick<Position, "next">): WatchBatch | null {
  const revision = header?.revision ?? 0n;
  if (revision < position.next) return null;
  position.next = revision + 1n;
  return { revision, events: [] };
}

/** @throws StoreFailure when the server ended the watch with a reason that holds everywhere */
function refuseEnd({ canceled, compactRevision, cancelReason }: WatchResponse): void {
  if (!canceled) return;
  if (compactRevision > 0n) throw compacted(`The history up to revision ${compactRevision} is gone.`);
  throw cancelReason.includes("permission denied") ? new Denied(cancelReason) : new Ended(cancelReason);
}

class Ended extends Error {}
/** Also what etcd says of a token that is over. */
class Denied extends Error {}

function weigh(calls: EtcdCalls, endpoint: Endpoint, position: Position, error: unknown, signal: AbortSignal): void {
  if (signal.aborted) return;
  if (error instanceof StoreFailure) throw error;
  if (error instanceof Ended) {
    calls.pool.busy(endpoint);
    return;
  }
  const verdict: Verdict = error instanceof Denied ? { kind: "token" } : judge(error);
  if (verdict.kind === "final") throw verdict.failure;
  if (verdict.kind === "token") position.tokensRefused += 1;
  if (position.tokensRefused >= TOKENS_REFUSED_LIMIT) throw denied(error instanceof Error ? error.message : "");
  calls.note(endpoint, verdict);
}

function denied(reason: string): StoreFailure {
  const message = `etcd refuses the watch: ${reason.replace("etcdserver: ", "") || "permission denied"}.`;
  return new StoreFailure({ code: ErrorCode.PERMISSION_DENIED, message });
}

function gaveUp(problems: string): StoreFailure {
  return new StoreFailure({
    code: ErrorCode.STORE_UNAVAILABLE,
    message: `The cluster's store cannot be watched (${problems}).`,
    hint: "Watch again from the same revision once it can be reached.",
    retryable: true,
  });
}

async function pause(calls: EtcdCalls, limitMs: number, signal: AbortSignal): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  await Promise.race([calls.pool.waitForOne(limitMs), aborted]);
  signal.removeEventListener("abort", onAbort);
}
