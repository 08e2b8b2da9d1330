/** Between what a store is asked and etcd's messages. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  type CompareSchema,
  type RequestOpSchema,
  type ResponseOp,
  type TxnRequest,
  TxnRequestSchema,
} from "@wardline/api/etcdserverpb/rpc";
import { type KeyValue as EtcdKeyValue, type Event, Event_EventType } from "@wardline/api/mvccpb/kv";
import type { Compare, KeyValue, Operation, Operator, StoreEvent, Transaction } from "../clusterStore.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** First key after every key that begins with this; all keys for the empty prefix. */
export function endOfPrefix(prefix: string): Uint8Array<ArrayBuffer> {
  const bytes = toBytes(prefix);
  // No byte of UTF-8 is 0xff, so the last one can always be counted up.
  if (bytes.length === 0) return Uint8Array.of(0);
  bytes[bytes.length - 1]! += 1;
  return bytes;
}

export function startOfPrefix(prefix: string): Uint8Array<ArrayBuffer> {
  return prefix === "" ? Uint8Array.of(0) : toBytes(prefix);
}

export function toKeyValue(item: EtcdKeyValue): KeyValue {
  return {
    key: decoder.decode(item.key),
    value: item.value,
    createRevision: item.createRevision,
    modRevision: item.modRevision,
    version: item.version,
    leaseId: item.lease,
  };
}

export function toEvent({ type, kv }: Event): StoreEvent {
  if (kv === undefined) throw new Error("an event without a key");
  const item = toKeyValue(kv);
  return { kind: type === Event_EventType.DELETE ? "delete" : "put", key: item.key, item };
}

export function toTxnRequest({ compare, then, otherwise = [] }: Transaction): TxnRequest {
  return create(TxnRequestSchema, {
    compare: compare.map(toCompare),
    success: then.map(toRequestOp),
    failure: otherwise.map(toRequestOp),
  });
}

/** For each `get`, in order. */
export function found(responses: readonly ResponseOp[]): (KeyValue | null)[] {
  return responses.flatMap(({ response }) => {
    if (response.case !== "responseRange") return [];
    const [item] = response.value.kvs;
    return [item === undefined ? null : toKeyValue(item)];
  });
}

const RESULTS: Record<Operator, Compare_CompareResult> = {
  "=": Compare_CompareResult.EQUAL,
  "!=": Compare_CompareResult.NOT_EQUAL,
  ">": Compare_CompareResult.GREATER,
  "<": Compare_CompareResult.LESS,
};

function toCompare(compare: Compare): MessageInitShape<typeof CompareSchema> {
  const common = { key: toBytes(compare.key), result: RESULTS[compare.operator] };
  switch (compare.target) {
    case "value":
      return { ...common, target: Compare_CompareTarget.VALUE, targetUnion: { case: "value", value: compare.value } };
    case "create":
      return {
        ...common,
        target: Compare_CompareTarget.CREATE,
        targetUnion: { case: "createRevision", value: compare.number },
      };
    case "mod":
      return {
        ...common,
        target: Compare_CompareTarget.MOD,
        targetUnion: { case: "modRevision", value: compare.number },
      };
    case "version":
      return {
        ...common,
        target: Compare_CompareTarget.VERSION,
        targetUnion: { case: "version", value: compare.number },
      };
  }
}

function toRequestOp(operation: Operation): MessageInitShape<typeof RequestOpSchema> {
  switch (operation.kind) {
    case "put": {
      const { key, value, leaseId = 0n } = operation;
      return { request: { case: "requestPut", value: { key: toBytes(key), value, lease: leaseId } } };
    }
    case "delete":
      return { request: { case: "requestDeleteRange", value: { key: toBytes(operation.key) } } };
    case "delete-prefix": {
      const { prefix } = operation;
      const value = { key: startOfPrefix(prefix), rangeEnd: endOfPrefix(prefix) };
      return { request: { case: "requestDeleteRange", value } };
    }
    case "get":
      return { request: { case: "requestRange", value: { key: toBytes(operation.key) } } };
  }
}
