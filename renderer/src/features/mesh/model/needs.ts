/** What of the mesh waits for a person. */
import type { HostHealingRun, MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import { HealingOutcome, HealingPhase, type HealingRun, HealingState } from "@wardline/api/wardline/v1/mesh";

export type RunGroup = "person" | "open" | "ended";

const ENDED: ReadonlySet<HealingState> = new Set([HealingState.HEALED, HealingState.CLEARED, HealingState.STOPPED]);

/** Somebody has to decide, or to look because nothing helped. */
export function needsPerson({ state, endedAt }: HealingRun): boolean {
  return state === HealingState.WAITING_FOR_APPROVAL || (state === HealingState.ESCALATED && endedAt === undefined);
}

export function groupOf(run: HealingRun): RunGroup {
  if (needsPerson(run)) return "person";
  return ENDED.has(run.state) || run.endedAt !== undefined ? "ended" : "open";
}

/** Whether anything was done to a host; what was only tried out without effect does not count. */
export function wasRepairTried({ steps }: HealingRun): boolean {
  return steps.some(
    ({ phase, outcome, dryRun }) =>
      phase === HealingPhase.EXECUTE &&
      !dryRun &&
      (outcome === HealingOutcome.DONE || outcome === HealingOutcome.FAILED),
  );
}

/** Why a run that nothing healed is left to a person. */
export function escalationText(run: HealingRun): string {
  return wasRepairTried(run) ? "What was tried did not help" : "Nothing was tried: there is nothing the loop may do";
}

/** Runs that wait for a person, in the order in which they were told. */
export function waitingRuns(mesh: MeshSummary | null): readonly HostHealingRun[] {
  return (mesh?.runs ?? []).filter(({ run }) => run !== undefined && needsPerson(run));
}
