/** From a plan to the first state of a roll-out. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { RolloutReceiptSchema } from "@wardline/api/wardline/console/v1/rollout";
import type { ErrorDetail } from "@wardline/api/wardline/v1/error";
import type { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { beginRollout, type Gates, planStages, requireTyped } from "@wardline/domain/fleet";
import { failureToDetail } from "@wardline/domain/wire";
import type { RolloutHostFacts, StoredRollout } from "../../store/rollouts-table.ts";
import type { PlannedHost, RefusedHost } from "../planner.ts";
import { isRed } from "../ship-service.ts";
import { AWAITED_MS } from "./catch-up.ts";

export interface RolloutDecision {
  readonly planned: readonly PlannedHost[];
  readonly refused: readonly RefusedHost[];
  readonly versionId: string;
  readonly mode: EnforcementMode;
  readonly confirmWithinMs: number;
  readonly gates: Gates;
  readonly isAutomatic: boolean;
  readonly catchesUp: boolean;
  readonly author: string;
  readonly reason: string;
  readonly typed: string;
  /** The stages of the hosts that are to change. */
  readonly stagesOf: (hostIds: readonly string[]) => readonly (readonly string[])[];
}

/** @throws Failure CONFIRMATION_REQUIRED, INVALID_ARGUMENT */
export function decideRollout(decision: RolloutDecision, nowMs: number): StoredRollout {
  const { planned, mode, catchesUp, gates, confirmWithinMs, versionId, author, reason } = decision;
  const unchanged = planned.filter((host) => host.isUnchangedIn(mode));
  const changing = planned.filter((host) => !host.isUnchangedIn(mode));
  const away = changing.filter((host) => host.away !== null);
  const now = changing.filter((host) => host.away === null);
  const meant = catchesUp ? changing : now;
  requireTyped(
    "apply to",
    meant.map(({ host, hostName }) => ({ name: hostName, isRed: isRed(host) })),
    decision.typed,
  );
  const progress = beginRollout({
    stages: decision.stagesOf(now.map(({ host }) => host.id)),
    isAutomatic: decision.isAutomatic,
    aside: [
      ...unchanged.map(({ host }) => ({ id: host.id, phase: "unchanged" as const })),
      ...away.map(({ host }) => ({ id: host.id, phase: catchesUp ? ("away" as const) : ("failed" as const) })),
      ...decision.refused.map(({ hostId }) => ({ id: hostId, phase: "failed" as const })),
    ],
  });
  const facts = new Map<string, RolloutHostFacts>();
  for (const host of planned) facts.set(host.host.id, plannedFacts(host, nowMs));
  for (const { hostId, hostName, error } of decision.refused) facts.set(hostId, noFacts(hostName, error));
  const specification = {
    id: randomUUID(),
    createdAtMs: nowMs,
    author,
    reason,
    versionId,
    mode,
    confirmWithinMs,
    gates,
  };
  return { specification, progress, facts, explanation: "", endedAtMs: progress.phase === "done" ? nowMs : null };
}

/** As the person asked. @throws Failure INVALID_ARGUMENT */
export function chosenStages(stagePercents: readonly number[], canaryHostIds: readonly string[]) {
  return (hostIds: readonly string[]) => planStages({ hostIds, stagePercents, canaryHostIds });
}

/** In the order in which an earlier roll-out had them. */
export function earlierStages(stageOf: ReadonlyMap<string, number>) {
  return (hostIds: readonly string[]): readonly (readonly string[])[] => {
    const groups = Map.groupBy(hostIds, (id) => stageOf.get(id) ?? 0);
    return [...groups].sort(([one], [other]) => one - other).map(([, ids]) => ids);
  };
}

function plannedFacts(host: PlannedHost, nowMs: number): RolloutHostFacts {
  const { hostName, baseGeneration, baseStateDigest, programDigest, forecastPerMinute, away } = host;
  return {
    ...noFacts(hostName, away ? failureToDetail(away) : null),
    baseGeneration,
    baseStateDigest,
    programDigest,
    awaitedUntilMs: away ? nowMs + AWAITED_MS : null,
    receipt: create(RolloutReceiptSchema, { forecastDenialsPerMinute: forecastPerMinute }),
  };
}

function noFacts(name: string, error: ErrorDetail | null): RolloutHostFacts {
  return {
    name,
    baseGeneration: 0n,
    baseStateDigest: "",
    programDigest: "",
    sentAtMs: null,
    deadlineMs: null,
    before: null,
    awaitedUntilMs: null,
    receipt: create(RolloutReceiptSchema),
    error,
  };
}
