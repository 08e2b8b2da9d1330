/** Letting members in and out: transactions of the leader, under its fence. */
import type { MemberRecord } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Keys } from "../keys.ts";
import type { ClusterStore, Compare, Operation } from "../store/clusterStore.ts";
import { writeRecord } from "./messages.ts";

/** Pieces of a transaction, for whoever does more in the same one. */
export interface TransactionPart {
  readonly compare: readonly Compare[];
  readonly then: readonly Operation[];
}

/** Holds when there is no such member yet. */
export function admission(keys: Keys, record: MemberRecord): TransactionPart {
  const key = keys.member(record.name);
  return {
    compare: [{ key, target: "create", operator: "=", number: 0n }],
    then: [{ kind: "put", key, value: writeRecord(record) }],
  };
}

/** Holds when there is such a member: its record, presence, report, wanted names and what it said of itself go. */
export function removal(keys: Keys, name: string): TransactionPart {
  const all = [keys.member(name), keys.presence(name), keys.report(name), keys.wantedNamesOf(name)];
  all.push(keys.anomalySummary(name), keys.anomalyMovement(name), keys.meshObservation(name));
  const below = [keys.meshReceiptsOf(name), keys.meshDecisionsOf(name), keys.meshOrdersOf(name)];
  return {
    compare: [{ key: keys.member(name), target: "create", operator: ">", number: 0n }],
    then: [
      ...all.map((key) => ({ kind: "delete", key }) as const),
      ...below.map((prefix) => ({ kind: "delete-prefix", prefix }) as const),
    ],
  };
}

/** ALREADY_EXISTS, or NOT_LEADER when the fence does not hold any more; nothing was written then. */
export async function admitMember(
  store: ClusterStore,
  keys: Keys,
  record: MemberRecord,
  fence: readonly Compare[],
): Promise<void> {
  const isThere = await transactFenced(store, admission(keys, record), fence, keys.member(record.name));
  if (isThere === null) return;
  if (!isThere) throw deposed();
  throw new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `${record.name} is a member already.`,
    hint: "Remove that member first, or give this host another name.",
  });
}

/** NOT_FOUND, or NOT_LEADER when the fence does not hold any more; nothing was written then. */
export async function removeMember(
  store: ClusterStore,
  keys: Keys,
  name: string,
  fence: readonly Compare[],
): Promise<void> {
  const isThere = await transactFenced(store, removal(keys, name), fence, keys.member(name));
  if (isThere === null) return;
  if (isThere) throw deposed();
  throw new Failure({ code: ErrorCode.NOT_FOUND, message: `${name} is no member of the cluster.` });
}

/** `null` = done; else whether the record is there. */
async function transactFenced(
  store: ClusterStore,
  { compare, then }: TransactionPart,
  fence: readonly Compare[],
  recordKey: string,
): Promise<boolean | null> {
  const { succeeded, found } = await store.transact({
    compare: [...fence, ...compare],
    then,
    otherwise: [{ kind: "get", key: recordKey }],
  });
  return succeeded ? null : (found[0] ?? null) !== null;
}

function deposed(): Failure {
  return new Failure({
    code: ErrorCode.NOT_LEADER,
    message: "Another candidate leads by now. Nothing was changed.",
    retryable: true,
  });
}
