/** What may be asked of a store: etcd's own limits as they are unless somebody changed them, for both stores alike. */
import { ErrorCode } from "@wardline/domain/errors";
import type { Operation, Transaction } from "./clusterStore.ts";
import { invalid, StoreFailure } from "./storeFailure.ts";

/** Of each of `compare`, `then` and `otherwise`. */
export const MAX_OPERATIONS = 128;
/** Of keys and values of one transaction together, with room for what the protocol adds to them. */
export const MAX_TRANSACTION_BYTES = 1_500_000;
export const MAX_KEY_BYTES = 1024;
export const MAX_LEASE_MS = 86_400_000;
const OPERATION_OVERHEAD_BYTES = 64;

/** @throws StoreFailure INVALID_ARGUMENT */
export function checkKey(key: string, what = "key"): void {
  if (key === "") throw invalid(`A ${what} of the store must not be empty.`);
  if (!key.isWellFormed() || /[\0\u{10ffff}]/u.test(key)) throw invalid(`A ${what} of the store is not proper text.`);
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    throw invalid(`A ${what} of the store has more than ${MAX_KEY_BYTES} bytes.`);
}

/** @throws StoreFailure INVALID_ARGUMENT, TOO_LARGE */
export function checkTransaction({ compare, then, otherwise = [] }: Transaction): void {
  for (const { key } of compare) checkKey(key);
  for (const operations of [then, otherwise]) checkOperations(operations);
  const longest = Math.max(compare.length, then.length, otherwise.length);
  if (longest > MAX_OPERATIONS) throw tooLarge(`has ${longest} operations; ${MAX_OPERATIONS} are allowed`);
  let bytes = 0;
  for (const one of compare) bytes += sizeOf(one.key, one.target === "value" ? one.value : undefined);
  for (const one of [...then, ...otherwise]) {
    bytes += sizeOf(one.kind === "delete-prefix" ? one.prefix : one.key, one.kind === "put" ? one.value : undefined);
  }
  if (bytes > MAX_TRANSACTION_BYTES) throw tooLarge(`has ${bytes} bytes; ${MAX_TRANSACTION_BYTES} are allowed`);
}

export function checkLeaseTime(timeToLiveMs: number): void {
  if (timeToLiveMs > 0 && timeToLiveMs <= MAX_LEASE_MS) return;
  throw invalid(`A lease lives for 1 to ${MAX_LEASE_MS} ms, not for ${timeToLiveMs}.`);
}

function tooLarge(what: string): StoreFailure {
  return new StoreFailure({ code: ErrorCode.TOO_LARGE, message: `The transaction ${what}.` });
}

function sizeOf(key: string, value: Uint8Array | undefined): number {
  return OPERATION_OVERHEAD_BYTES + Buffer.byteLength(key) + (value?.length ?? 0);
}

/** One transaction is one revision: a key can have one new state in it. */
function checkOperations(operations: readonly Operation[]): void {
  const put = new Set<string>();
  for (const operation of operations) {
    if (operation.kind === "delete-prefix") checkKey(operation.prefix, "prefix");
    else checkKey(operation.key);
    if (operation.kind !== "put") continue;
    if (put.has(operation.key)) throw invalid(`The transaction writes ${operation.key} twice.`);
    put.add(operation.key);
  }
  for (const operation of operations) {
    const deleted =
      operation.kind === "delete"
        ? put.has(operation.key) && operation.key
        : operation.kind === "delete-prefix" && [...put].find((key) => key.startsWith(operation.prefix));
    if (deleted) throw invalid(`The transaction writes and deletes ${deleted}.`);
  }
}
