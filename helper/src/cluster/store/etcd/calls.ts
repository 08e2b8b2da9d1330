/**
 * One call, carried out by whichever endpoint can, within its deadline. What surely did not happen is tried again elsewhere;
 * so is what may happen twice. A write that was sent and not answered is not: the caller is told that it may have happened.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorCode } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { CallOptions } from "../clusterStore.ts";
import { canceled, StoreFailure } from "../storeFailure.ts";
import type { Authentication } from "./authentication.ts";
import { NotConnectedError } from "./connection.ts";
import type { Endpoint, EndpointPool } from "./endpointPool.ts";
import { judge, type Verdict } from "./errors.ts";

export const DEFAULT_TIMEOUT_MS = 5000;
/** After that long without an answer the connection itself is asked whether it is alive. */
const STALL_MS = 1000;
/** After that long a call that may happen twice is tried elsewhere. */
const REPEATABLE_ATTEMPT_MS = 1500;
const SHORTEST_RETRY_MS = 60;
const FIRST_PAUSE_MS = 40;
const LONGEST_PAUSE_MS = 400;

export interface CallKind {
  /** May be carried out twice. */
  readonly repeatable: boolean;
  /** Is refused by a member that knows no leader, instead of waiting for one. */
  readonly needsLeader: boolean;
}

/** Of everything that may happen twice. */
export const REPEATABLE: CallKind = { repeatable: true, needsLeader: true };
export const STALE_READ: CallKind = { repeatable: true, needsLeader: false };
export const WRITE: CallKind = { repeatable: false, needsLeader: true };

/** Goes into every call of a generated client. */
export interface AttemptOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly headers: Headers;
}

type Perform<T> = (endpoint: Endpoint, options: AttemptOptions) => Promise<T>;

interface Progress {
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  problem: string;
  /** Of an attempt that was sent; a repeatable call may have happened at one before as well. */
  sent: boolean;
  tokensRefused: number;
}

export class EtcdCalls {
  readonly pool: EndpointPool;
  readonly #authentication: Authentication;
  readonly #log: Logger;

  constructor(pool: EndpointPool, authentication: Authentication, log: Logger) {
    this.pool = pool;
    this.#authentication = authentication;
    this.#log = log;
  }

  /** @throws StoreFailure */
  async call<T>(kind: CallKind, options: CallOptions | undefined, perform: Perform<T>): Promise<T> {
    const deadlineMs = performance.now() + (options?.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const progress: Progress = { deadlineMs, signal: options?.signal, problem: "", sent: false, tokensRefused: 0 };
    for (let round = 0; ; round += 1) {
      const candidates = this.pool.candidates();
      for (const endpoint of candidates) {
        this.#checkOver(progress);
        const done = await this.#attempt(kind, endpoint, progress, perform);
        if (done !== null) return done.result;
      }
      this.#checkOver(progress);
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** round, LONGEST_PAUSE_MS) * (0.5 + Math.random());
      const remainingMs = Math.max(deadlineMs - performance.now(), 0);
      await this.#pause(candidates.length === 0 ? remainingMs : Math.min(pauseMs, remainingMs), progress.signal);
    }
  }

  /** Headers of a call to this endpoint; asks for a token first when one is needed. */
  async headers(kind: CallKind, endpoint: Endpoint): Promise<Headers> {
    const headers = new Headers();
    if (kind.needsLeader) headers.set("hasleader", "true");
    const token = await this.#authentication.token(endpoint);
    if (token !== null) headers.set("token", token);
    return headers;
  }

  /** Notes what a failure says about the endpoint. */
  note(endpoint: Endpoint, verdict: Verdict): void {
    if (verdict.kind === "unreachable") this.pool.unreachable(endpoint, verdict.problem);
    if (verdict.kind === "busy") this.pool.busy(endpoint);
    if (verdict.kind === "token") this.#authentication.forget();
  }

  /** `null` = to be tried again. */
  async #attempt<T>(
    kind: CallKind,
    endpoint: Endpoint,
    progress: Progress,
    perform: Perform<T>,
  ): Promise<{ readonly result: T } | null> {
    const remainingMs = progress.deadlineMs - performance.now();
    const limitMs = Math.max(kind.repeatable ? Math.min(remainingMs, REPEATABLE_ATTEMPT_MS) : remainingMs, 1);
    const limit = AbortSignal.timeout(Math.ceil(limitMs));
    const signal = progress.signal ? AbortSignal.any([progress.signal, limit]) : limit;
    const stall = setTimeout(() => endpoint.connection.check(), STALL_MS).unref();
    let begun = false;
    try {
      await untilAborted(endpoint.connection.open(), signal);
      const headers = await untilAborted(this.headers(kind, endpoint), signal);
      if (signal.aborted) return null;
      begun = true;
      const result = await perform(endpoint, { signal, timeoutMs: Math.ceil(limitMs), headers });
      this.pool.succeeded(endpoint);
      return { result };
    } catch (error) {
      this.#weigh(kind, endpoint, progress, error, begun, limit.aborted);
      return null;
    } finally {
      clearTimeout(stall);
    }
  }

  /** @throws StoreFailure when trying again is of no use, or not right */
  #weigh(kind: CallKind, endpoint: Endpoint, progress: Progress, error: unknown, begun: boolean, late: boolean): void {
    if (error instanceof StoreFailure) throw error;
    const verdict: Verdict = late ? { kind: "busy", sent: true, problem: "no answer in time" } : judge(error);
    late ||= error instanceof ConnectError && error.code === Code.DeadlineExceeded;
    if (progress.signal?.aborted) throw canceled(begun && !kind.repeatable);
    this.note(endpoint, verdict);
    if (verdict.kind === "final") throw verdict.failure;
    if (verdict.kind === "token") {
      progress.tokensRefused += 1;
      if (progress.tokensRefused > 2) throw refused();
      return;
    }
    progress.problem = `${endpoint.url}: ${verdict.problem}`;
    progress.sent ||= begun && verdict.sent;
    this.#log.debug({ endpoint: endpoint.url, problem: verdict.problem }, "A call to the store failed.");
    if (!kind.repeatable && begun && verdict.sent) throw this.#unavailable(progress, late);
  }

  #checkOver(progress: Progress): void {
    if (progress.signal?.aborted) throw canceled(progress.sent);
    // A last attempt that has no time for its answer would only blur what is known of those before it.
    const neededMs = progress.problem === "" ? 0 : SHORTEST_RETRY_MS;
    if (performance.now() >= progress.deadlineMs - neededMs) throw this.#unavailable(progress, false);
  }

  #unavailable({ problem, sent }: Progress, late: boolean): StoreFailure {
    const told = problem || this.pool.problems();
    return new StoreFailure({
      code: late ? ErrorCode.DEADLINE_EXCEEDED : ErrorCode.STORE_UNAVAILABLE,
      message: `The cluster's store cannot do it now (${told}).`,
      hint: "Hosts go on enforcing what they enforce. Look whether most members of etcd run and can be reached.",
      retryable: true,
      mayHaveHappened: sent,
    });
  }

  async #pause(limitMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (limitMs <= 0) return;
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    signal?.addEventListener("abort", onAbort, { once: true });
    await Promise.race([this.pool.waitForOne(limitMs), aborted]);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The work itself goes on: others may wait for it too. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new NotConnectedError("no connection in time"));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function refused(): StoreFailure {
  const message = "etcd does not accept who asks: it wants a user, or the user's tokens count no more.";
  return new StoreFailure({ code: ErrorCode.PERMISSION_DENIED, message });
}
