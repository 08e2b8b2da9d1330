/** Which member is asked, and what is said when none can be. */
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import type { ClusterStatus } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ManagedHost } from "../hosts/managed-host.ts";
import { type ClusterHost, type KnownCluster, leaderOf } from "./known-cluster.ts";

export function isConnected({ state }: ManagedHost["connection"]): boolean {
  return state.reachability === Reachability.CONNECTED;
}

export function termOf({ currentTerm }: ClusterStatus): bigint {
  return currentTerm?.number ?? 0n;
}

/** Whether the one who says this is part of what it tells of. */
export function isListed({ self, members }: ClusterStatus): boolean {
  return members.some(({ record }) => record?.name === self);
}

/** Who tells most: members that the cluster lists, the leader first, then who may lead. */
export function byUse(hosts: readonly ClusterHost[], status: ClusterStatus | undefined): ManagedHost[] {
  const records = new Map(status?.members.map(({ record }) => [record?.name ?? "", record]));
  const leader = status ? leaderOf(status) : null;
  const rank = ({ self, status: own }: ClusterHost) => {
    if (self === leader) return 0;
    if (!isListed(own) || (status && !records.has(self))) return 3;
    return records.get(self)?.candidate ? 1 : 2;
  };
  return hosts
    .filter(({ host }) => isConnected(host.connection))
    .sort((a, b) => rank(a) - rank(b))
    .map(({ host }) => host);
}

/** Who is connected first; the others are connected for it. */
export function readersOf(cluster: KnownCluster): ManagedHost[] {
  const first = cluster.through ? [cluster.through] : [];
  const connected = byUse(cluster.hosts, cluster.status);
  return [...new Set([...first, ...connected, ...cluster.hosts.map(({ host }) => host)])];
}

/** Whether another member may answer where one did not. */
export function isWorthAsking({ code }: Failure): boolean {
  return ![
    ErrorCode.NOT_FOUND,
    ErrorCode.INVALID_ARGUMENT,
    ErrorCode.COMPACTED,
    ErrorCode.PERMISSION_DENIED,
    ErrorCode.UNAUTHENTICATED,
  ].includes(code);
}

export function requireFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  throw error;
}

export function ambiguous(name: string, clusters: readonly KnownCluster[]): Failure {
  const domains = clusters.map(({ status }) => status.trustDomain).join(", ");
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${clusters.length} clusters of this console are called ${JSON.stringify(name)} (trust domains ${domains}).`,
    hint: "Use a console that knows the hosts of one of them.",
  });
}

export function unknownCluster(name: string, failures: readonly Failure[]): Failure {
  const [only] = failures;
  if (only && failures.length === 1) return only;
  return new Failure({
    code: failures.length === 0 ? ErrorCode.NOT_FOUND : ErrorCode.HOST_UNREACHABLE,
    message: `No host of this console that answers is in a cluster ${JSON.stringify(name.slice(0, 100))}.`,
    hint:
      failures.length === 0
        ? "`wardline cluster list` shows which there are."
        : `${failures.length} hosts did not answer.`,
    retryable: failures.length > 0,
  });
}
