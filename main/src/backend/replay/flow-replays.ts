/** Threads that go through stored flows: this one only reads them out of the store and hands them on. */
import type { FlowFilter } from "@wardline/api/wardline/console/v1/flows";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { RecordedFlow } from "@wardline/domain/policy/simulate";
import { nextTurn } from "../async/next-turn.ts";
import { type HeldThread, ThreadPool } from "../async/thread-pool.ts";
import { countRecorded } from "../flows/recorded-batches.ts";
import type { WorkspaceSnapshot } from "../policies/workspace.ts";
import type { Clock } from "../ports.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import type { AddRequest, OpenAnswer, PolicyText, PolicyTexts } from "./replay-protocol.ts";

const PROGRESS_INTERVAL_MS = 200;
/** Looked at in one turn. */
const IDS_AT_ONCE = 500;
/** Read while the thread is busy. */
const FLOWS_AHEAD = 2_000;
/** Waiting for a thread included; what takes longer is refused. */
const DEADLINE_MS = 120_000;

export interface FlowReplayPorts {
  readonly flows: Pick<FlowsTable, "newestId" | "oldestId" | "countBetween" | "recordedBetween">;
  readonly clock: Clock;
  /** Default 2 min. */
  readonly deadlineMs?: number;
}

export interface Replayed {
  /** Matching flows that were stored when this began. */
  readonly total: number;
  readonly read: number;
}

export class FlowReplays {
  readonly #ports: FlowReplayPorts;
  readonly #threads = new ThreadPool({
    ...{ file: new URL("./replay-thread.ts", import.meta.url), what: "simulations and suggestions" },
    waiting: 8,
  });

  constructor(ports: FlowReplayPorts) {
    this.#ports = ports;
  }

  /**
   * Streams what `work` makes with a thread of its own; ends without a word when the caller goes away.
   * @throws Failure DEADLINE_EXCEEDED, TOO_LARGE (too many at once, or too much memory), and what `work` throws
   */
  async *run<Message>(
    signal: AbortSignal,
    work: (thread: HeldThread, signal: AbortSignal) => AsyncGenerator<Message>,
  ): AsyncGenerator<Message> {
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(tooSlow()), this.#ports.deadlineMs ?? DEADLINE_MS);
    const own = AbortSignal.any([signal, end.signal]);
    let thread: Awaited<ReturnType<ThreadPool["hold"]>> | null = null;
    try {
      thread = await this.#threads.hold(own);
      yield* work(thread, own);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
      thread?.release();
    }
  }

  /**
   * Hands the matching flows to a thread that is open for them, oldest first; yields now and then how far that is. What is
   * stored meanwhile does not belong to them.
   * @throws Failure INVALID_ARGUMENT as the filter; the reason of the signal
   */
  async *feed(
    thread: HeldThread,
    filter: FlowFilter | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Replayed, Replayed> {
    const { flows, clock } = this.#ports;
    const untilId = flows.newestId();
    const total = await countRecorded(flows, filter, untilId, signal);
    const handing = new HandingOn(thread);
    let read = 0;
    let toldAtMs = clock.nowMs();
    // By ids and not by matches: a search that finds little must not look through everything in one turn.
    for (let afterId = flows.oldestId() - 1; afterId < untilId; afterId += IDS_AT_ONCE) {
      signal.throwIfAborted();
      const piece = flows.recordedBetween(filter, afterId, Math.min(untilId, afterId + IDS_AT_ONCE), IDS_AT_ONCE);
      read += piece.length;
      await handing.add(piece);
      await nextTurn();
      if (clock.nowMs() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
      await handing.finish();
      toldAtMs = clock.nowMs();
      yield { total, read };
    }
    await handing.finish();
    return { total, read };
  }

  close(): Promise<void> {
    return this.#threads.close();
  }
}

/** While a thread judges what it has, more is read for it, up to a bound. */
class HandingOn {
  readonly #thread: HeldThread;
  #ready: RecordedFlow[] = [];
  /** What the thread does now; never rejects. */
  #work: Promise<void> | null = null;
  #problem: { readonly reason: unknown } | null = null;

  constructor(thread: HeldThread) {
    this.#thread = thread;
  }

  async add(flows: readonly RecordedFlow[]): Promise<void> {
    for (const flow of flows) this.#ready.push(flow);
    if (this.#work && this.#ready.length >= FLOWS_AHEAD) await this.#work;
    this.#send();
  }

  /** Resolves when the thread has judged all of it. @throws what it threw */
  async finish(): Promise<void> {
    await this.#work;
    this.#send();
    await this.#work;
    if (this.#problem) throw this.#problem.reason;
  }

  #send(): void {
    if (this.#problem) throw this.#problem.reason;
    if (this.#work || this.#ready.length === 0) return;
    const request: AddRequest = { flows: this.#ready };
    this.#ready = [];
    this.#work = this.#thread
      .call("add", request)
      .then(
        () => undefined,
        (reason: unknown) => {
          this.#problem = { reason };
        },
      )
      .finally(() => {
        this.#work = null;
      });
  }
}

/** Opens a thread with the draft, changed or not; its files go over only when the thread does not know them. */
export async function openWithDraft(
  thread: HeldThread,
  { stateDigest: digest, files }: Pick<WorkspaceSnapshot, "stateDigest" | "files">,
  changed: readonly PolicyText[],
  open: (texts: PolicyTexts) => { readonly method: string; readonly request: object },
): Promise<void> {
  const send = (known: PolicyTexts["files"]) => {
    const { method, request } = open({ digest, changed, files: known });
    return thread.call(method, request) as Promise<OpenAnswer>;
  };
  if ((await send(null)) === "missing") await send(files.map(({ path, text }) => ({ path, text })));
}

function tooSlow(): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: "Going through the recorded flows takes too long.",
    hint: "Take a shorter time, one host, or only every tenth flow.",
  });
}
