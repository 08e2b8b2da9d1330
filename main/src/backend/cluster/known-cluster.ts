/** One cluster as this console knows it: who of its hosts is in it, and what it was last said to be. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type ClusterView, ClusterViewSchema } from "@wardline/api/wardline/console/v1/cluster";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { type ClusterStatus, ClusterStatusSchema } from "@wardline/api/wardline/v1/cluster";
import type { Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { labelOf, type ManagedHost } from "../hosts/managed-host.ts";

export interface ClusterHost {
  readonly host: ManagedHost;
  /** Its name in the cluster. */
  readonly self: string;
  readonly status: ClusterStatus;
  readonly isShort: boolean;
  readonly receivedAtMs: number;
}

export interface KnownCluster {
  readonly key: string;
  readonly name: string;
  readonly status: ClusterStatus;
  readonly receivedAtMs: number;
  /** Who said so. */
  readonly through: ManagedHost | null;
  /** Why nothing newer is known; `null` while a member answers. */
  readonly problem: Failure | null;
  /** This console's hosts that say they are in it, in the order of the list. */
  readonly hosts: readonly ClusterHost[];
}

/** Who leads now; `null` = nobody. */
export function leaderOf({ currentTerm }: ClusterStatus): string | null {
  if (!currentTerm || currentTerm.endedAt || currentTerm.leader === "") return null;
  return currentTerm.leader;
}

/** This console's host of a member: one that says it is it, and that the cluster lists. The first of several. */
export function hostOfMember(cluster: KnownCluster, memberName: string): ManagedHost | null {
  if (!listedNames(cluster.status).has(memberName)) return null;
  return cluster.hosts.find(({ self }) => self === memberName)?.host ?? null;
}

export function viewOf(cluster: KnownCluster): ClusterView {
  const { status, through, problem } = cluster;
  const listed = listedNames(status);
  const hostIds = new Map<string, string>();
  const problems = [...status.problems];
  for (const { host, self } of cluster.hosts) {
    const isHeard = host.connection.state.reachability === Reachability.CONNECTED;
    if (!listed.has(self)) {
      // One that was removed while it was away cannot know.
      if (!isHeard) continue;
      problems.push(`${labelOf(host)} says that it is ${self} in this cluster, which does not list it.`);
    } else if (hostIds.has(self)) {
      problems.push(`${labelOf(host)} says that it is ${self}, as another host does.`);
    } else hostIds.set(self, host.id);
  }
  return create(ClusterViewSchema, {
    status: create(ClusterStatusSchema, { ...status, problems }),
    throughHostId: through?.id ?? "",
    throughHostName: through ? labelOf(through) : "",
    receivedAt: timestampFromMs(cluster.receivedAtMs),
    ...(problem ? { problem: failureToDetail(problem) } : {}),
    hostIds: Object.fromEntries(hostIds),
  });
}

function listedNames({ members }: ClusterStatus): ReadonlySet<string> {
  return new Set(members.map(({ record }) => record?.name ?? ""));
}
