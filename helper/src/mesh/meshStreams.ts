/**
 * The stream of what this host sees and heals. It is pulled: what changed meanwhile is remembered by its id, so that a slow reader
 * holds no memory and gets what holds then.
 */
import { create } from "@bufbuild/protobuf";
import * as wire from "@wardline/api/wardline/agent/v1/mesh";
import type { StreamSlots } from "../server/streamSlots.ts";
import type { HealingAccess, MeshView } from "./ports.ts";

/** Four times a second at most. */
const SHORTEST_PAUSE_MS = 250;
/** A reader takes an observation for old after a while, also where nothing changes. */
const LONGEST_PAUSE_MS = 10_000;

export interface MeshStreamPorts {
  readonly mesh: MeshView;
  readonly healing: HealingAccess;
  readonly slots: StreamSlots;
}

export class MeshStreams {
  readonly #ports: MeshStreamPorts;

  constructor(ports: MeshStreamPorts) {
    this.#ports = ports;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<wire.WatchMeshResponse> {
    const { mesh, healing, slots } = this.#ports;
    const leave = slots.enter();
    const changes = new Changes(mesh, healing);
    try {
      let sequence = 1n;
      const observation = mesh.observation();
      yield create(wire.WatchMeshResponseSchema, {
        ...{ sequence, observation, runs: [...healing.runs()] },
        ...healingFields(healing),
      });
      while (!signal.aborted) {
        await changes.next(signal);
        if (signal.aborted) return;
        sequence += 1n;
        const { runIds, isHealingNew } = changes.take();
        const runs = healing.runs().filter(({ id }) => runIds.has(id));
        yield create(wire.WatchMeshResponseSchema, {
          ...{ sequence, observation: mesh.observation(), runs },
          ...(isHealingNew ? healingFields(healing) : {}),
        });
      }
    } finally {
      changes.close();
      leave();
    }
  }
}

function healingFields(healing: HealingAccess) {
  return {
    settings: healing.settings(),
    knowledge: [...healing.knowledge()],
    coordinator: healing.coordinator(),
    healingProblem: healing.problem(),
  };
}

class Changes {
  readonly #unsubscribe: readonly (() => void)[];
  #runIds = new Set<string>();
  #isHealingNew = false;
  #isPending = false;
  #wake: () => void = () => {};

  constructor(mesh: MeshView, healing: HealingAccess) {
    this.#unsubscribe = [
      mesh.onChange(() => this.#note()),
      healing.onChange((runIds) => {
        // Knowledge goes with runs that end.
        this.#isHealingNew = true;
        for (const id of runIds) this.#runIds.add(id);
        this.#note();
      }),
    ];
  }

  take(): { readonly runIds: ReadonlySet<string>; readonly isHealingNew: boolean } {
    const taken = { runIds: this.#runIds, isHealingNew: this.#isHealingNew };
    this.#runIds = new Set();
    this.#isHealingNew = false;
    this.#isPending = false;
    return taken;
  }

  /** Resolves after a change, but never before the shortest pause, and at the latest after the longest. */
  async next(signal: AbortSignal): Promise<void> {
    await this.#sleep(signal, SHORTEST_PAUSE_MS, false);
    if (!this.#isPending) await this.#sleep(signal, LONGEST_PAUSE_MS, true);
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #note(): void {
    this.#isPending = true;
    this.#wake();
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
