/** Writes of the leader, none of which happens once another one leads. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HeldTerm } from "../ports.ts";
import type { ClusterStore, Compare, Operation } from "../store/clusterStore.ts";

/** Below the limit of 128 that etcd has unless it is told otherwise. */
export const MAX_OPERATIONS = 100;

/** The item as it was read: a write that compares with it is lost when somebody else wrote it meanwhile. */
export function unchanged(key: string, modRevision: bigint): Compare {
  return { key, target: "mod", operator: "=", number: modRevision };
}

/**
 * False when one of `compare` does not hold any more. Throws `Failure` NOT_LEADER when the term is over, or what the store
 * throws.
 */
export async function writeAsLeader(
  store: ClusterStore,
  term: HeldTerm,
  compare: readonly Compare[],
  then: readonly Operation[],
): Promise<boolean> {
  if (term.signal.aborted) throw notLeading();
  const { succeeded } = await store.transact({ compare: [...term.fence, ...compare], then }, { signal: term.signal });
  if (succeeded) return true;
  if (compare.length === 0) throw notLeading();
  const { succeeded: isLeading } = await store.transact({ compare: term.fence, then: [] }, { signal: term.signal });
  if (!isLeading) throw notLeading();
  return false;
}

function notLeading(): Failure {
  return new Failure({
    code: ErrorCode.NOT_LEADER,
    message: "This node no longer leads the cluster. Nothing was written.",
    hint: "Try again: another node leads by now.",
    retryable: true,
  });
}
