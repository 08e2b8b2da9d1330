/**
 * From one store into another. Everything is read at one revision while nobody writes (this node is the only member then, and
 * its own parts have stopped), and written under a record that says that it is not complete. The move counts once
 * `config.json` names the new store; until then the old one goes on, and what lies in the new one is written over by the
 * next attempt.
 */
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type ClusterRecord, ClusterRecordSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HeldTerm } from "../ports.ts";
import type { ClusterStore, Compare, KeyValue } from "../store/clusterStore.ts";
import { decode, encode } from "./clusterRecord.ts";
import { KEYS } from "./nodePorts.ts";

/** etcd takes 128 operations and 1.5 MiB in one transaction unless it is told otherwise. */
const MAX_OPERATIONS = 100;
const MAX_BATCH_BYTES = 512 * 1024;

export type TargetState =
  /** Nothing is there, or only what an attempt of this cluster left. */
  | { readonly kind: "free"; readonly leftover: KeyValue | null }
  /** It holds this cluster, complete. */
  | { readonly kind: "this-cluster" }
  | { readonly kind: "taken"; readonly failure: Failure };

function taken(message: string): TargetState {
  const hint = "Give a store that is empty, or delete what is in it first. Nothing was changed.";
  return { kind: "taken", failure: new Failure({ code: ErrorCode.ALREADY_EXISTS, message, hint }) };
}

/** What is in a store that shall be used. Throws `Failure` as the store does. */
export async function inspectTarget(
  target: ClusterStore,
  isOwnAttempt: (record: ClusterRecord) => boolean,
): Promise<TargetState> {
  const { item } = await target.get(KEYS.cluster);
  if (item === null) {
    const { items } = await target.range(KEYS.root, { limit: 1, keysOnly: true });
    if (items.length === 0) return { kind: "free", leftover: null };
    return taken("That store holds something of Wardline without a cluster's record.");
  }
  const record = decode(ClusterRecordSchema, item);
  if (!isOwnAttempt(record)) return taken(`That store holds the cluster "${record.clusterName.slice(0, 63)}" already.`);
  return record.incomplete ? { kind: "free", leftover: item } : { kind: "this-cluster" };
}

/** Makes the target ready for this cluster and says so in it. Returns what guards every write there. */
async function claim(target: ClusterStore, leftover: KeyValue | null, record: ClusterRecord): Promise<Compare> {
  if (leftover !== null) {
    const compare: Compare[] = [{ key: KEYS.cluster, target: "mod", operator: "=", number: leftover.modRevision }];
    await target.transact({ compare, then: [{ kind: "delete-prefix", prefix: KEYS.root }] });
  }
  const value = encode(ClusterRecordSchema, create(ClusterRecordSchema, { ...record, incomplete: true }));
  const { succeeded, revision } = await target.transact({
    compare: [{ key: KEYS.cluster, target: "create", operator: "=", number: 0n }],
    then: [{ kind: "put", key: KEYS.cluster, value }],
  });
  if (succeeded) return { key: KEYS.cluster, target: "mod", operator: "=", number: revision };
  throw new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: "Somebody else began to use that store at the same moment. Nothing was changed.",
  });
}

/** Who leads and who is there are facts of a moment: they begin anew. */
function isDurable({ key, leaseId }: KeyValue): boolean {
  return leaseId === 0n && key !== KEYS.leader && key !== KEYS.cluster;
}

/** Returns how many keys were copied. Throws `Failure`; the source is untouched. */
export async function copyEverything(
  source: ClusterStore,
  target: ClusterStore,
  leftover: KeyValue | null,
  record: ClusterRecord,
): Promise<number> {
  const guard = await claim(target, leftover, record);
  const { items } = await source.range(KEYS.root);
  const durable = items.filter(isDurable);
  for (const batch of batches(durable)) {
    const then = batch.map(({ key, value }) => ({ kind: "put", key, value }) as const);
    const { succeeded } = await target.transact({ compare: [guard], then });
    if (!succeeded) throw interrupted();
  }
  await verify(target, durable);
  return durable.length;
}

async function verify(target: ClusterStore, durable: readonly KeyValue[]): Promise<void> {
  const { items } = await target.range(KEYS.root);
  const copied = items.filter(isDurable);
  const isSame =
    copied.length === durable.length &&
    copied.every(({ key, value }, at) => key === durable[at]?.key && Buffer.compare(value, durable[at].value) === 0);
  if (!isSame) throw interrupted();
}

function interrupted(): Failure {
  return new Failure({
    code: ErrorCode.STORE_UNAVAILABLE,
    message: "Somebody else changed the new store while it was filled. The cluster stays where it is.",
    retryable: true,
  });
}

function* batches(items: readonly KeyValue[]): Generator<readonly KeyValue[]> {
  let batch: KeyValue[] = [];
  let bytes = 0;
  for (const item of items) {
    const itemBytes = item.key.length + item.value.length;
    if (batch.length > 0 && (batch.length === MAX_OPERATIONS || bytes + itemBytes > MAX_BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += itemBytes;
  }
  if (batch.length > 0) yield batch;
}

/** Whether both are ways to one and the same store: what is written through one is read through the other. */
export async function isSameStore(present: ClusterStore, other: ClusterStore, term: HeldTerm): Promise<boolean> {
  const key = `${KEYS.root}probe`;
  const value = randomBytes(16);
  const { succeeded } = await present.transact({ compare: term.fence, then: [{ kind: "put", key, value }] });
  if (!succeeded) return false;
  try {
    const { item } = await other.get(key);
    return item !== null && Buffer.compare(item.value, value) === 0;
  } finally {
    await present.transact({ compare: term.fence, then: [{ kind: "delete", key }] });
  }
}
