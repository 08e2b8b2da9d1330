/** Hosts that were away while a change was rolled out get it when they return, as carefully as the others did. */

import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import type { ErrorDetail } from "@wardline/api/wardline/v1/error";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { detailToFailure, failureToDetail } from "@wardline/domain/wire";
import type { HostRegistry, ManagedHost } from "../../hosts/managed-host.ts";
import type { Clock, Logger } from "../../ports.ts";
import type { DesiredState } from "../desired-state.ts";
import { isAway } from "../host-planner.ts";
import type { Planner } from "../planner.ts";
import { HostWork } from "./host-work.ts";
import { LiveRollout, type LiveRolloutPorts } from "./live-rollout.ts";
import { acquireLease, leaseName, type RolloutDriverPorts } from "./rollout-driver.ts";
import { watchHosts } from "./stage-watch.ts";

/** A state that was decided so long ago is not put in force unseen. */
export const AWAITED_MS = 7 * 24 * 3_600_000;
const POLL_MS = 1_000;
const RENEW_MS = 1_000;

export interface CatchUpPorts extends RolloutDriverPorts, LiveRolloutPorts {
  readonly planner: Planner;
  readonly registry: HostRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class CatchUp {
  readonly #ports: CatchUpPorts;
  /** Roll-outs that are being caught up here. */
  readonly live = new Map<string, LiveRollout>();
  /** Hosts whose return is looked for: by id, how to end that. */
  readonly #held = new Map<string, () => void>();

  constructor(ports: CatchUpPorts) {
    this.#ports = ports;
  }

  /** Looks for hosts that have returned until the signal aborts. */
  async run(signal: AbortSignal, onChange: () => void): Promise<void> {
    const { table, clock, logger } = this.#ports;
    while (!signal.aborted) {
      try {
        this.#hold(table.awaitedHostIds());
        for (const id of table.awaitingIds()) if (!signal.aborted) await this.#look(id, signal, onChange);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        logger.warn({ problem: error.message }, "hosts that were away are not caught up");
      }
      await clock.sleep(POLL_MS, signal);
    }
    this.#hold([]);
  }

  /** Nobody else may want to connect to them. */
  #hold(hostIds: readonly string[]): void {
    const wanted = new Set(hostIds);
    for (const [id, release] of this.#held) {
      if (wanted.has(id)) continue;
      release();
      this.#held.delete(id);
    }
    for (const id of wanted) {
      const release = this.#held.has(id) ? undefined : this.#ports.registry.find(id)?.connection.need();
      if (release) this.#held.set(id, release);
    }
  }

  async #look(id: string, signal: AbortSignal, onChange: () => void): Promise<void> {
    const { table, registry, clock } = this.#ports;
    const stored = table.find(id);
    if (!stored) return;
    const due = stored.progress.hosts.filter((host) => {
      if (!host.isAside) return false;
      if (host.phase === "applying" || host.phase === "pending") return true;
      if (host.phase !== "away") return false;
      const isOld = clock.nowMs() >= (stored.facts.get(host.id)?.awaitedUntilMs ?? 0);
      const managed = registry.find(host.id);
      return isOld || !managed || managed.connection.state.reachability === Reachability.CONNECTED;
    });
    const state = this.#ports.programs.version(stored.specification.versionId);
    if (due.length === 0 || !state || !acquireLease(this.#ports, id)) return;
    const live = new LiveRollout(table.find(id) ?? stored, this.#ports);
    this.live.set(id, live);
    const stop = live.changes.subscribe(onChange);
    const freeze = () => live.freeze();
    signal.addEventListener("abort", freeze, { once: true });
    const renewing = setInterval(() => void this.#tryRenew(id), RENEW_MS);
    try {
      const work = new HostWork(live, state, this.#ports);
      await Promise.all(due.map((host) => this.#catchUp(live, work, state, host.id, signal)));
    } finally {
      clearInterval(renewing);
      signal.removeEventListener("abort", freeze);
      freeze();
      stop();
      this.live.delete(id);
      this.#ports.leases.release(leaseName(id), this.#ports.processId);
      onChange();
    }
  }

  #tryRenew(id: string): void {
    try {
      acquireLease(this.#ports, id);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  async #catchUp(
    live: LiveRollout,
    work: HostWork,
    state: DesiredState,
    id: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (live.host(id).phase === "away") {
      if (!(await this.#prepare(live, state, id))) return;
      await work.send(id);
    }
    if (live.host(id).phase === "applying") await work.follow(id, signal);
    if (live.host(id).phase !== "pending" || signal.aborted) return;
    const result = await watchHosts(live, work, [id], this.#ports, signal);
    if (live.host(id).phase !== "pending" || signal.aborted) return work.abandonProofs();
    if (live.stored.progress.phase !== "done") await work.rollBack(id, "the roll-out was stopped");
    else if (result.kind === "passed") await work.confirm(id, signal);
    else if (result.kind === "closed") {
      live.learn(id, { error: failureToDetail(gateClosed(live.host(id).name, result.why)) });
      await work.rollBack(id, result.why.slice(0, 500));
    }
    if (live.host(id).phase === "pending") await work.follow(id, signal);
  }

  /** Plans it against what the host enforces now. True when it is to be sent. */
  async #prepare(live: LiveRollout, state: DesiredState, id: string): Promise<boolean> {
    const { registry, clock, table, planner } = this.#ports;
    const drop = (failure: Failure) =>
      live.dispatch({ kind: "dropped", hostId: id }, { error: failureToDetail(failure) });
    const { awaitedUntilMs, name, baseStateDigest } = live.host(id);
    const host = registry.find(id);
    if (!host) {
      drop(notAnyMore(name, "it was removed from this console"));
      return false;
    }
    if (clock.nowMs() >= (awaitedUntilMs ?? 0)) {
      drop(notAnyMore(name, "it was away for too long"));
      return false;
    }
    if (table.newestFor(id) !== live.specification.id) {
      drop(notAnyMore(name, "a later change of it was rolled out"));
      return false;
    }
    const [outcome] = await planner.planVersion(state, [host]);
    const planned = outcome?.planned;
    if (planned?.away) return false;
    if (!planned) {
      const error = outcome?.wire.error;
      if (error && isAway(detailToFailure(error))) return false;
      this.#fail(live, id, error ?? failureToDetail(cannotPlan(host, name)));
      return false;
    }
    if (planned.isUnchangedIn(live.specification.mode)) {
      live.dispatch({ kind: "found-unchanged", hostId: id }, { error: null });
      return false;
    }
    if (planned.baseStateDigest !== baseStateDigest) {
      this.#fail(live, id, failureToDetail(changedByOthers(host, name)));
      return false;
    }
    const { baseGeneration, programDigest, forecastPerMinute } = planned;
    const receipt = { forecastDenialsPerMinute: forecastPerMinute };
    live.learn(id, { baseGeneration, programDigest, receipt, error: null });
    return true;
  }

  #fail(live: LiveRollout, id: string, error: ErrorDetail): void {
    live.dispatch({ kind: "failed", hostId: id }, { error });
  }
}

function notAnyMore(name: string, why: string): Failure {
  return new Failure({
    code: ErrorCode.CANCELED,
    message: `${name} does not get this change any more: ${why}.`,
    hint: "Plan and roll out what it should enforce now.",
    host: name,
  });
}

function cannotPlan(host: ManagedHost, name: string): Failure {
  return new Failure({
    code: ErrorCode.POLICY_UNSUPPORTED,
    message: `${name} refuses these policies, or they would cut this console off from it.`,
    hint: "Plan for this host to see why.",
    host: host.id,
  });
}

function changedByOthers(host: ManagedHost, name: string): Failure {
  const { enforced } = host.connection.state.status ?? {};
  const what = enforced
    ? `generation ${enforced.number}, applied by ${enforced.appliedBy || "somebody else"}`
    : "nothing";
  return new Failure({
    code: ErrorCode.GENERATION_CONFLICT,
    message: `${name} was changed by somebody else while it was away: it enforces ${what}. It was left as it is.`,
    hint: "Look at what it enforces now, then plan again.",
    host: name,
  });
}

function gateClosed(name: string, why: string): Failure {
  return new Failure({
    code: ErrorCode.CANCELED,
    message: why,
    hint: "Look at what it denied, then plan again.",
    host: name,
  });
}
