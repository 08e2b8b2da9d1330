/**
 * The stream of findings. It is pulled: what changed meanwhile is remembered by its id, so that a slow reader holds no memory
 * and gets what holds then.
 */
import { create } from "@bufbuild/protobuf";
import * as wire from "@wardline/api/wardline/agent/v1/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { StreamSlots } from "../server/streamSlots.ts";
import type { AnomalyHost } from "./anomalyHost.ts";

const PAGE = 200;
/** Whole findings of one message: with their evidence they have up to some ten thousand bytes each. */
const WHOLE_IN_MESSAGE = 20;
/** Four times a second at most. */
const SHORTEST_PAUSE_MS = 250;
/** Ages and counts of the model change without a finding. */
const LONGEST_PAUSE_MS = 30_000;

type Source = Pick<AnomalyHost, "list" | "finding" | "loadedModel" | "model" | "onChange">;

export class FindingStreams {
  readonly #source: Source;
  readonly #slots: StreamSlots;

  constructor(source: Source, slots: StreamSlots) {
    this.#source = source;
    this.#slots = slots;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<wire.WatchFindingsResponse> {
    const leave = this.#slots.enter();
    const changes = new ChangedFindings(this.#source);
    try {
      let sequence = 0n;
      const { status: model } = await this.#source.loadedModel();
      for await (const findings of this.#kept(signal)) {
        sequence += 1n;
        const message = create(wire.WatchFindingsResponseSchema, { sequence, findings: [...findings] });
        if (sequence === 1n) message.model = model;
        yield message;
      }
      while (!signal.aborted) {
        await changes.next(signal);
        const findings = await this.#whole(changes.take(WHOLE_IN_MESSAGE));
        sequence += 1n;
        yield create(wire.WatchFindingsResponseSchema, { sequence, findings, model: this.#source.model().status });
      }
    } finally {
      changes.close();
      leave();
    }
  }

  /** All kept ones, newest first; one empty page where there are none. */
  async *#kept(signal: AbortSignal) {
    let afterId = "";
    do {
      const { findings } = await this.#source.list(PAGE, afterId).catch(unlessGone);
      yield findings;
      afterId = findings.length === PAGE ? (findings.at(-1)?.id ?? "") : "";
    } while (afterId !== "" && !signal.aborted);
  }

  async #whole(ids: readonly string[]) {
    const found = await Promise.all(ids.map((id) => this.#source.finding(id).catch(() => null)));
    return found.filter((finding) => finding !== null);
  }
}

/** The last one of a page left meanwhile: those after it are older still, and on their way out as well. */
function unlessGone(error: unknown) {
  if (error instanceof Failure && error.code === ErrorCode.NOT_FOUND) return { findings: [], total: 0 };
  throw error;
}

class ChangedFindings {
  readonly #ids = new Set<string>();
  readonly #unsubscribe: () => void;
  #isModelNew = false;
  #wake: () => void = () => {};

  constructor(source: Source) {
    this.#unsubscribe = source.onChange((findings) => {
      if (findings === null) this.#isModelNew = true;
      for (const { id } of findings ?? []) this.#ids.add(id);
      this.#wake();
    });
  }

  take(count: number): readonly string[] {
    this.#isModelNew = false;
    const taken = [...this.#ids].slice(0, count);
    for (const id of taken) this.#ids.delete(id);
    return taken;
  }

  /** Resolves after a change, but never before the shortest pause, and at the latest after the longest. */
  async next(signal: AbortSignal): Promise<void> {
    await this.#sleep(signal, SHORTEST_PAUSE_MS, false);
    if (this.#ids.size === 0 && !this.#isModelNew) await this.#sleep(signal, LONGEST_PAUSE_MS, true);
  }

  close(): void {
    this.#unsubscribe();
  }

  #sleep(signal: AbortSignal, ms: number, endsWithChange: boolean): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(finish, ms);
      signal.addEventListener("abort", finish, { once: true });
      if (endsWithChange) this.#wake = finish;
    });
  }
}
