/** One transaction on the embedded store, as etcd would carry it out. */
import { ErrorCode } from "@wardline/domain/errors";
import type { Compare, KeyValue, Operation, Transaction } from "../clusterStore.ts";
import { StoreFailure } from "../storeFailure.ts";
import type { Leases } from "./leases.ts";
import { boundsOf, type Versions } from "./versions.ts";

export interface CarriedOut {
  readonly succeeded: boolean;
  readonly found: readonly (KeyValue | null)[];
  readonly changed: boolean;
}

/** @param revision of what it changes; what was before has one less */
export function carryOut(transaction: Transaction, versions: Versions, leases: Leases, revision: bigint): CarriedOut {
  const succeeded = transaction.compare.every((one) => holds(one, versions.get(one.key, revision - 1n)));
  const operations = succeeded ? transaction.then : (transaction.otherwise ?? []);
  refuseDeadLeases(operations, leases);
  const found: (KeyValue | null)[] = [];
  let changes = 0;
  for (const operation of operations) {
    if (operation.kind === "get") found.push(versions.get(operation.key, revision));
    else changes += change(operation, versions, revision, changes);
  }
  return { succeeded, found, changed: changes > 0 };
}

function refuseDeadLeases(operations: readonly Operation[], leases: Leases): void {
  for (const operation of operations) {
    const leaseId = operation.kind === "put" ? (operation.leaseId ?? 0n) : 0n;
    if (leaseId === 0n || leases.has(leaseId)) continue;
    throw new StoreFailure({ code: ErrorCode.NOT_FOUND, message: "The lease is over." });
  }
}

/** How many keys it changed; they come at `position` and after it within the revision. */
function change(
  operation: Exclude<Operation, { kind: "get" }>,
  versions: Versions,
  revision: bigint,
  position: number,
): number {
  switch (operation.kind) {
    case "put": {
      const { key, value, leaseId = 0n } = operation;
      versions.put(key, value, leaseId, versions.get(key, revision - 1n), revision, position);
      return 1;
    }
    case "delete": {
      if (versions.get(operation.key, revision) === null) return 0;
      versions.remove(operation.key, revision, position);
      return 1;
    }
    case "delete-prefix": {
      const items = versions.range(boundsOf(operation.prefix), revision, Number.MAX_SAFE_INTEGER, false);
      for (const [index, { key }] of items.entries()) versions.remove(key, revision, position + index);
      return items.length;
    }
  }
}

function holds(compare: Compare, item: KeyValue | null): boolean {
  if (compare.target === "value") {
    if (item === null) return false;
    return (Buffer.compare(item.value, compare.value) === 0) === (compare.operator === "=");
  }
  const number = item === null ? 0n : numberOf(compare.target, item);
  switch (compare.operator) {
    case "=":
      return number === compare.number;
    case "!=":
      return number !== compare.number;
    case ">":
      return number > compare.number;
    case "<":
      return number < compare.number;
  }
}

function numberOf(target: "create" | "mod" | "version", item: KeyValue): bigint {
  return { create: item.createRevision, mod: item.modRevision, version: item.version }[target];
}
