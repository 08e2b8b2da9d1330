/** Values under members/, presence/ and reports/, as they lie in the store. What cannot be read counts as not there. */
import { fromJsonString, type Message, toJsonString } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import {
  type MemberPresence,
  MemberPresenceSchema,
  type MemberRecord,
  MemberRecordSchema,
  type SyncReport,
  SyncReportSchema,
} from "@wardline/api/wardline/v1/cluster";

/** A host writes its own presence: what is longer is not looked at. */
const MAX_VALUE_BYTES = 65_536;
export const MAX_ADDRESSES = 64;
export const MAX_PROBLEMS = 16;
export const MAX_SENTENCE_LENGTH = 500;
/** An IPv6 address with a zone. */
const MAX_ADDRESS_LENGTH = 64;
const MAX_WORD_LENGTH = 100;

export const readRecord = (value: Uint8Array): MemberRecord | null => read(MemberRecordSchema, value);

/** Lists and texts no longer than a member of ours would write them: others show and store them. */
export function readPresence(value: Uint8Array): MemberPresence | null {
  const presence = read(MemberPresenceSchema, value);
  if (presence === null) return null;
  presence.addresses = presence.addresses
    .slice(0, MAX_ADDRESSES)
    .map((address) => address.slice(0, MAX_ADDRESS_LENGTH));
  presence.problems = presence.problems
    .slice(0, MAX_PROBLEMS)
    .map((sentence) => sentence.slice(0, MAX_SENTENCE_LENGTH));
  presence.sessionId = presence.sessionId.slice(0, MAX_WORD_LENGTH);
  presence.agentVersion = presence.agentVersion.slice(0, MAX_WORD_LENGTH);
  presence.rival = presence.rival.slice(0, MAX_SENTENCE_LENGTH);
  return presence;
}

export const readReport = (value: Uint8Array): SyncReport | null => read(SyncReportSchema, value);
export const writeRecord = (record: MemberRecord): Uint8Array => write(MemberRecordSchema, record);
export const writePresence = (presence: MemberPresence): Uint8Array => write(MemberPresenceSchema, presence);

function read<T extends Message>(schema: GenMessage<T>, value: Uint8Array): T | null {
  if (value.byteLength > MAX_VALUE_BYTES) return null;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(value);
    return fromJsonString(schema, text, { ignoreUnknownFields: true }) as T;
  } catch {
    return null;
  }
}

function write<T extends Message>(schema: GenMessage<T>, message: T): Uint8Array {
  return new TextEncoder().encode(toJsonString(schema, message));
}
