/** What the store keeps of the desired set: proto3 JSON of the messages of `wardline.v1`, and the digests in them. */
import { createHash } from "node:crypto";
import {
  clone,
  type DescMessage,
  fromJson,
  fromJsonString,
  type JsonValue,
  type MessageShape,
  toJson,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  type DesiredHead,
  DesiredHeadSchema,
  type DocumentVersion,
  DocumentVersionSchema,
  SetState,
} from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode as WireMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { EnforcementMode } from "../../enforce/enforcer.ts";

const LENIENT = { ignoreUnknownFields: true };

export function encode<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  return Buffer.from(toJsonString(schema, message), "utf8");
}

/** Throws `Failure` INTERNAL for a value that nobody of us can have written. */
export function decode<Desc extends DescMessage>(schema: Desc, key: string, value: Uint8Array): MessageShape<Desc> {
  try {
    return fromJsonString(schema, Buffer.from(value).toString("utf8"), LENIENT);
  } catch (error) {
    throw damaged(key, error);
  }
}

function damaged(key: string, cause: unknown): Failure {
  const reason = cause instanceof Error ? cause.message.slice(0, 200) : "it is not what was expected";
  const message = `The store holds something at ${key} that cannot be read: ${reason}`;
  return new Failure({ code: ErrorCode.INTERNAL, message, hint: "Look who else writes to this store." }, { cause });
}

/** Many documents in one value. */
export function encodePiece(documents: readonly DocumentVersion[]): Uint8Array {
  return Buffer.from(JSON.stringify(documents.map((document) => toJson(DocumentVersionSchema, document))), "utf8");
}

export function decodePiece(key: string, value: Uint8Array): readonly DocumentVersion[] {
  try {
    const list = JSON.parse(Buffer.from(value).toString("utf8")) as unknown;
    if (!Array.isArray(list)) throw new Error("it is no list");
    return list.map((item) => fromJson(DocumentVersionSchema, item as JsonValue, LENIENT));
  } catch (error) {
    throw damaged(key, error);
  }
}

/** Names the pieces that belong to the head. */
export interface Overlay {
  readonly setNumber: bigint;
  readonly attempt: string;
  readonly pieces: number;
}

export function encodeOverlay({ setNumber, attempt, pieces }: Overlay): Uint8Array {
  return Buffer.from(JSON.stringify({ setNumber: setNumber.toString(), attempt, pieces }), "utf8");
}

export function decodeOverlay(key: string, value: Uint8Array): Overlay {
  try {
    const { setNumber, attempt, pieces } = JSON.parse(Buffer.from(value).toString("utf8")) as Record<string, unknown>;
    if (typeof setNumber !== "string" || typeof attempt !== "string" || !Number.isSafeInteger(pieces)) {
      throw new Error("a field is missing");
    }
    return { setNumber: BigInt(setNumber), attempt, pieces: pieces as number };
  } catch (error) {
    throw damaged(key, error);
  }
}

/** SHA-256, 64 hex digits. */
export function textDigest(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** Over keys and digests of the documents that are there, in the order of their keys; 64 hex digits. */
export function setDigest(documents: Iterable<Pick<DocumentVersion, "key" | "digest" | "deleted">>): string {
  const lines: string[] = [];
  for (const { key, digest, deleted } of documents) if (!deleted) lines.push(`${key} ${digest}\n`);
  return createHash("sha256").update(lines.sort().join(""), "utf8").digest("hex");
}

export function withoutText(document: DocumentVersion): DocumentVersion {
  if (document.text === "") return document;
  return { ...document, text: "" };
}

export function copyHead(head: DesiredHead, changes: Partial<Omit<DesiredHead, "$typeName">>): DesiredHead {
  return Object.assign(clone(DesiredHeadSchema, head), changes);
}

export function isPending(head: DesiredHead | null): head is DesiredHead & { readonly state: SetState.PENDING } {
  return head?.state === SetState.PENDING;
}

/** `null` for a mode that this version does not know. */
export function modeOf(head: DesiredHead): EnforcementMode | null {
  if (head.mode === WireMode.ENFORCE) return "enforce";
  return head.mode === WireMode.OBSERVE ? "observe" : null;
}
