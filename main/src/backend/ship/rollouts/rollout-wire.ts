/** Roll-outs on the wire. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Rollout,
  type RolloutHost,
  RolloutHostSchema,
  RolloutHostState,
  RolloutSchema,
  RolloutState,
} from "@wardline/api/wardline/console/v1/rollout";
import { PendingConfirmationSchema } from "@wardline/api/wardline/v1/host";
import type { HostPhase, HostProgress, RolloutPhase } from "@wardline/domain/fleet";
import type { RolloutHostFacts, StoredRollout } from "../../store/rollouts-table.ts";

const STATES: Readonly<Record<RolloutPhase, RolloutState>> = {
  running: RolloutState.RUNNING,
  waiting: RolloutState.WAITING,
  done: RolloutState.DONE,
  halted: RolloutState.HALTED,
  stopped: RolloutState.STOPPED,
};

const HOST_STATES: Readonly<Record<HostPhase, RolloutHostState>> = {
  waiting: RolloutHostState.WAITING,
  applying: RolloutHostState.APPLYING,
  pending: RolloutHostState.PENDING,
  confirmed: RolloutHostState.CONFIRMED,
  "rolled-back": RolloutHostState.ROLLED_BACK,
  failed: RolloutHostState.FAILED,
  away: RolloutHostState.AWAY,
  unchanged: RolloutHostState.UNCHANGED,
  "not-started": RolloutHostState.NOT_STARTED,
};

export function toWireRollout(stored: StoredRollout, nowMs: number): Rollout {
  const { specification: spec, progress, facts, endedAtMs } = stored;
  const wire = create(RolloutSchema, {
    id: spec.id,
    state: STATES[progress.phase],
    startedAt: timestampFromMs(spec.createdAtMs),
    author: spec.author,
    reason: spec.reason,
    versionId: spec.versionId,
    mode: spec.mode,
    stage: progress.stage,
    stageCount: progress.stageCount,
    hosts: progress.hosts.flatMap((host) => {
      const known = facts.get(host.id);
      return known ? [toWireHost(host, known, nowMs)] : [];
    }),
    explanation: explain(stored),
  });
  if (endedAtMs !== null) wire.endedAt = timestampFromMs(endedAtMs);
  return wire;
}

function toWireHost(host: HostProgress, facts: RolloutHostFacts, nowMs: number): RolloutHost {
  const { receipt, error, deadlineMs } = facts;
  const wire = create(RolloutHostSchema, {
    hostId: host.id,
    hostName: facts.name,
    state: HOST_STATES[host.phase],
    stage: host.stage,
    receipt,
  });
  if (error) wire.error = error;
  if (host.phase === "pending" && receipt.generation && deadlineMs !== null) {
    wire.pending = create(PendingConfirmationSchema, {
      generation: receipt.generation,
      deadline: timestampFromMs(deadlineMs),
      remaining: durationFromMs(Math.max(0, deadlineMs - nowMs)),
    });
  }
  return wire;
}

/** Why it halted or waits, in one sentence. */
function explain({ progress, explanation }: StoredRollout): string {
  const { hosts, stage, stageCount, phase } = progress;
  if (phase === "waiting") {
    const next = hosts.filter((host) => !host.isAside && host.stage === stage).length;
    return `Stage ${stage} of ${stageCount} is confirmed. Stage ${stage + 1} has ${hostCount(next)} and begins when somebody lets it.`;
  }
  const away = hosts.filter((host) => host.phase === "away").length;
  if (phase === "done" && away > 0) return `${hostCount(away)} could not be reached and will get it on return.`;
  return explanation;
}

function hostCount(count: number): string {
  return count === 1 ? "1 host" : `${count} hosts`;
}
