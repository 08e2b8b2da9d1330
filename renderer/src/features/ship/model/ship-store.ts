import { type ApplyResponse, type PlanResponse, ReceiptOutcome } from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { create } from "zustand";
import type { ConsoleConnection } from "../../../data/console-connection.ts";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";

/** One apply as this window started it. */
export interface ApplyJob {
  readonly isRunning: boolean;
  /** What it promised; stays in sight while it waits to be kept. */
  readonly plan: PlanResponse;
  /** The newest message of each host. */
  readonly hosts: ReadonlyMap<string, ApplyResponse>;
  readonly failure: ShownFailure | null;
}

/** How a generation that waited for confirmation ended; shown until it is put away. */
export interface PendingEnd {
  readonly hostId: string;
  readonly hostName: string;
  readonly generation: bigint;
  readonly outcome: ReceiptOutcome;
}

/** How a change of several hosts goes from one to the next. */
export interface RolloutDraft {
  readonly stages: "all" | "one" | "tenth";
  /** A host for the first stage; empty = any. */
  readonly canaryHostId: string;
  /** Goes on by itself after each stage that passed. */
  readonly isAutomatic: boolean;
  readonly watchSeconds: number;
  readonly hasCatchUp: boolean;
  /** The words that such a change needs. */
  readonly typed: string;
}

export const STAGE_PERCENTS: Record<RolloutDraft["stages"], readonly number[]> = {
  all: [],
  one: [1, 100],
  tenth: [1, 10, 100],
};

interface ShipState {
  readonly rollout: RolloutDraft;
  readonly job: ApplyJob | null;
  readonly ends: readonly PendingEnd[];
  readonly mode: EnforcementMode;
  readonly confirmWithinSeconds: number;
  readonly reason: string;
  /** Empty = there is none. */
  readonly ticket: string;
  /** Why policy tests that fail are overridden; for one apply only. */
  readonly overrideTestsReason: string;
  /** `host:generation` of a confirm or roll back under way. */
  readonly busy: ReadonlySet<string>;
  readonly decisionFailure: ShownFailure | null;
  readonly set: (change: Partial<ShipState>) => void;
}

export const useShip = create<ShipState>()((set) => ({
  job: null,
  ends: [],
  mode: EnforcementMode.OBSERVE,
  confirmWithinSeconds: 120,
  reason: "",
  ticket: "",
  overrideTestsReason: "",
  rollout: {
    stages: "one",
    canaryHostId: "",
    isAutomatic: true,
    watchSeconds: 10,
    hasCatchUp: true,
    typed: "",
  },
  busy: new Set(),
  decisionFailure: null,
  set: (change) => set(change),
}));

/** Applies a plan. The job goes on when the drawer is closed; the agents hold the deadline whatever happens here. */
export async function applyPlan(connection: ConsoleConnection, plan: PlanResponse): Promise<void> {
  const { set, mode, confirmWithinSeconds, reason, ticket, overrideTestsReason } = useShip.getState();
  let job: ApplyJob = { isRunning: true, plan, hosts: new Map(), failure: null };
  set({ job, ends: [], decisionFailure: null });
  try {
    const confirmWithin = { seconds: BigInt(confirmWithinSeconds), nanos: 0 };
    const overrideFailedTestsReason = (plan.tests?.failedCount ?? 0) > 0 ? overrideTestsReason : "";
    const request = { planId: plan.planId, mode, confirmWithin, reason, ticket, overrideFailedTestsReason };
    for await (const message of connection.ship.apply(request)) {
      job = { ...job, hosts: new Map(job.hosts).set(message.hostId, message) };
      set({ job });
    }
    set({ job: { ...job, isRunning: false }, overrideTestsReason: "" });
  } catch (error) {
    set({ job: { ...job, isRunning: false, failure: shownFailure(error) } });
  }
}

/** Starts a roll-out of a plan. It goes on in the backend whatever this window does. */
export async function startRollout(connection: ConsoleConnection, plan: PlanResponse): Promise<ShownFailure | null> {
  const { set, mode, confirmWithinSeconds, reason, ticket, overrideTestsReason, rollout } = useShip.getState();
  try {
    await connection.rollouts.startRollout({
      planId: plan.planId,
      mode,
      reason,
      ticket,
      confirmWithin: { seconds: BigInt(confirmWithinSeconds), nanos: 0 },
      overrideFailedTestsReason: (plan.tests?.failedCount ?? 0) > 0 ? overrideTestsReason : "",
      stagePercents: [...STAGE_PERCENTS[rollout.stages]],
      canaryHostIds: rollout.canaryHostId === "" ? [] : [rollout.canaryHostId],
      automatic: rollout.isAutomatic,
      gates: { watchFor: { seconds: BigInt(rollout.watchSeconds), nanos: 0 } },
      catchUp: rollout.hasCatchUp,
      typed: rollout.typed,
    });
    set({ job: null, overrideTestsReason: "", rollout: { ...rollout, typed: "" } });
    return null;
  } catch (error) {
    return shownFailure(error);
  }
}

export type PendingDecision = "keep" | "roll-back";

export async function decidePending(
  connection: ConsoleConnection,
  decision: PendingDecision,
  target: { readonly hostId: string; readonly hostName: string; readonly generation: bigint },
): Promise<void> {
  const { hostId, hostName, generation } = target;
  const key = `${hostId}:${generation}`;
  const { set, busy } = useShip.getState();
  if (busy.has(key)) return;
  set({ busy: new Set(busy).add(key), decisionFailure: null });
  try {
    if (decision === "keep") await connection.ship.confirm({ hostId, generation });
    else await connection.ship.rollback({ hostId, generation, reason: "Rolled back in the console" });
    const outcome = decision === "keep" ? ReceiptOutcome.CONFIRMED : ReceiptOutcome.ROLLED_BACK;
    noteEnd({ hostId, hostName, generation, outcome });
  } catch (error) {
    set({ decisionFailure: shownFailure(error) });
  } finally {
    const rest = new Set(useShip.getState().busy);
    rest.delete(key);
    set({ busy: rest });
  }
}

/** Keeps how a pending generation ended; the first word about one generation stands. */
export function noteEnd(end: PendingEnd): void {
  const { ends, set } = useShip.getState();
  if (ends.some((known) => known.hostId === end.hostId && known.generation === end.generation)) return;
  set({ ends: [end, ...ends].slice(0, 5), job: null });
}
