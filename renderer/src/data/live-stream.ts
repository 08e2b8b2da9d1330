import { type ShownFailure, shownFailure } from "./failure.ts";

export type StreamStatus = "connecting" | "live" | "stale";

/** What the window knows of a server stream. The value of a stale stream is the last one known. */
export interface StreamState<Value> {
  readonly status: StreamStatus;
  readonly value: Value | null;
  /** When the last message came, on the window's monotonic clock; null before the first. */
  readonly receivedAtMs: number | null;
  /** Why it is not live; null while it is, or before the first failure. */
  readonly failure: ShownFailure | null;
  /** Monotonic time of the next attempt; null when none is planned. */
  readonly retryAtMs: number | null;
}

export interface LiveStreamOptions<Message extends { readonly sequence: bigint }, Value> {
  readonly open: (signal: AbortSignal) => AsyncIterable<Message>;
  /** `previous` is null for the first message of each subscription (the snapshot); `kept` is what was known before it. */
  readonly reduce: (previous: Value | null, message: Message, kept: Value | null) => Value;
  /** The stream counts as stale when nothing came for this long; null = silence is normal. */
  readonly silenceMs: number | null;
  /** Listeners are told of values at most once in this time: more often nobody could see it. 0 = of each. */
  readonly settleMs?: number;
  readonly monotonicMs?: () => number;
  /** In [0, 1). */
  readonly random?: () => number;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

/**
 * One server stream: a snapshot, then numbered changes. A gap in the numbers, an error or silence ends the subscription
 * and a new one begins with a new snapshot; attempts back off with jitter. It runs while somebody is subscribed.
 */
export class LiveStream<Message extends { readonly sequence: bigint }, Value> {
  readonly #options: LiveStreamOptions<Message, Value>;
  readonly #monotonicMs: () => number;
  readonly #random: () => number;
  readonly #listeners = new Set<() => void>();
  #state: StreamState<Value> = {
    status: "connecting",
    value: null,
    receivedAtMs: null,
    failure: null,
    retryAtMs: null,
  };
  #controller: AbortController | null = null;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;
  #settleTimer: ReturnType<typeof setTimeout> | undefined;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #failedAttempts = 0;

  constructor(options: LiveStreamOptions<Message, Value>) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
  }

  readonly getState = (): StreamState<Value> => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#connect();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#disconnect();
    };
  };

  /** Drops the subscription and makes a new one at once; `forget` also drops the value (another filter, say). */
  restart({ forget }: { forget: boolean }): void {
    this.#disconnect();
    this.#failedAttempts = 0;
    this.#set({
      status: "connecting",
      failure: null,
      retryAtMs: null,
      ...(forget ? { value: null, receivedAtMs: null } : {}),
    });
    if (this.#listeners.size > 0) this.#connect();
  }

  #set(change: Partial<StreamState<Value>>): void {
    this.#state = { ...this.#state, ...change };
    this.#tell();
  }

  #tell(): void {
    clearTimeout(this.#settleTimer);
    this.#settleTimer = undefined;
    this.#toldAtMs = this.#monotonicMs();
    for (const listener of this.#listeners) listener();
  }

  /** A message of many: the next telling has its value too. */
  #setSoon(value: Value): void {
    const nowMs = this.#monotonicMs();
    const leftMs = this.#toldAtMs + (this.#options.settleMs ?? 0) - nowMs;
    if (leftMs <= 0 || this.#state.status !== "live") {
      this.#set({ status: "live", value, receivedAtMs: nowMs, failure: null, retryAtMs: null });
      return;
    }
    this.#state = { ...this.#state, value, receivedAtMs: nowMs };
    this.#settleTimer ??= setTimeout(() => this.#tell(), leftMs);
  }

  #disconnect(): void {
    clearTimeout(this.#settleTimer);
    this.#settleTimer = undefined;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#silenceTimer);
    this.#controller?.abort();
    this.#controller = null;
  }

  #connect(): void {
    const controller = new AbortController();
    this.#controller = controller;
    void this.#read(controller);
  }

  async #read(controller: AbortController): Promise<void> {
    let lastSequence: bigint | null = null;
    try {
      this.#armSilence(controller);
      for await (const message of this.#options.open(controller.signal)) {
        if (this.#controller !== controller) return;
        if (lastSequence !== null && message.sequence !== lastSequence + 1n) {
          this.restart({ forget: false });
          return;
        }
        const value = this.#options.reduce(
          lastSequence === null ? null : this.#state.value,
          message,
          this.#state.value,
        );
        lastSequence = message.sequence;
        this.#failedAttempts = 0;
        this.#armSilence(controller);
        this.#setSoon(value);
      }
      this.#fail(controller, new Error("Failed to fetch: the stream ended"));
    } catch (error) {
      this.#fail(controller, error);
    }
  }

  #armSilence(controller: AbortController): void {
    clearTimeout(this.#silenceTimer);
    if (this.#options.silenceMs === null) return;
    this.#silenceTimer = setTimeout(() => {
      this.#fail(controller, new Error("Failed to fetch: nothing came in time"));
    }, this.#options.silenceMs);
  }

  #fail(controller: AbortController, error: unknown): void {
    if (this.#controller !== controller) return;
    this.#disconnect();
    const delayMs =
      Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failedAttempts) * (0.75 + this.#random() / 2);
    this.#failedAttempts += 1;
    this.#set({ status: "stale", failure: shownFailure(error), retryAtMs: this.#monotonicMs() + delayMs });
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }
}
