/** What a roll-out does to one host, each step with the event that it leads to. */
import { durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Generation, HostStatus } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgram } from "@wardline/domain/policy";
import { failureToDetail } from "@wardline/domain/wire";
import { agentFailure } from "../../agent/agent-failure.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../../hosts/managed-host.ts";
import type { Clock, Logger } from "../../ports.ts";
import type { DesiredState, HostPrograms } from "../desired-state.ts";
import type { HostChanges } from "../host-changes.ts";
import { type Counted, countPackets, since } from "./counting.ts";
import type { FreshProof } from "./fresh-proof.ts";
import { heardSince, type SentChange, type Standing, standingOf } from "./host-standing.ts";
import type { LiveRollout } from "./live-rollout.ts";

const POLL_MS = 250;
const STATUS_TIMEOUT_MS = 5_000;
/** A host that has not flipped so long after it was heard again never got the change. */
const ARRIVAL_MS = 5_000;
/** After its deadline a host has returned, whether it is heard or not. */
const RETURN_MS = 2_000;
const CONFIRM_ATTEMPTS = 3;
/** Less than this before the deadline the host is left to itself: an answer could come too late to mean anything. */
const CONFIRM_MARGIN_MS = 200;

export interface HostWorkPorts {
  readonly registry: HostRegistry;
  readonly changes: HostChanges;
  readonly programs: HostPrograms;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class HostWork {
  readonly #live: LiveRollout;
  readonly #ports: HostWorkPorts;
  readonly #state: DesiredState;
  /** Sent by this process: what is under way without being here was sent by one that has ended. */
  readonly #sentHere = new Set<string>();
  readonly proofs = new Map<string, FreshProof>();

  constructor(live: LiveRollout, state: DesiredState, ports: HostWorkPorts) {
    this.#live = live;
    this.#state = state;
    this.#ports = ports;
  }

  async send(id: string): Promise<void> {
    const { clock } = this.#ports;
    const { specification: spec } = this.#live;
    const host = this.#find(id);
    if (!host) return this.#fail(id, forgotten(this.#live.host(id).name));
    const sentAtMs = clock.nowMs();
    try {
      this.#live.dispatch({ kind: "sending", hostId: id }, { sentAtMs, error: null }, { mustBeWritten: true });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return this.#fail(id, error);
    }
    if (this.#live.isFrozen) return;
    this.#sentHere.add(id);
    const { programDigest, baseGeneration } = this.#live.host(id);
    const { files, stateDigest } = this.#state;
    const { mode, confirmWithinMs, reason, versionId } = spec;
    const planned = { files, stateDigest, programDigest, baseGeneration };
    // Who answers later would be confirmed too late with all the others of its stage.
    const timeoutMs = Math.max(10_000, confirmWithinMs);
    const outcome = await this.#tryApply(host, { ...planned, mode, confirmWithinMs, reason, versionId, timeoutMs });
    if (outcome.kind === "failed") return this.#fail(id, this.#explained(host, outcome.failure));
    if (outcome.kind === "unknown") return this.#live.learn(id, { error: failureToDetail(outcome.failure) });
    const { pending, timings } = outcome;
    const flippedAtMs = clock.nowMs();
    const deadlineMs = flippedAtMs + (pending.remaining ? durationMs(pending.remaining) : confirmWithinMs);
    await this.#flipped(host, pending.generation, deadlineMs, timings ? { timings } : {});
  }

  /** Follows a host that only it itself or time brings on, until that has happened. */
  async follow(id: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const beganMs = clock.nowMs();
    for (; !signal.aborted && !this.#live.isFrozen; await clock.sleep(POLL_MS, signal)) {
      const { phase } = this.#live.host(id);
      if (phase !== "applying" && phase !== "pending") return;
      const host = this.#find(id);
      if (!host) return this.#fail(id, forgotten(this.#live.host(id).name));
      const isOver =
        phase === "applying" ? await this.#settleSent(host, beganMs) : await this.#settleLost(host, beganMs);
      if (isOver) return;
    }
  }

  /** Keeps the change, over the connection that was opened since. */
  async confirm(id: string, signal: AbortSignal): Promise<void> {
    const host = this.#find(id);
    if (!host) return this.#lose(id, forgotten(this.#live.host(id).name));
    let failure = tooLate(host);
    for (let attempt = 0; attempt < CONFIRM_ATTEMPTS && !signal.aborted; attempt++) {
      const { deadlineMs, receipt } = this.#live.host(id);
      if (this.#ports.clock.nowMs() >= (deadlineMs ?? 0) - CONFIRM_MARGIN_MS) break;
      const number = receipt.generation?.number ?? 0n;
      try {
        const kept = await this.#confirmOnce(host, number, receipt.generation?.programDigest ?? "");
        return this.#confirmed(id, kept);
      } catch (error) {
        failure = agentFailure(error, hostNameOf(host));
        const isAnswer = failure.code === ErrorCode.NOTHING_PENDING || failure.code === ErrorCode.GENERATION_CONFLICT;
        if (isAnswer) return this.#settleRefusal(host, failure);
        await this.#ports.clock.sleep(POLL_MS, signal);
      }
    }
    if (!signal.aborted) this.#lose(id, failure);
  }

  async rollBack(id: string, reason: string): Promise<void> {
    const host = this.#find(id);
    const { phase, receipt, name } = this.#live.host(id);
    const isKept = phase === "confirmed";
    const cannot = (failure: Failure) => (isKept ? this.#notLeft(id, failure) : this.#lose(id, failure));
    if (!host) return cannot(forgotten(name));
    try {
      const { status } = await host.connection.call((client) => client.getStatus({}, { timeoutMs: STATUS_TIMEOUT_MS }));
      const standing = status ? standingOf(status, this.sent(id)) : "unknown";
      const number = standing === "kept" ? (status?.enforced?.number ?? 0n) : (receipt.generation?.number ?? 0n);
      if (standing !== "other") await this.#ports.changes.rollback(host, number, reason);
      this.#live.dispatch({ kind: "rolled-back", hostId: id });
    } catch (error) {
      cannot(agentFailure(error, hostNameOf(host)));
    }
  }

  /** How the host stands; `unknown` when it has not spoken since the flip. */
  standing(host: ManagedHost): { readonly standing: Standing; readonly status: HostStatus | null } {
    const { sentAtMs } = this.#live.host(host.id);
    const status = heardSince(host, sentAtMs ?? 0);
    return { standing: status ? standingOf(status, this.sent(host.id)) : "unknown", status };
  }

  sent(id: string): SentChange {
    const { baseGeneration, receipt } = this.#live.host(id);
    const { generation } = receipt;
    return {
      stateDigest: this.#state.stateDigest,
      baseGeneration,
      generation: generation?.number ?? 0n,
      appliedAtMs: generation?.appliedAt ? timestampMs(generation.appliedAt) : 0,
    };
  }

  /** Packets since the flip; `null` while the host has not said what it had counted before. */
  count(id: string, status: HostStatus): Counted | null {
    const { before } = this.#live.host(id);
    return before && since(countPackets(status, this.#program(id)), before);
  }

  rolledBackBy(id: string, failure: Failure): void {
    this.#live.dispatch({ kind: "rolled-back", hostId: id }, { error: failureToDetail(failure) });
  }

  /** Nobody can confirm it any more: it returns by itself. */
  lose(id: string, failure: Failure): void {
    this.#lose(id, failure);
  }

  confirmedByOthers(id: string, status: HostStatus): void {
    this.#confirmed(id, status.enforced);
  }

  /** Not acted upon any more: connections that were held are closed. */
  abandonProofs(): void {
    for (const proof of this.proofs.values()) proof.abandon();
    this.proofs.clear();
  }

  async #tryApply(host: ManagedHost, request: Parameters<HostChanges["apply"]>[1]) {
    try {
      return await this.#ports.changes.apply(host, request);
    } catch (error) {
      // The receipt could not be written, so nothing was sent.
      return { kind: "failed" as const, failure: agentFailure(error, hostNameOf(host)) };
    }
  }

  async #flipped(host: ManagedHost, generation: Generation | undefined, deadlineMs: number, receipt: object) {
    const appliedAt = timestampFromMs(this.#ports.clock.nowMs());
    const known = generation ? { generation } : {};
    const before = await this.#countNow(host);
    this.#live.dispatch(
      { kind: "flipped", hostId: host.id },
      { deadlineMs, before, error: null, receipt: { ...receipt, ...known, appliedAt } },
    );
  }

  /** The counters go on from what the same rules have counted before: what they say now is where counting begins. */
  async #countNow(host: ManagedHost): Promise<Counted | null> {
    try {
      const { status } = await host.connection.call((client) => client.getStatus({}, { timeoutMs: STATUS_TIMEOUT_MS }));
      return status ? countPackets(status, this.#program(host.id)) : null;
    } catch {
      return null;
    }
  }

  #program(id: string): HostProgram {
    return this.#ports.programs.enforced(this.#state, this.#live.host(id).name);
  }

  /** True when it is known what became of an apply without an answer. */
  async #settleSent(host: ManagedHost, beganMs: number): Promise<boolean> {
    const { clock } = this.#ports;
    const { sentAtMs, error } = this.#live.host(host.id);
    const status = heardSince(host, Math.max(beganMs, sentAtMs ?? 0));
    const standing = status ? standingOf(status, this.sent(host.id)) : "unknown";
    if (status?.pending && standing === "pending") {
      const { pending } = status;
      const remainingMs = pending.remaining ? durationMs(pending.remaining) : 0;
      await this.#flipped(host, pending.generation, clock.nowMs() + remainingMs, {});
      return true;
    }
    if (status && standing === "kept") {
      this.#confirmed(host.id, status.enforced);
      return true;
    }
    const { confirmWithinMs } = this.#live.specification;
    const hasArrivalTime = clock.nowMs() - beganMs >= ARRIVAL_MS;
    const isGone = clock.nowMs() - Math.max(beganMs, sentAtMs ?? 0) >= confirmWithinMs + ARRIVAL_MS;
    if (!(status && hasArrivalTime) && !isGone) return false;
    // A console that was killed while it sent: the host, which stands where it stood, can be sent it again.
    const isUntouched = status?.enforced?.number === this.#live.host(host.id).baseGeneration && !status.pending;
    if (!this.#sentHere.has(host.id) && isUntouched) this.#live.dispatch({ kind: "not-sent", hostId: host.id });
    else this.#live.dispatch({ kind: "failed", hostId: host.id }, { error: error ?? failureToDetail(noAnswer(host)) });
    return true;
  }

  /** True when a host that could not be reached after its flip has ended it, or must have. */
  async #settleLost(host: ManagedHost, beganMs: number): Promise<boolean> {
    const { error, deadlineMs } = this.#live.host(host.id);
    const status = heardSince(host, beganMs);
    const standing = status ? standingOf(status, this.sent(host.id)) : "unknown";
    if (status && standing === "kept") this.#confirmed(host.id, status.enforced);
    else if (standing === "other") this.#live.dispatch({ kind: "rolled-back", hostId: host.id });
    else if (this.#ports.clock.nowMs() >= (deadlineMs ?? 0) + RETURN_MS) {
      const detail = error ?? failureToDetail(tooLate(host));
      detail.hint = "It has returned by itself by now, as nobody confirmed; it was not heard of since.";
      this.#live.dispatch({ kind: "rolled-back", hostId: host.id }, { error: detail });
    } else if (standing === "pending") {
      await this.rollBack(host.id, "the roll-out was halted");
      return this.#live.host(host.id).phase !== "pending";
    } else return false;
    return true;
  }

  #confirmOnce(host: ManagedHost, generation: bigint, programDigest: string) {
    const { changes } = this.#ports;
    const proof = this.proofs.get(host.id);
    this.proofs.delete(host.id);
    if (proof) return proof.use((client) => changes.confirmOver(client, host, generation, programDigest));
    return host.connection.withFreshClient((client) => changes.confirmOver(client, host, generation, programDigest));
  }

  /** The host says that there is nothing to confirm. */
  async #settleRefusal(host: ManagedHost, failure: Failure): Promise<void> {
    const { status } = await host.connection
      .call((client) => client.getStatus({}, { timeoutMs: STATUS_TIMEOUT_MS }))
      .catch(() => ({ status: undefined }));
    if (status && standingOf(status, this.sent(host.id)) === "kept") return this.#confirmed(host.id, status.enforced);
    if (status && standingOf(status, this.sent(host.id)) === "other") return this.rolledBackBy(host.id, failure);
    this.#lose(host.id, failure);
  }

  #confirmed(id: string, generation: Generation | undefined): void {
    const confirmedAt = timestampFromMs(this.#ports.clock.nowMs());
    const receipt = { confirmedAt, ...(generation ? { generation } : {}) };
    this.#live.dispatch({ kind: "confirmed", hostId: id }, { error: null, receipt });
  }

  #fail(id: string, failure: Failure): void {
    this.#live.dispatch({ kind: "failed", hostId: id }, { error: failureToDetail(failure) });
  }

  #lose(id: string, failure: Failure): void {
    const detail = failureToDetail(failure);
    detail.hint = "It returns by itself when its time to confirm is over.";
    this.#live.dispatch({ kind: "lost", hostId: id }, { error: detail });
  }

  #notLeft(id: string, failure: Failure): void {
    this.#live.dispatch({ kind: "not-left", hostId: id }, { error: failureToDetail(failure) });
  }

  /** Another console was faster: said with who and when, where the host tells. */
  #explained(host: ManagedHost, failure: Failure): Failure {
    const isConflict =
      failure.code === ErrorCode.GENERATION_CONFLICT || failure.code === ErrorCode.CONFIRMATION_PENDING;
    const { status } = host.connection.state;
    const other = status?.pending?.generation ?? status?.enforced;
    if (!isConflict || !other || other.number === this.#live.host(host.id).baseGeneration) return failure;
    const when = other.appliedAt ? ` at ${new Date(timestampMs(other.appliedAt)).toISOString()}` : "";
    const { code, message, host: hostName } = failure;
    return new Failure({
      code,
      message: `${message} Generation ${other.number} was applied by ${other.appliedBy || "somebody else"}${when}.`,
      hint: "Look at what it enforces now, then plan again.",
      host: hostName,
    });
  }

  #find(id: string): ManagedHost | null {
    return this.#ports.registry.find(id);
  }
}

function forgotten(name: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `${name} was removed from this console meanwhile.`,
    hint: "What it enforces stays as it is; what was not confirmed there returns by itself.",
  });
}

function tooLate(host: ManagedHost): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: `The time to confirm on ${hostNameOf(host)} ran out.`,
    hint: "Give more time to confirm than hosts are watched for.",
    host: hostNameOf(host),
    retryable: true,
  });
}

function noAnswer(host: ManagedHost): Failure {
  return new Failure({
    code: ErrorCode.AGENT_UNREACHABLE,
    message: `The answer of ${hostNameOf(host)} never arrived, and it does not say that it took the change.`,
    hint: "If it did, it returns by itself, as nobody confirms.",
    host: hostNameOf(host),
    retryable: true,
  });
}
