/** Writes end at the leader: to its host when this console knows it, else to a candidate, which hands them on. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ClusterClient } from "../agent/dialer.ts";
import type { ManagedHost } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { callCluster, NotSent } from "./cluster-calls.ts";
import { hostOfMember, type KnownCluster, leaderOf } from "./known-cluster.ts";
import { isConnected } from "./member-choice.ts";

/** An election takes a lease and a little more; the usual lease is 5 s. */
const WAIT_FOR_LEADER_MS = 12_000;
const PAUSE_MS = 400;

export interface WriteOptions {
  /** The call may be made twice: what has an id of its own, or does the same again. */
  readonly isRepeatable?: boolean;
  readonly signal?: AbortSignal;
}

interface WritePorts {
  readonly clock: Clock;
  readonly require: () => Promise<KnownCluster>;
  /** Asks the host about its cluster anew. */
  readonly refresh: (host: ManagedHost) => Promise<void>;
}

/**
 * Waits out an election.
 * @throws Failure NOT_LEADER (nobody who leads or would hand it on can be reached: the message says who leads),
 * STORE_UNAVAILABLE, and what the leader refuses
 */
export async function writeToCluster<Result>(
  ports: WritePorts,
  body: (client: ClusterClient) => Promise<Result>,
  { isRepeatable = false, signal = new AbortController().signal }: WriteOptions,
): Promise<Result> {
  const { clock } = ports;
  const endsAtMs = clock.nowMs() + WAIT_FOR_LEADER_MS;
  for (;;) {
    const round = await oneRound(ports, body, isRepeatable);
    if (round.kind === "done") return round.result;
    const cluster = await ports.require();
    const failure = round.failure ?? notLeader(cluster);
    const isElection = mayBeElecting(cluster, failure);
    if (signal.aborted || !isElection || clock.nowMs() >= endsAtMs) {
      throw failure.code === ErrorCode.NOT_LEADER ? notLeader(cluster) : failure;
    }
    await clock.sleep(PAUSE_MS, signal);
  }
}

/** Nobody leads; or who did is not to be reached, and somebody else who may lead is. */
function mayBeElecting(cluster: KnownCluster, { code }: Failure): boolean {
  const leader = leaderOf(cluster.status);
  if (code === ErrorCode.NOT_LEADER) return leader === null || hostOfMember(cluster, leader) !== null;
  if (code !== ErrorCode.HOST_UNREACHABLE && code !== ErrorCode.AGENT_UNREACHABLE) return false;
  const candidates = cluster.status.members.flatMap(({ record }) => (record?.candidate ? [record.name] : []));
  return cluster.hosts.some(
    ({ host, self }) => self !== leader && candidates.includes(self) && isConnected(host.connection),
  );
}

type Round<Result> = { kind: "done"; result: Result } | { kind: "nobody"; failure: Failure | null };

/** Everybody who may take it, each once. What the cluster is said to be is learned on the way. */
async function oneRound<Result>(
  { require, refresh }: WritePorts,
  body: (client: ClusterClient) => Promise<Result>,
  isRepeatable: boolean,
): Promise<Round<Result>> {
  const tried = new Set<string>();
  let failure: Failure | null = null;
  for (;;) {
    const host = nextWriter(await require(), tried);
    if (!host) return { kind: "nobody", failure };
    tried.add(host.id);
    try {
      return { kind: "done", result: await callCluster(host.connection, body) };
    } catch (error) {
      const problem = error instanceof NotSent ? error.failure : error;
      if (!(problem instanceof Failure)) throw problem;
      if (!(error instanceof NotSent) && !isForAnother(problem, isRepeatable)) throw explained(problem);
      // What a member says of the cluster weighs more than that another one was out of reach.
      if (failure === null || !(error instanceof NotSent)) failure = problem;
      if (!(error instanceof NotSent)) await refresh(host);
    }
  }
}

/** The leader, then who may hand on, then anybody: even a plain member knows who leads. */
function nextWriter(cluster: KnownCluster, tried: ReadonlySet<string>): ManagedHost | null {
  const leader = leaderOf(cluster.status);
  const candidates = cluster.status.members.flatMap(({ record }) => (record?.candidate ? [record.name] : []));
  const named = [...(leader === null ? [] : [leader]), ...candidates];
  const ordered = [...named.map((name) => hostOfMember(cluster, name)), ...cluster.hosts.map(({ host }) => host)];
  return ordered.find((host) => host !== null && !tried.has(host.id)) ?? null;
}

/** Nothing was written, so somebody else may be asked; or it may be written twice. */
function isForAnother({ code }: Failure, isRepeatable: boolean): boolean {
  switch (code) {
    case ErrorCode.NOT_LEADER:
    case ErrorCode.NOT_A_MEMBER:
    case ErrorCode.VERSION_MISMATCH:
    case ErrorCode.STORE_UNAVAILABLE:
      return true;
    case ErrorCode.AGENT_UNREACHABLE:
    // Between agents: it was to be handed on, and nobody knows how far it got.
    case ErrorCode.HOST_UNREACHABLE:
    case ErrorCode.DEADLINE_EXCEEDED:
      return isRepeatable;
    default:
      return false;
  }
}

/** The answer was lost: nobody can say whether it was written. */
function explained(failure: Failure): Failure {
  const { AGENT_UNREACHABLE, HOST_UNREACHABLE, DEADLINE_EXCEEDED } = ErrorCode;
  if (![AGENT_UNREACHABLE, HOST_UNREACHABLE, DEADLINE_EXCEEDED].includes(failure.code)) return failure;
  return new Failure(
    {
      code: failure.code,
      message: `${failure.message} It may have been written all the same.`,
      hint: "Look at the cluster (`wardline cluster status`, `wardline policy history`) before you do it again.",
      host: failure.host,
    },
    { cause: failure },
  );
}

function notLeader({ name, status }: KnownCluster): Failure {
  const leader = leaderOf(status);
  const message =
    leader === null
      ? `Nobody leads the cluster ${name} at the moment, so nothing can be written. The hosts enforce on.`
      : `${leader} leads the cluster ${name}, and neither it nor a candidate that would hand this on can be reached from this console.`;
  const hint =
    leader === null
      ? "Try again in some seconds; `wardline cluster status` shows the candidates and the store."
      : `Add ${leader} to this console (\`wardline host add\`), or do this on ${leader} itself.`;
  return new Failure({ code: ErrorCode.NOT_LEADER, message, hint, retryable: true });
}
