/** Writes of the leader that belong together: in one transaction where that is possible, else in an order that does no harm. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HeldTerm } from "../ports.ts";
import type { ClusterStore, Operation } from "../store/clusterStore.ts";

/** Below the store's own limits: the fence and the protocol take some. */
const MAX_OPERATIONS = 100;
const MAX_BYTES = 1_000_000;
const OPERATION_BYTES = 256;

/** A key that each step of one leader writes: a write that comes late, after its sender went on without it, finds it changed. */
export interface StepKey {
  readonly key: string;
  /** As the sender knows it; 0 = it is not there. */
  readonly modRevision: bigint;
  readonly value: Uint8Array;
}

/** In this order, and what fits into one transaction in one. Resolves with the last revision; throws NOT_LEADER. */
export async function writeFenced(
  store: Pick<ClusterStore, "transact">,
  term: HeldTerm,
  { key, modRevision, value }: StepKey,
  operations: readonly Operation[],
): Promise<bigint> {
  let revision = modRevision;
  for (const then of portions(operations)) {
    const isNext = { key, target: "mod", operator: "=", number: revision } as const;
    const result = await store.transact(
      { compare: [...term.fence, isNext], then: [...then, { kind: "put", key, value }] },
      { signal: term.signal },
    );
    if (!result.succeeded) throw new Failure({ code: ErrorCode.NOT_LEADER, message: `Term ${term.number} is over.` });
    revision = result.revision;
  }
  return revision;
}

function portions(operations: readonly Operation[]): Operation[][] {
  const all: Operation[][] = [];
  let bytes = MAX_BYTES;
  for (const operation of operations) {
    const size = OPERATION_BYTES + (operation.kind === "put" ? operation.value.length : 0);
    const last = all.at(-1);
    if (!last || last.length >= MAX_OPERATIONS || bytes + size > MAX_BYTES) {
      all.push([operation]);
      bytes = size;
    } else {
      last.push(operation);
      bytes += size;
    }
  }
  return all;
}
