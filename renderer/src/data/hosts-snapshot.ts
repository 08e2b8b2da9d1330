import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  EnvironmentColor,
  type Host,
  Reachability,
  type WatchHostsResponse,
} from "@wardline/api/wardline/console/v1/hosts";
import { BackendKind, type PendingConfirmation, Role } from "@wardline/api/wardline/v1/host";

/** A generation that waits for confirmation, with its deadline on the window's own clock. */
export interface PendingOnHost {
  readonly hostId: string;
  readonly hostName: string;
  readonly pending: PendingConfirmation;
  /** `performance.now()` at which the agent rolls back. The clocks of host and window never need to agree. */
  readonly deadlineMonotonicMs: number;
  /** The longest remaining time ever seen for it: the whole ring of the countdown. */
  readonly totalMs: number;
}

export interface HostsSnapshot {
  readonly hosts: readonly Host[];
  /** Add to `Date.now()` for the console's clock. */
  readonly clockOffsetMs: number;
  readonly pending: readonly PendingOnHost[];
}

/** The deadline only ever moves earlier for one generation: a late message must not promise more time than there is. */
export function reduceHosts(
  previous: HostsSnapshot | null,
  message: WatchHostsResponse,
  monotonicMs: number,
  wallMs: number,
): HostsSnapshot {
  const pending: PendingOnHost[] = [];
  for (const host of message.hosts) {
    const waiting = host.status?.pending;
    if (!waiting) continue;
    const remainingMs = durationMs(waiting.remaining);
    const former = previous?.pending.find(
      (entry) => entry.hostId === host.id && entry.pending.generation?.number === waiting.generation?.number,
    );
    const deadlineMonotonicMs = Math.min(
      former?.deadlineMonotonicMs ?? Number.POSITIVE_INFINITY,
      monotonicMs + remainingMs,
    );
    pending.push({
      hostId: host.id,
      hostName: host.name,
      pending: waiting,
      deadlineMonotonicMs,
      totalMs: Math.max(former?.totalMs ?? 0, remainingMs, 1),
    });
  }
  const clockOffsetMs = message.now ? timestampMs(message.now) - wallMs : (previous?.clockOffsetMs ?? 0);
  return { hosts: message.hosts, clockOffsetMs, pending };
}

export function durationMs(duration: { seconds: bigint; nanos: number } | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1e6 : 0;
}

export function optionalMs(timestamp: Timestamp | undefined): number | null {
  return timestamp ? timestampMs(timestamp) : null;
}

export const BACKEND_NAMES: Record<BackendKind, string> = {
  [BackendKind.UNSPECIFIED]: "unknown backend",
  [BackendKind.EBPF]: "eBPF",
  [BackendKind.NFTABLES]: "nftables",
  [BackendKind.PF]: "pf",
  [BackendKind.OBSERVE]: "observe only",
};

export const ROLE_NAMES: Record<Role, string> = {
  [Role.UNSPECIFIED]: "no role",
  [Role.VIEWER]: "viewer",
  [Role.OPERATOR]: "operator",
  [Role.ADMIN]: "admin",
};

export const REACHABILITY_NAMES: Record<Reachability, string> = {
  [Reachability.UNSPECIFIED]: "unknown",
  [Reachability.CONNECTING]: "connecting",
  [Reachability.CONNECTED]: "connected",
  [Reachability.LOST]: "connection lost",
  [Reachability.NO_AGENT]: "no agent",
  [Reachability.PERMISSION_DENIED]: "permission denied",
  [Reachability.VERSION_MISMATCH]: "version mismatch",
  [Reachability.UNREACHABLE]: "unreachable",
  [Reachability.HOST_KEY]: "host key not trusted",
  [Reachability.AUTHENTICATION]: "login refused",
  [Reachability.IDLE]: "not connected",
};

export const ENVIRONMENT_TONES: Record<EnvironmentColor, "red" | "amber" | "blue" | "green" | "grey"> = {
  [EnvironmentColor.UNSPECIFIED]: "grey",
  [EnvironmentColor.RED]: "red",
  [EnvironmentColor.AMBER]: "amber",
  [EnvironmentColor.BLUE]: "blue",
  [EnvironmentColor.GREEN]: "green",
  [EnvironmentColor.GREY]: "grey",
};

export function isConnected(host: Host): boolean {
  return host.reachability === Reachability.CONNECTED;
}

export function isObserveOnly(host: Host): boolean {
  return host.status?.info?.backend === BackendKind.OBSERVE;
}

/** Whether the caller's role on the host allows apply, confirm and roll back. */
export function mayOperate(host: Host): boolean {
  return host.role === Role.OPERATOR || host.role === Role.ADMIN;
}
