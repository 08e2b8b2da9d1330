import type { AccessChange, HostPlan } from "@wardline/api/wardline/console/v1/ship";
import { Verdict } from "@wardline/api/wardline/v1/policy";

export interface AccessGroups {
  readonly gained: readonly AccessChange[];
  readonly lost: readonly AccessChange[];
  /** Same verdict before and after, decided by something else. */
  readonly other: readonly AccessChange[];
  /** Recorded flows of the last hour that the lost accesses carried. */
  readonly flowsLost: bigint;
}

/** Who gains and who loses; what carries recorded traffic comes first. */
export function groupAccess(changes: readonly AccessChange[]): AccessGroups {
  const byTraffic = [...changes].sort((a, b) =>
    a.recordedFlows < b.recordedFlows ? 1 : a.recordedFlows > b.recordedFlows ? -1 : 0,
  );
  const isGain = (change: AccessChange) => change.newVerdict === Verdict.ALLOW && change.oldVerdict !== Verdict.ALLOW;
  const isLoss = (change: AccessChange) => change.newVerdict === Verdict.DENY && change.oldVerdict !== Verdict.DENY;
  const lost = byTraffic.filter(isLoss);
  return {
    gained: byTraffic.filter(isGain),
    lost,
    other: byTraffic.filter((change) => !isGain(change) && !isLoss(change)),
    flowsLost: lost.reduce((sum, change) => sum + change.recordedFlows, 0n),
  };
}

/** What a plan for several hosts comes to: the first thing to read of it. */
export interface PlanTotals {
  readonly changingHosts: number;
  readonly lost: number;
  readonly gained: number;
  /** Recorded flows of the last hour that the lost accesses carried. */
  readonly flowsLost: bigint;
  /** Hosts that list only a part of their changes: the counts above are at least so many. */
  readonly isPartial: boolean;
}

export function totalsOf(hosts: readonly HostPlan[]): PlanTotals {
  const changing = hosts.filter(({ error, unchanged }) => !error && !unchanged);
  const groups = changing.map(({ accessChanges }) => groupAccess(accessChanges));
  return {
    changingHosts: changing.length,
    lost: groups.reduce((sum, { lost }) => sum + lost.length, 0),
    gained: groups.reduce((sum, { gained }) => sum + gained.length, 0),
    flowsLost: groups.reduce((sum, { flowsLost }) => sum + flowsLost, 0n),
    isPartial: changing.some(({ accessChangesLeftOut }) => accessChangesLeftOut > 0),
  };
}
