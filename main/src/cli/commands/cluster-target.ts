/** What the commands of the cluster share: which host is asked, and where reads and writes go from there. */
import type { Client } from "@connectrpc/connect";
import type { ClusterService } from "@wardline/api/wardline/console/v1/cluster";
import type { ClusterStatus } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ClusterClient } from "../../backend/agent/dialer.ts";
import { NotSent } from "../../backend/cluster/cluster-calls.ts";
import type { WriteOptions } from "../../backend/cluster/cluster-writes.ts";
import type { HostCluster } from "../../backend/cluster/host-clusters.ts";
import { labelOf, type ManagedHost } from "../../backend/hosts/managed-host.ts";
import { type Session, withSession } from "../session.ts";
import type { ClusterOptions } from "./cluster.options.ts";

export interface ClusterTarget {
  readonly session: Session;
  readonly clusters: Client<typeof ClusterService>;
  /** The host of `--host`. */
  readonly host: ManagedHost;
  /** The cluster that it is in; empty when it is in none. */
  readonly clusterName: string;
  /** What the host said when it was asked. */
  readonly status: ClusterStatus | null;
  /** Through any member; at the host itself when it is alone. @throws Failure */
  read<Result>(body: (client: ClusterClient) => Promise<Result>): Promise<Result>;
  /** At the leader; at the host itself when it is alone. @throws Failure */
  write<Result>(body: (client: ClusterClient) => Promise<Result>, options?: WriteOptions): Promise<Result>;
}

/** Asks the host which cluster it is in, then runs `body`. @throws Failure of the host */
export async function withTarget<Result>(
  options: ClusterOptions,
  body: (target: ClusterTarget) => Promise<Result>,
): Promise<Result> {
  return withSession(options, {}, async (session) => {
    const { registry, clusters: gateway } = session.backend;
    const host = registry.byIdOrName(options.host);
    const place = await placeOf(session, host);
    const status = place.kind === "member" ? place.status : null;
    const clusterName = status?.clusterName ?? "";
    return body({
      ...{ session, clusters: session.clusters, host, clusterName, status },
      read: (call) => (clusterName === "" ? gateway.onHost(host, call) : gateway.read(clusterName, call)),
      write: (call, more) => (clusterName === "" ? gateway.onHost(host, call) : gateway.write(clusterName, call, more)),
    });
  });
}

/** As {@link withTarget}, for what only a cluster has. @throws Failure NOT_A_MEMBER */
export function withCluster<Result>(
  options: ClusterOptions,
  body: (target: ClusterTarget & { readonly status: ClusterStatus }) => Promise<Result>,
): Promise<Result> {
  return withTarget(options, (target) => {
    const { status } = target;
    if (status === null) throw notAMember(target.host);
    return body({ ...target, status });
  });
}

async function placeOf({ backend }: Session, host: ManagedHost): Promise<HostCluster> {
  const place = await backend.clusters.hosts.probe(host).catch((error: unknown) => {
    throw error instanceof NotSent ? error.failure : error;
  });
  if (place.kind !== "outdated") return place;
  throw new Failure({
    code: ErrorCode.VERSION_MISMATCH,
    message: `The agent on ${labelOf(host)} is older than clusters.`,
    hint: "Update it: wardline host upgrade",
    host: labelOf(host),
  });
}

function notAMember(host: ManagedHost): Failure {
  return new Failure({
    code: ErrorCode.NOT_A_MEMBER,
    message: `${labelOf(host)} is in no cluster.`,
    hint: "Make one with `wardline cluster init NAME`, let this host into one with `wardline cluster join`, or name a member with --host.",
    host: labelOf(host),
  });
}

/** Until Ctrl-C. A stream that breaks is taken up again; the first attempt has to succeed. @throws Failure */
export async function untilInterrupted(
  note: (text: string) => void,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  let isFirst = true;
  try {
    while (!stopping.signal.aborted) {
      try {
        await run(stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (isFirst || !(error instanceof Failure)) throw error;
        note(`${error.message} Trying again.`);
      }
      isFirst = false;
      await pause(RETRY_MS, stopping.signal);
    }
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

const RETRY_MS = 2_000;

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", done, { once: true });
  });
}
