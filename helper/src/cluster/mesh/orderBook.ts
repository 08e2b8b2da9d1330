/** Orders as they lie in the store: which are on their way, which were answered, and which nobody will answer any more. */
import type { HealingReceipt } from "../../mesh/ports.ts";
import type { Keys } from "../keys.ts";
import type { KeyValue } from "../store/clusterStore.ts";
import { decodeOrder, decodeReceipt, type StoredOrder, type StoredReceipt } from "./records.ts";

export interface BookedOrder extends StoredOrder {
  readonly host: string;
  readonly key: string;
  readonly modRevision: bigint;
  readonly receiptKey: string;
  /** `null` = its host has not taken it. */
  readonly said: StoredReceipt | null;
}

/** A host ends what it does by then, after the order's end. */
export const FINISHED_AFTER_MS = 10_000;
/** One that took an order and says nothing for so long after its end is given up: before something else is tried. */
const GIVEN_UP_AFTER_MS = 14_000;

export interface OrderBook {
  readonly orders: readonly BookedOrder[];
  /** Keys of what nobody can use: orders that cannot be read, and receipts without an order. */
  readonly rubbish: readonly string[];
}

/** @param items everything of the meshes; a receipt counts for the order of the very member under whose name it lies. */
export function readBook(keys: Keys, items: ReadonlyMap<string, KeyValue>): OrderBook {
  const orders: BookedOrder[] = [];
  const rubbish: string[] = [];
  for (const { key, value, modRevision } of items.values()) {
    if (key.startsWith(keys.meshReceipts)) {
      const orderKey = keys.meshOrders + key.slice(keys.meshReceipts.length);
      if (!items.has(orderKey)) rubbish.push(key);
    }
    if (!key.startsWith(keys.meshOrders)) continue;
    const path = key.slice(keys.meshOrders.length);
    const host = path.slice(0, path.indexOf("/"));
    const stored = decodeOrder(value);
    if (!stored || key !== keys.meshOrder(host, stored.order.id)) {
      rubbish.push(key);
      continue;
    }
    const receiptKey = keys.meshReceipt(host, stored.order.id);
    orders.push({
      ...stored,
      host,
      key,
      modRevision,
      receiptKey,
      said: saidOf(items.get(receiptKey), stored.order.id),
    });
  }
  return { orders, rubbish };
}

function saidOf(item: KeyValue | undefined, orderId: string): StoredReceipt | null {
  if (!item) return null;
  const said = decodeReceipt(item.value);
  if (said?.orderId === orderId) return said;
  // It said something, and nobody knows what: taken, and not answered.
  return { orderId, takenAtMs: 0, holder: "", receipt: null };
}

export function answerOf({ said }: BookedOrder): HealingReceipt | null {
  return said?.receipt ?? null;
}

/** Nobody took it, and nobody may any more: it is over, or it is of a leader that is over. */
export function isVoid({ said, order, leadRevision }: BookedOrder, ownLeadRevision: bigint, nowMs: number): boolean {
  return said === null && (leadRevision !== ownLeadRevision || order.expiresAtMs <= nowMs);
}

export function isGivenUp({ said, order }: BookedOrder, nowMs: number): boolean {
  return said !== null && said.receipt === null && order.expiresAtMs + GIVEN_UP_AFTER_MS <= nowMs;
}
