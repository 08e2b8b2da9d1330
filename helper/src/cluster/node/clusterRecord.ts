/** The cluster's own record in its store, and that of a member, as proto3 JSON. */
import { type DescMessage, fromJsonString, type MessageShape, toJsonString } from "@bufbuild/protobuf";
import { type ClusterRecord, ClusterRecordSchema, MemberRecordSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ClusterStore, KeyValue } from "../store/clusterStore.ts";
import { KEYS } from "./nodePorts.ts";

const MAX_RECORD_BYTES = 256 * 1024;

export function encode<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  return Buffer.from(toJsonString(schema, message));
}

/** Throws `Failure` INTERNAL when it is none. */
export function decode<Desc extends DescMessage>(schema: Desc, item: KeyValue): MessageShape<Desc> {
  try {
    if (item.value.length > MAX_RECORD_BYTES) throw new RangeError("it is too large");
    return fromJsonString(schema, Buffer.from(item.value).toString("utf8"), { ignoreUnknownFields: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure({
      code: ErrorCode.INTERNAL,
      message: `The record ${item.key} of the cluster's store cannot be read: ${reason.slice(0, 200)}.`,
    });
  }
}

export interface ReadRecord<T> {
  readonly record: T;
  readonly modRevision: bigint;
}

/** `null` = this store holds no cluster. Throws `Failure` as the store does. */
export async function readClusterRecord(
  store: ClusterStore,
  timeoutMs?: number,
): Promise<ReadRecord<ClusterRecord> | null> {
  const { item } = await store.get(KEYS.cluster, timeoutMs === undefined ? {} : { timeoutMs });
  return item === null ? null : { record: decode(ClusterRecordSchema, item), modRevision: item.modRevision };
}

export async function readMemberRecord(store: ClusterStore, name: string) {
  const { item } = await store.get(KEYS.member(name));
  return item === null ? null : { record: decode(MemberRecordSchema, item), modRevision: item.modRevision };
}
