/** Follows one cluster through one of its members, and through another one when that is lost. */
import type { ClusterStatus } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import type { ChangeSignal } from "../async/signal.ts";
import type { ManagedHost } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { boundStatus } from "./cluster-calls.ts";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** The agent sends at most four a second; who sends more is read slower, and their own buffers fill up. */
const SHORTEST_INTERVAL_MS = 200;

export interface FollowerPorts {
  readonly clock: Clock;
  /** Notifies when other hosts can be asked. */
  readonly changes: ChangeSignal;
  /** Members that are connected, the best first. */
  readonly candidates: () => readonly ManagedHost[];
  /** Of another cluster, or of a member that the store does not answer: then the next member is asked. */
  readonly onStatus: (host: ManagedHost, status: ClusterStatus) => "followed" | "other" | "stale";
  readonly onProblem: (problem: Failure) => void;
}

/** Until the signal aborts. */
export async function followCluster(ports: FollowerPorts, signal: AbortSignal): Promise<void> {
  const { clock, changes } = ports;
  let pauseMs = FIRST_PAUSE_MS;
  /** Members that were lost since somebody answered: the others come first. */
  const lost = new Set<string>();
  while (!signal.aborted) {
    const seen = changes.version;
    const candidates = ports.candidates();
    const host = candidates.find(({ id }) => !lost.has(id));
    if (candidates.length === 0) {
      ports.onProblem(nobody());
      lost.clear();
      await changes.wait(seen, LONGEST_PAUSE_MS, signal);
      continue;
    }
    if (!host) {
      // Everybody was asked: once more from the beginning, after a while.
      lost.clear();
      await clock.sleep(pauseMs, signal);
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
      continue;
    }
    const outcome = await followThrough(host, ports, signal);
    if (signal.aborted) return;
    if (outcome.problem) ports.onProblem(outcome.problem);
    if (outcome.answered) {
      lost.clear();
      pauseMs = FIRST_PAUSE_MS;
    }
    lost.add(host.id);
  }
}

async function followThrough(
  host: ManagedHost,
  { clock, onStatus }: FollowerPorts,
  signal: AbortSignal,
): Promise<{ answered: boolean; problem: Failure | null }> {
  let answered = false;
  const ending = new AbortController();
  try {
    const { cluster } = host.connection;
    if (!cluster) return { answered, problem: ended(host) };
    let expected = 1n;
    const both = AbortSignal.any([signal, ending.signal]);
    for await (const { sequence, status } of cluster.watchCluster({}, { signal: both })) {
      // A gap means that something was lost: the next stream begins with the whole.
      if (sequence !== expected++ || !status) break;
      const use = onStatus(host, boundStatus(status));
      // Another one may be in touch with the store; where none is, all are asked in turn, ever more slowly.
      if (use === "stale") {
        await clock.sleep(SHORTEST_INTERVAL_MS, signal);
        return { answered: false, problem: null };
      }
      if (use === "other") break;
      answered = true;
      await clock.sleep(SHORTEST_INTERVAL_MS, signal);
    }
    return { answered, problem: ended(host) };
  } catch (error) {
    return { answered, problem: agentFailure(error, host.connection.hostName) };
  } finally {
    ending.abort();
  }
}

function ended(host: ManagedHost): Failure {
  return new Failure({
    code: ErrorCode.AGENT_UNREACHABLE,
    message: `${host.connection.hostName} no longer tells of the cluster.`,
    hint: "The console asks another member.",
    retryable: true,
  });
}

function nobody(): Failure {
  return new Failure({
    code: ErrorCode.HOST_UNREACHABLE,
    message: "No member of the cluster that is a host of this console can be reached.",
    hint: "What is shown is what was last known. The hosts enforce on.",
    retryable: true,
  });
}
