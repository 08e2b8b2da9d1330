/** Looks at the hosts of a stage between their flip and their confirmation: do they hold, and can they still be reached? */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describeDenials, exceedsForecast } from "@wardline/domain/fleet";
import { agentFailure } from "../../agent/agent-failure.ts";
import { mapPooled } from "../../async/pool.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../../hosts/managed-host.ts";
import type { Clock } from "../../ports.ts";
import { FreshProof } from "./fresh-proof.ts";
import { standingOf } from "./host-standing.ts";
import type { HostWork } from "./host-work.ts";
import type { LiveRollout } from "./live-rollout.ts";

const POLL_MS = 250;
const LOGINS_AT_ONCE = 24;
/** For each attempt to reach a host anew. */
const LONGEST_LOGIN_MS = 10_000;
/** Kept for confirming all hosts after the last one was reached. */
const CONFIRM_MS = 2_000;
const BETWEEN_LOGINS_MS = 500;

export interface StageWatchPorts {
  readonly registry: HostRegistry;
  readonly clock: Clock;
}

/** What came of it. While hosts have changed their state meanwhile, that was told already. */
export type WatchResult =
  | { readonly kind: "passed" }
  /** One sentence. */
  | { readonly kind: "closed"; readonly why: string }
  /** A host was lost or has ended it by itself, or the watch was given up. */
  | { readonly kind: "over" };

export async function watchHosts(
  live: LiveRollout,
  work: HostWork,
  hostIds: readonly string[],
  ports: StageWatchPorts,
  signal: AbortSignal,
): Promise<WatchResult> {
  const { registry, clock } = ports;
  const { gates } = live.specification;
  const flips = hostIds.map((id) => flippedAtMs(live, id));
  const endsAtMs = Math.max(0, ...flips) + gates.watchMs;
  const hosts = hostIds.flatMap((id) => registry.find(id) ?? []);
  for (;;) {
    for (const host of hosts) {
      const closed = look(live, work, host, clock.nowMs());
      if (closed !== null) return closed;
    }
    if (signal.aborted) return { kind: "over" };
    const leftMs = endsAtMs - clock.nowMs();
    if (leftMs <= 0) break;
    await clock.sleep(Math.min(POLL_MS, leftMs), signal);
  }
  return reachAnew(live, work, hosts, ports, signal);
}

function flippedAtMs(live: LiveRollout, id: string): number {
  const { appliedAt } = live.host(id).receipt;
  return appliedAt ? timestampMs(appliedAt) : 0;
}

function look(live: LiveRollout, work: HostWork, host: ManagedHost, nowMs: number): WatchResult | null {
  const { standing, status } = work.standing(host);
  if (live.host(host.id).phase !== "pending") return null;
  if (status && standing === "kept") work.confirmedByOthers(host.id, status);
  if (standing === "other") {
    work.rolledBackBy(host.id, leftBefore(host));
    return { kind: "over" };
  }
  return status && standing === "pending" ? judge(live, work, host, status, nowMs) : null;
}

/** `null` = within what was forecast. */
function judge(
  live: LiveRollout,
  work: HostWork,
  host: ManagedHost,
  status: HostStatus,
  nowMs: number,
): WatchResult | null {
  const counted = work.count(host.id, status);
  if (counted === null) return null;
  const { receipt } = live.host(host.id);
  const { gates } = live.specification;
  if (receipt.allowedPackets !== BigInt(counted.allowed) || receipt.deniedPackets !== BigInt(counted.denied)) {
    const packets = { allowedPackets: BigInt(counted.allowed), deniedPackets: BigInt(counted.denied) };
    live.learn(host.id, { receipt: packets });
  }
  const denials = {
    deniedPackets: counted.denied,
    forecastPerMinute: receipt.forecastDenialsPerMinute,
    elapsedMs: Math.max(0, nowMs - flippedAtMs(live, host.id)),
  };
  if (!exceedsForecast(denials, gates)) return null;
  return { kind: "closed", why: `${describeDenials(hostNameOf(host), denials, gates)}.` };
}

/** The heartbeat: every host over a connection that was opened since, before any of them is confirmed. */
async function reachAnew(
  live: LiveRollout,
  work: HostWork,
  hosts: readonly ManagedHost[],
  { clock }: StageWatchPorts,
  signal: AbortSignal,
): Promise<WatchResult> {
  const results = await mapPooled(hosts, LOGINS_AT_ONCE, async (host): Promise<WatchResult | null> => {
    if (live.host(host.id).phase !== "pending") return null;
    const proof = await reach(live, host, clock, signal);
    if (signal.aborted) {
      if (proof instanceof FreshProof) proof.abandon();
      return { kind: "over" };
    }
    if (proof instanceof Failure) {
      work.lose(host.id, proof);
      return { kind: "over" };
    }
    work.proofs.set(host.id, proof);
    const standing = standingOf(proof.status, work.sent(host.id));
    if (standing === "other") {
      work.rolledBackBy(host.id, leftBefore(host));
      return { kind: "over" };
    }
    return judge(live, work, host, proof.status, clock.nowMs());
  });
  const bad = results.find((result) => result !== null);
  if (!bad) return { kind: "passed" };
  work.abandonProofs();
  return bad;
}

/** Tries again while half of the time is left, because the others have to be confirmed in the same time. */
async function reach(
  live: LiveRollout,
  host: ManagedHost,
  clock: Clock,
  signal: AbortSignal,
): Promise<FreshProof | Failure> {
  const beganMs = clock.nowMs();
  const deadlineMs = (live.host(host.id).deadlineMs ?? 0) - CONFIRM_MS;
  const untilMs = beganMs + Math.max(1_000, Math.floor((deadlineMs - beganMs) / 2));
  for (;;) {
    const leftMs = untilMs - clock.nowMs();
    try {
      return await FreshProof.open(host, Math.min(LONGEST_LOGIN_MS, Math.max(500, leftMs)));
    } catch (error) {
      const failure = agentFailure(error, hostNameOf(host));
      if (signal.aborted || clock.nowMs() + BETWEEN_LOGINS_MS >= untilMs) return unreachable(host, failure);
    }
    await clock.sleep(BETWEEN_LOGINS_MS, signal);
  }
}

function unreachable(host: ManagedHost, failure: Failure): Failure {
  const hostName = hostNameOf(host);
  return new Failure(
    {
      code: failure.code,
      message: `${hostName} could not be reached anew after the change, so it was not confirmed: ${failure.message}`,
      host: hostName,
      retryable: true,
    },
    { cause: failure },
  );
}

function leftBefore(host: ManagedHost): Failure {
  return new Failure({
    code: ErrorCode.NOTHING_PENDING,
    message: `${hostNameOf(host)} left the change before it was confirmed: somebody rolled it back, or its agent did.`,
    hint: "The audit log of the host says who.",
    host: hostNameOf(host),
  });
}
