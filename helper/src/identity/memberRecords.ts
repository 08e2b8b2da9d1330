/** Members' records as the store keeps them. */
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type MemberRecord, MemberRecordSchema } from "@wardline/api/wardline/v1/cluster";

const MAX_RECORD_BYTES = 64 * 1024;

export function encodeMember(record: MemberRecord): Uint8Array {
  return Buffer.from(toJsonString(MemberRecordSchema, record));
}

/** `null` for bytes that are no such record. */
export function decodeMember(value: Uint8Array): MemberRecord | null {
  try {
    if (value.length > MAX_RECORD_BYTES) return null;
    return fromJsonString(MemberRecordSchema, Buffer.from(value).toString("utf8"), { ignoreUnknownFields: true });
  } catch {
    return null;
  }
}
