/** What the hosts of a mesh fleet say of its faults, asked on the hosts themselves. */
import { setTimeout } from "node:timers/promises";
import { durationFromMs, durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type { MeshService } from "@wardline/api/wardline/agent/v1/mesh";
import {
  HealingMode,
  HealingPhase,
  type HealingRun,
  HealingState,
  MeshFault,
  type MeshObservation,
} from "@wardline/api/wardline/v1/mesh";
import { type AgentClient, connectAgent } from "@wardline/helper/testing/agentClient";
import type { FleetHost } from "../fleet/fleet-host.ts";

/** Long: the tests share two processors with everything else. */
const PATIENCE_MS = 120_000;
const LOOK_EVERY_MS = 100;
const CALL_LIMIT_MS = 10_000;

export const ENDED: ReadonlySet<HealingState> = new Set([
  HealingState.HEALED,
  HealingState.CLEARED,
  HealingState.ESCALATED,
  HealingState.STOPPED,
]);

/** Measured over a minute: they go on for a while after what caused them. */
export const LINGERING: ReadonlySet<MeshFault> = new Set([
  MeshFault.LINK_DEGRADED,
  MeshFault.ASYMMETRIC_LOSS,
  MeshFault.LINK_FLAPPING,
  MeshFault.REDUNDANCY_LOST,
]);

export interface RunTimes {
  /** From the injection to the loop's own recognition. */
  readonly detectionMs: number;
  /** As the run itself says, from the first symptom to the end of verification; `null` unless healed. */
  readonly repairMs: number | null;
}

export class HealingWatch {
  readonly #clients = new Map<string, AgentClient>();
  #isClosed = false;

  agent(host: FleetHost): AgentClient {
    const client = this.#clients.get(host.name) ?? connectAgent(host.agentSocket);
    this.#clients.set(host.name, client);
    return client;
  }

  mesh(host: FleetHost): Client<typeof MeshService> {
    return this.agent(host).mesh;
  }

  async observation(host: FleetHost): Promise<MeshObservation | undefined> {
    return (await this.mesh(host).getMesh({}, { timeoutMs: CALL_LIMIT_MS })).observation;
  }

  /** Newest first. */
  async runs(host: FleetHost): Promise<readonly HealingRun[]> {
    return (await this.mesh(host).getMesh({}, { timeoutMs: CALL_LIMIT_MS })).runs;
  }

  /**
   * Limits that let one fault follow the other; what the limits do is tested with the loop itself. Resolves when the store has
   * them and, where given, these hosts have read them: whoever leads goes by what it has read.
   */
  async setMode(host: FleetHost, mode: HealingMode, readers: readonly FleetHost[] = []): Promise<void> {
    const settings = { mode, askBefore: [], actionsPerHour: 120, cooldown: durationFromMs(10_000) };
    // What is there already is no change: it may be asked for again.
    await this.#until("the settings are taken", async () => {
      await this.mesh(host).configureHealing({ settings }, { timeoutMs: 30_000 });
      return true;
    });
    await this.#until("the settings are read", async () => {
      const known = await Promise.all(readers.map((each) => this.mesh(each).getMesh({}, { timeoutMs: CALL_LIMIT_MS })));
      return known.every((each) => each.settings?.mode === mode);
    });
  }

  /** Waits until this host says that nothing is healed, and why. */
  untilProblem(host: FleetHost): Promise<void> {
    return this.#until("the host says that nothing is healed", async () => {
      return (await this.mesh(host).getMesh({}, { timeoutMs: CALL_LIMIT_MS })).healingProblem !== "";
    });
  }

  /** Errors count as no. */
  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const startedAtMs = performance.now();
    let problem: unknown = "";
    while (performance.now() - startedAtMs < PATIENCE_MS && !this.#isClosed) {
      const holds = await isSo().catch((error: unknown) => {
        problem = error;
        return false;
      });
      if (holds) return;
      await setTimeout(LOOK_EVERY_MS);
    }
    throw new Error(`${what}: not within ${PATIENCE_MS} ms. ${problem}`);
  }

  /** Waits for a run of which this holds. Errors count as no. @param on whom to ask */
  async untilRun(
    what: string,
    on: FleetHost,
    isWanted: (run: HealingRun) => boolean,
    limitMs = PATIENCE_MS,
  ): Promise<HealingRun> {
    const startedAtMs = performance.now();
    let last: readonly HealingRun[] = [];
    let problem: unknown = "";
    while (performance.now() - startedAtMs < limitMs && !this.#isClosed) {
      try {
        last = await this.runs(on);
        const found = last.find(isWanted);
        if (found) return found;
      } catch (error) {
        problem = error;
      }
      await setTimeout(LOOK_EVERY_MS);
    }
    throw new Error(`${what}: not within ${limitMs} ms. ${problem}\n${last.map(describeRun).join("\n")}`);
  }

  /**
   * Waits until all hosts have the peers that they expect, and nothing is wrong but what is measured over a minute; with
   * `isWhole` not that either, and no run of before is open in which the next fault could be told.
   */
  async untilCalm(hosts: readonly FleetHost[], limitMs = PATIENCE_MS, isWhole = false): Promise<void> {
    const isOpen = ({ fault, state, endedAt }: HealingRun) =>
      isWhole ? endedAt === undefined : !LINGERING.has(fault) && !ENDED.has(state);
    const startedAtMs = performance.now();
    let seen = "";
    while (performance.now() - startedAtMs < limitMs && !this.#isClosed) {
      try {
        const answers = await Promise.all(
          hosts.map(async (host) => ({ host, ...(await this.mesh(host).getMesh({}, { timeoutMs: CALL_LIMIT_MS })) })),
        );
        const troubles = answers.flatMap(({ host, observation, runs }) => [
          ...runs.filter(isOpen).map(describeRun),
          ...(observation?.providers ?? []).flatMap(({ peers }) =>
            peers.filter(({ up }) => !up).map(({ uri, key }) => `${host.name}: ${uri || key} is down`),
          ),
          ...(observation ? [] : [`${host.name}: sees nothing`]),
        ]);
        if (troubles.length === 0) return;
        seen = troubles.join("\n");
      } catch (error) {
        seen = String(error);
      }
      await setTimeout(LOOK_EVERY_MS);
    }
    throw new Error(`the mesh is not calm within ${limitMs} ms:\n${seen}`);
  }

  /** Forgets connections: agents that were killed answer to new ones only. */
  forget(host: FleetHost): void {
    this.#clients.get(host.name)?.close();
    this.#clients.delete(host.name);
  }

  /** What still waits for something fails. */
  close(): void {
    this.#isClosed = true;
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

/**
 * When this run was recognised to be about what happened since then; `null` = it is about something before. A run that was open
 * already may turn out to be about something else: a way that is poor, and then a daemon that died.
 */
function recognisedAtMs({ detectedAt, steps }: HealingRun, sinceMs: number): number | null {
  const times = steps
    .filter(({ phase }) => phase === HealingPhase.ANALYSE)
    .flatMap(({ at }) => (at ? [timestampMs(at)] : []));
  return [...(detectedAt ? [timestampMs(detectedAt)] : []), ...times].find((atMs) => atMs >= sinceMs) ?? null;
}

/** @param injectedAtMs of this machine's clock, which is also that of all hosts */
export function timesOf(run: HealingRun, injectedAtMs: number): RunTimes {
  return {
    detectionMs: (recognisedAtMs(run, injectedAtMs) ?? Number.NaN) - injectedAtMs,
    repairMs: run.timeToRepair ? durationMs(run.timeToRepair) : null,
  };
}

export const isNewSince = (run: HealingRun, atMs: number): boolean => recognisedAtMs(run, atMs) !== null;

export function describeRun({ id, fault, target, state, cause, steps }: HealingRun): string {
  const lines = steps.map(({ sentence }) => `    ${sentence}`);
  return [`  ${id} ${MeshFault[fault]} ${target}: ${HealingState[state]}, ${cause}`, ...lines].join("\n");
}

export { HealingMode, HealingState, MeshFault };
