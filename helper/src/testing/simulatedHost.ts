/** One machine of a simulation: its clock, its way to the store, and what can happen to both. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Clock } from "../agent/clock.ts";
import type { CallOptions } from "../cluster/store/clusterStore.ts";
import type { MemoryLink } from "./memoryClusterStore.ts";

const DEFAULT_TIMEOUT_MS = 5_000;
const WATCH_GIVEN_UP_MS = 30_000;

/** What all machines share: whether the store has a majority. */
export interface SimulatedService {
  hasMajority: boolean;
}

export class SimulatedHost implements Clock, MemoryLink {
  readonly #world: Clock;
  readonly #service: SimulatedService;
  #held: (() => void)[] = [];
  #isPaused = false;
  /** Nothing goes through in either direction. */
  isCut = false;
  /** Of each message. */
  delayMs: () => number = () => 1;
  /** Asked for each message. */
  isLost: () => boolean = () => false;
  /** Jumps of the wall clock. */
  wallOffsetMs = 0;

  constructor(world: Clock, service: SimulatedService = { hasMajority: true }) {
    this.#world = world;
    this.#service = service;
  }

  bootNs(): bigint {
    return this.#world.bootNs();
  }

  wallMs(): number {
    return this.#world.wallMs() + this.wallOffsetMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    let isCancelled = false;
    const cancel = this.#world.schedule(delayMs, () =>
      this.#deliver(() => {
        if (!isCancelled) run();
      }),
    );
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  /** Stops the process: time and the store go on, nothing runs here. */
  pause(): void {
    this.#isPaused = true;
  }

  continue(): void {
    this.#isPaused = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.#deliver(run);
  }

  call<T>(run: () => T, options: CallOptions | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options ?? {};
      const stopWaiting = this.schedule(timeoutMs, () => reject(failure(ErrorCode.DEADLINE_EXCEEDED)));
      const finish = (settle: () => void): void => {
        stopWaiting();
        signal?.removeEventListener("abort", abort);
        settle();
      };
      const abort = (): void => finish(() => reject(failure(ErrorCode.CANCELED)));
      if (signal?.aborted) {
        abort();
        return;
      }
      signal?.addEventListener("abort", abort, { once: true });
      this.#send(() => {
        const settle = this.#outcome(run, resolve, reject);
        this.#send(() => this.#deliver(() => finish(settle)));
      });
    });
  }

  async pass(signal: AbortSignal): Promise<void> {
    for (let waitedMs = 0; this.isCut || !this.#service.hasMajority; waitedMs += 100) {
      if (signal.aborted) return;
      if (waitedMs >= WATCH_GIVEN_UP_MS) throw failure(ErrorCode.STORE_UNAVAILABLE);
      await new Promise<void>((resolve) => this.schedule(100, resolve));
    }
    await new Promise<void>((resolve) => this.schedule(this.delayMs(), resolve));
  }

  /** Runs it in the store at once, and gives what has to be done with the answer. */
  #outcome<T>(run: () => T, resolve: (value: T) => void, reject: (error: unknown) => void): () => void {
    if (!this.#service.hasMajority) return () => reject(failure(ErrorCode.STORE_UNAVAILABLE));
    try {
      const value = run();
      return () => resolve(value);
    } catch (error) {
      return () => reject(error);
    }
  }

  /** One message on its way, which nothing that happens to this machine holds up once it has left. */
  #send(arrive: () => void): void {
    if (this.isCut || this.isLost()) return;
    this.#world.schedule(this.delayMs(), () => {
      if (!this.isCut) arrive();
    });
  }

  #deliver(run: () => void): void {
    if (this.#isPaused) this.#held.push(run);
    else run();
  }
}

function failure(code: ErrorCode): Failure {
  return new Failure({ code, message: `simulated ${code}`, retryable: true });
}
