/** What of a cluster waits for a person. */
import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import { MemberState, SetState, SyncState } from "@wardline/api/wardline/v1/cluster";
import type { PendingOnHost } from "../../../data/hosts-snapshot.ts";

/** A set to confirm, a store that cannot be written, members that are gone, and hosts that refused the set. */
export function clusterNeeds({ status, problem }: ClusterView): number {
  if (!status) return problem ? 1 : 0;
  const waiting = status.head?.state === SetState.PENDING ? 1 : 0;
  const store = status.storeWritable ? 0 : 1;
  const members = status.members.filter(
    ({ state, report }) =>
      state === MemberState.GONE ||
      state === MemberState.UNHEALTHY ||
      report?.state === SyncState.REFUSED ||
      report?.state === SyncState.ROLLED_BACK,
  );
  return waiting + store + members.length;
}

/** Whether a generation waits on a host because the cluster's set does: it is decided there, for all hosts at once. */
export function waitsWithCluster(
  entry: Pick<PendingOnHost, "hostId" | "pending">,
  clusters: readonly ClusterView[],
): boolean {
  return clusters.some(({ status, hostIds }) =>
    (status?.members ?? []).some(
      ({ record, report }) =>
        hostIds[record?.name ?? ""] === entry.hostId &&
        report !== undefined &&
        report.activeSetNumber > 0n &&
        report.generation === entry.pending.generation?.number,
    ),
  );
}
