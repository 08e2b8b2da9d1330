/**
 * Says what this host sees, under its own name: at once when something changed its state, figures every 10 s. As long as there
 * is something to see it goes on saying so, because what is older is not believed. A host without a mesh and without ways that
 * are measured says so once.
 */
import { type MeshObservation, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import type { Logger } from "pino";
import { bootMs, type Clock } from "../../agent/clock.ts";
import type { MeshView } from "../../mesh/ports.ts";
import type { Keys } from "../keys.ts";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { encodeObservation } from "./observationCodec.ts";

export interface PublisherPorts {
  readonly store: Pick<ClusterStore, "transact">;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "warn">;
  readonly memberName: string;
  readonly view: MeshView;
  readonly isRegistered: () => boolean;
}

/** Changes come in bursts: a daemon that ends takes all its neighbours with it. */
const COALESCE_MS = 50;
const FIGURES_EVERY_MS = 10_000;
const LOOK_FOR_NAME_MS = 250;
const IDLE_MS = 3_600_000;
const RETRY = { firstMs: 200, longestMs: 10_000 };

export class ObservationPublisher {
  readonly #ports: PublisherPorts;
  readonly #ending = new AbortController();
  #isStateNew = true;
  #hasFigures = false;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  #news = new AbortController();
  #unsubscribe: () => void = () => {};
  #running: Promise<void> = Promise.resolve();

  constructor(ports: PublisherPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#unsubscribe = this.#ports.view.onChange((kind) => {
      if (kind === "state") this.#isStateNew = true;
      else this.#hasFigures = true;
      this.#news.abort();
    });
    this.#running = this.#run();
  }

  /** What was said last stays. Never rejects. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#unsubscribe();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random, log, isRegistered } = this.#ports;
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted; ) {
      this.#news = new AbortController();
      const delayMs = this.#delayMs();
      if (delayMs > 0) {
        await waitFor(clock, delayMs, signal, this.#news.signal);
        continue;
      }
      await waitFor(clock, isRegistered() ? COALESCE_MS : LOOK_FOR_NAME_MS, signal);
      if (signal.aborted || !isRegistered()) continue;
      try {
        await this.#say();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.#isStateNew = true;
        if (failures === 0) log.warn({ problem: sentenceOf(error) }, "what this host sees of its meshes is not told");
        await waitFor(clock, backOffMs(RETRY, failures++, random), signal);
      }
    }
  }

  #delayMs(): number {
    if (this.#isStateNew) return 0;
    if (!this.#hasFigures) return IDLE_MS;
    return Math.max(0, this.#saidAtMs + FIGURES_EVERY_MS - bootMs(this.#ports.clock));
  }

  async #say(): Promise<void> {
    const { store, keys, clock, memberName, view } = this.#ports;
    this.#isStateNew = false;
    const observation = view.observation();
    const put = {
      kind: "put",
      key: keys.meshObservation(memberName),
      value: encodeObservation(view.observation()),
    } as const;
    await store.transact({ compare: [], then: [put] }, { signal: this.#ending.signal, repeatable: true });
    this.#saidAtMs = bootMs(clock);
    this.#hasFigures = showsSomething(observation);
  }
}

function showsSomething({ providers, probes }: MeshObservation): boolean {
  return probes.length > 0 || providers.some(({ state }) => state !== MeshProviderState.ABSENT);
}
