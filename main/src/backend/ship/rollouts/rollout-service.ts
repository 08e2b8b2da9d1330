/** Staged changes of many hosts: started, watched, let go on, stopped, tried again; taken up after a restart. */
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/rollout";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type Gates, requireGates, USUAL_WATCH_MS } from "@wardline/domain/fleet";
import { ChangeSignal } from "../../async/signal.ts";
import type { Workspace } from "../../policies/workspace.ts";
import { boundedReason, boundedTicket, type Guard } from "../../rpc/guard.ts";
import type { RolloutRequest, StoredRollout } from "../../store/rollouts-table.ts";
import type { Planner } from "../planner.ts";
import { reasonWithOverride } from "../policy-tests.ts";
import { confirmationTime, requireMode } from "../ship-service.ts";
import { CatchUp, type CatchUpPorts } from "./catch-up.ts";
import { LiveRollout } from "./live-rollout.ts";
import { acquireLease, RolloutDriver } from "./rollout-driver.ts";
import { chosenStages, decideRollout, earlierStages, type RolloutDecision } from "./rollout-start.ts";
import { toWireRollout } from "./rollout-wire.ts";

/** Shown newest first; older ones stay in the store. */
const MAX_SHOWN = 20;
const POLL_MS = 500;
/** Many hosts change many times a second; a person sees no more than this. */
const BETWEEN_MESSAGES_MS = 150;
const RETRIED = new Set(["failed", "rolled-back", "not-started"]);

export interface RolloutServicePorts extends CatchUpPorts {
  readonly planner: Planner;
  readonly workspace: Workspace;
  readonly userName: string;
  /** Takes up what other processes left, and hosts that return. A command brings on only what it was asked for. */
  readonly takesUp: boolean;
}

export class RolloutServiceImpl {
  readonly changes = new ChangeSignal();
  readonly #ports: RolloutServicePorts;
  readonly #drivers = new Map<string, RolloutDriver>();
  readonly #catchUp: CatchUp;
  /** Asked for in this process. */
  readonly #wanted = new Set<string>();
  readonly #ended = new Set<Promise<void>>();
  #closing = new AbortController().signal;
  #listed: StoredRollout[] | null = null;
  #listedRevision = -1;

  constructor(ports: RolloutServicePorts) {
    this.#ports = ports;
    this.#catchUp = new CatchUp(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.RolloutService> {
    return {
      startRollout: guard.unary((request: wire.StartRolloutRequest) => this.start(request)),
      watchRollouts: guard.stream((_request: wire.WatchRolloutsRequest, signal) => this.watch(signal)),
      continueRollout: guard.unary((request: wire.ContinueRolloutRequest) => this.continue(request)),
      stopRollout: guard.unary((request: wire.StopRolloutRequest) => this.stop(request)),
      retryRollout: guard.unary((request: wire.RetryRolloutRequest) => this.retry(request)),
    };
  }

  /** The work in the background, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#closing = signal;
    const { takesUp, clock, logger } = this.#ports;
    const catchingUp = takesUp ? this.#catchUp.run(signal, () => this.#changed()) : Promise.resolve();
    while (!signal.aborted) {
      try {
        this.#takeUp();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        logger.warn({ problem: error.message }, "roll-outs not taken up");
      }
      await clock.sleep(POLL_MS, signal);
    }
    await Promise.all([catchingUp, ...this.#ended]);
  }

  /**
   * @throws Failure INVALID_ARGUMENT, PLAN_STALE, POLICY_TESTS_FAILED, CONFIRMATION_REQUIRED, CONFIRMATION_PENDING (another
   * roll-out of one of the hosts): nothing was sent
   */
  start(request: wire.StartRolloutRequest) {
    const { planner, workspace, userName } = this.#ports;
    const confirmWithinMs = confirmationTime(request.confirmWithin);
    requireMode(request.mode);
    const gates = gatesOf(request.gates);
    requireGates(gates, confirmWithinMs);
    const ticket = boundedTicket(request.ticket);
    const plan = planner.takeForRollout(request.planId);
    const reason = reasonWithOverride(request.reason, request.overrideFailedTestsReason, plan.failedTestCount);
    const rolloutId = this.#begin(
      {
        planned: plan.hosts,
        refused: plan.refused,
        versionId: plan.state.stateDigest,
        mode: request.mode,
        confirmWithinMs,
        gates,
        isAutomatic: request.automatic,
        catchesUp: request.catchUp,
        author: userName,
        reason,
        typed: request.typed,
        stagesOf: chosenStages(request.stagePercents, request.canaryHostIds),
      },
      () => workspace.recordVersion(userName, reason || "Rolled out", { kind: "rolled-out", ticket }),
    );
    return create(wire.StartRolloutResponseSchema, { rolloutId });
  }

  async *watch(signal: AbortSignal) {
    const { clock } = this.#ports;
    for (let sequence = 1n; !signal.aborted; sequence++) {
      const seen = this.changes.version;
      const nowMs = clock.nowMs();
      const rollouts = this.list().map((stored) => toWireRollout(stored, nowMs));
      yield create(wire.WatchRolloutsResponseSchema, { sequence, rollouts });
      await clock.sleep(BETWEEN_MESSAGES_MS, signal);
      while (!signal.aborted && this.changes.version === seen && !this.#isListOld()) {
        await this.changes.wait(seen, POLL_MS, signal);
      }
    }
  }

  /** @throws Failure NOT_FOUND, INVALID_ARGUMENT */
  continue(request: wire.ContinueRolloutRequest) {
    const { progress } = this.#get(request.rolloutId);
    if (progress.phase !== "waiting" || progress.stage !== request.stage) {
      throw refusedNow(
        progress.phase === "waiting"
          ? `The roll-out waits before stage ${progress.stage + 1}, not before stage ${request.stage + 1}.`
          : "The roll-out does not wait for anybody now.",
      );
    }
    this.#request(request.rolloutId, { kind: "continue", stage: request.stage });
    return create(wire.ContinueRolloutResponseSchema);
  }

  /** @throws Failure NOT_FOUND, INVALID_ARGUMENT */
  stop(request: wire.StopRolloutRequest) {
    const reason = boundedReason(request.reason);
    const { progress, endedAtMs } = this.#get(request.rolloutId);
    const isAwaiting = progress.hosts.some(
      ({ phase }) => phase === "away" || phase === "applying" || phase === "pending",
    );
    const isKept = progress.hosts.some(({ phase }) => phase === "confirmed");
    if (endedAtMs !== null && !isAwaiting && !(request.confirmedToo && isKept)) {
      throw refusedNow("The roll-out has ended; there is nothing in it to stop.");
    }
    this.#request(request.rolloutId, { kind: "stop", confirmedToo: request.confirmedToo, reason });
    return create(wire.StopRolloutResponseSchema);
  }

  /** Plans the same state anew for the hosts that do not have it. @throws Failure as {@link start}, and NOT_FOUND */
  async retry(request: wire.RetryRolloutRequest) {
    const { planner, registry, userName } = this.#ports;
    const { specification: spec, progress, endedAtMs } = this.#get(request.rolloutId);
    if (endedAtMs === null) throw refusedNow("The roll-out has not ended yet.");
    const ids = progress.hosts.filter(({ phase }) => RETRIED.has(phase)).map(({ id }) => id);
    const hosts = ids.flatMap((id) => registry.find(id) ?? []);
    const state = planner.programs.version(spec.versionId);
    if (hosts.length === 0 || !state) throw refusedNow("Every host of the roll-out has what was rolled out.");
    const outcomes = await planner.planVersion(state, hosts);
    const rolloutId = this.#begin({
      ...spec,
      planned: outcomes.flatMap(({ planned }) => planned ?? []),
      refused: planner.refusedOf(outcomes),
      isAutomatic: progress.isAutomatic,
      catchesUp: false,
      author: userName,
      typed: request.typed,
      stagesOf: earlierStages(new Map(progress.hosts.map(({ id, stage }) => [id, stage]))),
    });
    return create(wire.RetryRolloutResponseSchema, { rolloutId });
  }

  /** Newest first, as this process knows them best. */
  list(): StoredRollout[] {
    if (this.#listed === null || this.#isListOld()) {
      this.#listedRevision = this.#ports.table.revision();
      this.#listed = this.#ports.table.list(MAX_SHOWN);
    }
    return this.#listed.map((stored) => this.#liveOf(stored.specification.id)?.stored ?? stored);
  }

  #isListOld(): boolean {
    // What is driven here is overlaid: only what others wrote, or what began or ended here, is read again.
    return this.#drivers.size === 0 && this.#catchUp.live.size === 0
      ? this.#ports.table.revision() !== this.#listedRevision
      : this.#listed === null;
  }

  #begin(decision: RolloutDecision, beforeInsert: () => void = () => undefined): string {
    const { table, clock } = this.#ports;
    const rollout = decideRollout(decision, clock.nowMs());
    const { id } = rollout.specification;
    const other = table.openFor(rollout.progress.hosts.filter(({ isAside }) => !isAside).map((host) => host.id));
    if (other) {
      throw new Failure({
        code: ErrorCode.CONFIRMATION_PENDING,
        message: `Another roll-out, ${other.id.slice(0, 8)}, is under way and changes ${other.hostName}. Nothing was sent.`,
        hint: "Let it end, or stop it.",
      });
    }
    beforeInsert();
    table.insert(rollout);
    this.#listed = null;
    this.#wanted.add(id);
    this.#drive(id);
    this.#changed();
    return id;
  }

  #request(id: string, request: RolloutRequest): void {
    const driver = this.#drivers.get(id);
    if (driver) driver.request(request);
    else {
      this.#ports.table.request(id, request);
      this.#wanted.add(id);
      this.#drive(id);
    }
    this.#changed();
  }

  #takeUp(): void {
    const { table, takesUp } = this.#ports;
    for (const id of table.dueIds()) if (takesUp || this.#wanted.has(id)) this.#drive(id);
  }

  #drive(id: string): void {
    const { table, planner, logger } = this.#ports;
    if (this.#closing.aborted || this.#liveOf(id) || !acquireLease(this.#ports, id)) return;
    const stored = table.find(id);
    const state = stored && planner.programs.version(stored.specification.versionId);
    if (!stored || !state) {
      logger.error({ rollout: id }, "a roll-out without its version cannot go on");
      return;
    }
    const driver = new RolloutDriver(new LiveRollout(stored, this.#ports), state, this.#ports);
    this.#drivers.set(id, driver);
    const stopListening = driver.live.changes.subscribe(() => this.#changed());
    const run = driver
      .run(this.#closing)
      .catch((error: unknown) => logger.error({ rollout: id, err: error }, "a roll-out met a defect"))
      .finally(() => {
        stopListening();
        this.#drivers.delete(id);
        this.#ended.delete(run);
        this.#listed = null;
        this.#changed();
      });
    this.#ended.add(run);
  }

  #liveOf(id: string): LiveRollout | null {
    return this.#drivers.get(id)?.live ?? this.#catchUp.live.get(id) ?? null;
  }

  #get(id: string): StoredRollout {
    const stored = this.#liveOf(id)?.stored ?? this.#ports.table.find(id);
    if (stored) return stored;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no roll-out ${JSON.stringify(id.slice(0, 40))} on this console.`,
      hint: "List the roll-outs to see which there are.",
    });
  }

  #changed(): void {
    this.changes.notify();
  }
}

function gatesOf(gates: wire.RolloutGates | undefined): Gates {
  return {
    watchMs: gates?.watchFor ? durationMs(gates.watchFor) : USUAL_WATCH_MS,
    denialsAboveForecast: gates?.denialsAboveForecast ?? 0,
  };
}

function refusedNow(message: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message,
    hint: "Look at the roll-out as it stands now.",
  });
}
