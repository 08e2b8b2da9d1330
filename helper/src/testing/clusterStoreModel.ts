/** What a store has to be, as simply as it can be said: a list of everything that ever happened. For comparison in tests. */
import type {
  Compare,
  KeyValue,
  Operation,
  RangeOptions,
  StoreEvent,
  Transaction,
  TransactionResult,
  WatchBatch,
} from "../cluster/store/clusterStore.ts";

export class StoreModel {
  revision: bigint;
  compacted = 0n;
  readonly #events: StoreEvent[] = [];
  readonly leases = new Set<bigint>();

  constructor(revision: bigint) {
    this.revision = revision;
  }

  get(key: string, revision = this.revision): KeyValue | null {
    const newest = this.#events.findLast((event) => event.key === key && event.item.modRevision <= revision);
    return newest?.kind === "put" ? newest.item : null;
  }

  range(prefix: string, options: RangeOptions): { readonly keys: string[]; readonly more: boolean } {
    const { revision = this.revision, afterKey, limit = 0, descending = false } = options;
    const keys = [...new Set(this.#events.map(({ key }) => key))]
      .filter((key) => key.startsWith(prefix) && this.get(key, revision) !== null)
      .sort((one, other) => byBytes(one, other) * (descending ? -1 : 1))
      .filter((key) => afterKey === undefined || byBytes(key, afterKey) * (descending ? -1 : 1) > 0);
    return limit > 0 ? { keys: keys.slice(0, limit), more: keys.length > limit } : { keys, more: false };
  }

  transact({ compare, then, otherwise = [] }: Transaction): TransactionResult {
    const succeeded = compare.every((one) => holds(one, this.get(one.key)));
    const found = this.#carryOut(succeeded ? then : otherwise);
    return { succeeded, revision: this.revision, found };
  }

  revoke(id: bigint): void {
    this.leases.delete(id);
    const keys = [...new Set(this.#events.map(({ key }) => key))].filter((key) => this.get(key)?.leaseId === id);
    this.#carryOut(keys.sort(byBytes).map((key) => ({ kind: "delete", key })));
  }

  batches(prefix: string, fromRevision: bigint): WatchBatch[] {
    const events = this.#events.filter(({ key, item }) => key.startsWith(prefix) && item.modRevision >= fromRevision);
    const revisions = [...new Set(events.map(({ item }) => item.modRevision))];
    return revisions.map((revision) => ({
      revision,
      events: events.filter(({ item }) => item.modRevision === revision),
    }));
  }

  #carryOut(operations: readonly Operation[]): (KeyValue | null)[] {
    const revision = this.revision + 1n;
    const found: (KeyValue | null)[] = [];
    for (const operation of operations) {
      if (operation.kind === "get") found.push(this.get(operation.key, revision));
      else this.#change(operation, revision);
    }
    if (this.#events.at(-1)?.item.modRevision === revision) this.revision = revision;
    return found;
  }

  #change(operation: Exclude<Operation, { kind: "get" }>, revision: bigint): void {
    if (operation.kind === "put") {
      const { key, value, leaseId = 0n } = operation;
      const before = this.get(key);
      const createRevision = before?.createRevision ?? revision;
      const version = (before?.version ?? 0n) + 1n;
      this.#events.push({
        kind: "put",
        key,
        item: { key, value, createRevision, modRevision: revision, version, leaseId },
      });
      return;
    }
    const keys = operation.kind === "delete" ? [operation.key] : this.range(operation.prefix, { revision }).keys;
    for (const key of keys) {
      if (this.get(key, revision) === null) continue;
      const nothing = { value: new Uint8Array(), createRevision: 0n, version: 0n, leaseId: 0n };
      this.#events.push({ kind: "delete", key, item: { key, modRevision: revision, ...nothing } });
    }
  }
}

export function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

function holds(compare: Compare, item: KeyValue | null): boolean {
  if (compare.target === "value") {
    if (item === null) return false;
    const same = Buffer.from(item.value).equals(compare.value);
    return compare.operator === "=" ? same : !same;
  }
  const targets = { create: item?.createRevision, mod: item?.modRevision, version: item?.version };
  const number = targets[compare.target] ?? 0n;
  const order = number < compare.number ? "<" : number > compare.number ? ">" : "=";
  return compare.operator === "!=" ? order !== "=" : order === compare.operator;
}
