/** Brings a roll-out on, as long as this process holds its lease: one step after the other, as the course says. */
import { Failure } from "@wardline/domain/errors";
import { nextStep, type RolloutStep } from "@wardline/domain/fleet";
import type { Clock, Logger } from "../../ports.ts";
import type { RolloutRequest, RolloutsTable } from "../../store/rollouts-table.ts";
import type { LeaseTable } from "../../store/settings-table.ts";
import type { DesiredState } from "../desired-state.ts";
import { HostWork, type HostWorkPorts } from "./host-work.ts";
import type { LiveRollout } from "./live-rollout.ts";
import { watchHosts } from "./stage-watch.ts";

/** Hosts that are sent to, confirmed or rolled back at once. */
const HOSTS_AT_ONCE = 32;
const LEASE_MS = 4_000;
const RENEW_MS = 1_000;
/** How soon it hears what another process asks of it. */
const TICK_MS = 250;

export interface RolloutDriverPorts extends HostWorkPorts {
  readonly table: RolloutsTable;
  readonly leases: LeaseTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Unique to this process. */
  readonly processId: string;
}

export function leaseName(rolloutId: string): string {
  return `rollout:${rolloutId}`;
}

/** False when another process drives it. @throws Failure of the store */
export function acquireLease({ leases, clock, processId }: RolloutDriverPorts, rolloutId: string): boolean {
  return leases.acquire(leaseName(rolloutId), processId, clock.nowMs(), LEASE_MS);
}

export class RolloutDriver {
  readonly live: LiveRollout;
  readonly #ports: RolloutDriverPorts;
  readonly #work: HostWork;
  /** Hosts that something is being done to. */
  readonly #busy = new Set<string>();
  readonly #tasks = new Set<Promise<void>>();
  #watch: AbortController | null = null;
  #renewedAtMs = 0;
  #dataVersion = -1;

  constructor(live: LiveRollout, state: DesiredState, ports: RolloutDriverPorts) {
    this.live = live;
    this.#ports = ports;
    this.#work = new HostWork(live, state, ports);
  }

  /**
   * Until it waits for a person or has ended, the lease is lost, or the signal aborts. What was sent to hosts then ends there
   * by itself.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { leases, processId } = this.#ports;
    const ending = new AbortController();
    const both = AbortSignal.any([signal, ending.signal]);
    // What calls end with while the console closes says nothing about hosts.
    const freeze = () => this.live.freeze();
    signal.addEventListener("abort", freeze, { once: true });
    const releases = this.#holdConnections();
    try {
      while (!both.aborted && this.#renew()) {
        const seen = this.live.changes.version;
        this.#takeRequest();
        const step = nextStep(this.live.stored.progress);
        if (step.kind === "nothing") break;
        if (step.kind !== "watch") this.#watch?.abort();
        this.#launch(step, both);
        await this.live.changes.wait(seen, TICK_MS, both);
      }
    } finally {
      signal.removeEventListener("abort", freeze);
      freeze();
      ending.abort();
      this.#watch?.abort();
      this.#work.abandonProofs();
      await Promise.allSettled(this.#tasks);
      for (const release of releases) release();
      leases.release(leaseName(this.live.specification.id), processId);
    }
  }

  /** What a person asks, here or through another process. Too late is no error: it was checked when it was asked. */
  request(request: RolloutRequest): void {
    const { progress, specification } = this.live.stored;
    if (request.kind === "continue") {
      if (progress.phase === "waiting" && progress.stage === request.stage) {
        this.live.dispatch({ kind: "continued", stage: request.stage }, {}, { explanation: "" });
      }
      return;
    }
    const reason = request.reason === "" ? "" : ` ${request.reason}`;
    const explanation = `Stopped.${reason}`;
    this.live.dispatch({ kind: "stopped", confirmedToo: request.confirmedToo }, {}, { explanation });
    this.#ports.logger.info({ rollout: specification.id, confirmedToo: request.confirmedToo }, "roll-out stopped");
  }

  /** Hosts that are connected on demand stay connected: whether one can still be reached is what this is about. */
  #holdConnections(): readonly (() => void)[] {
    const hosts = this.live.stored.progress.hosts.filter(({ isAside }) => !isAside);
    return hosts.flatMap(({ id }) => this.#ports.registry.find(id)?.connection.need() ?? []);
  }

  #renew(): boolean {
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs - this.#renewedAtMs < RENEW_MS) return true;
    try {
      if (!acquireLease(this.#ports, this.live.specification.id)) return false;
      this.#renewedAtMs = nowMs;
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // A full disk: nobody else can take it either while what was renewed last still counts.
      return nowMs - this.#renewedAtMs < LEASE_MS;
    }
  }

  #takeRequest(): void {
    const { table, logger } = this.#ports;
    const dataVersion = table.dataVersion();
    if (dataVersion === this.#dataVersion) return;
    try {
      const request = table.takeRequest(this.live.specification.id);
      this.#dataVersion = dataVersion;
      if (request) this.request(request);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      logger.warn({ problem: error.message }, "requests to a roll-out not read");
    }
  }

  #launch(step: RolloutStep, signal: AbortSignal): void {
    const work = this.#work;
    switch (step.kind) {
      case "send":
        this.#each(step.hostIds, HOSTS_AT_ONCE, (id) => work.send(id));
        break;
      case "confirm":
        this.#each(step.hostIds, HOSTS_AT_ONCE, (id) => work.confirm(id, signal));
        break;
      case "roll-back":
        this.#each(step.hostIds, HOSTS_AT_ONCE, (id) => work.rollBack(id, this.#reason()));
        break;
      case "await":
        this.#each(step.hostIds, Number.POSITIVE_INFINITY, (id) => work.follow(id, signal));
        break;
      case "watch":
        if (this.#watch === null) this.#begin(() => this.#watchStage(step.stage, step.hostIds, signal));
    }
  }

  #reason(): string {
    const { explanation, progress } = this.live.stored;
    return `The roll-out was ${progress.phase}. ${explanation}`.slice(0, 500);
  }

  #each(hostIds: readonly string[], most: number, body: (id: string) => Promise<void>): void {
    for (const id of hostIds) {
      if (this.#busy.size >= most) return;
      if (this.#busy.has(id)) continue;
      this.#busy.add(id);
      this.#begin(async () => {
        try {
          await body(id);
        } finally {
          this.#busy.delete(id);
        }
      });
    }
  }

  async #watchStage(stage: number, hostIds: readonly string[], signal: AbortSignal): Promise<void> {
    const watch = new AbortController();
    this.#watch = watch;
    try {
      const both = AbortSignal.any([signal, watch.signal]);
      const result = await watchHosts(this.live, this.#work, hostIds, this.#ports, both);
      const { progress } = this.live.stored;
      if (both.aborted || progress.phase !== "running" || progress.stage !== stage) return this.#work.abandonProofs();
      if (result.kind === "passed") this.live.dispatch({ kind: "gates-passed", stage });
      if (result.kind === "closed") {
        const explanation = `${result.why} The stage was rolled back.`;
        this.live.dispatch({ kind: "gate-closed", stage }, {}, { explanation });
      }
    } finally {
      this.#watch = null;
    }
  }

  #begin(body: () => Promise<void>): void {
    const task = body()
      .catch((error: unknown) => {
        this.#ports.logger.error({ rollout: this.live.specification.id, err: error }, "a roll-out met a defect");
      })
      .finally(() => {
        this.#tasks.delete(task);
        this.live.changes.notify();
      });
    this.#tasks.add(task);
  }
}
