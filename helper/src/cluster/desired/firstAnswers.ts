/** Answers to writes with an id, kept in the transaction of the write, so that a repetition gets the same and writes nothing. */
import { createHash } from "node:crypto";
import { create, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import {
  type WriteDocumentsRequest,
  WriteDocumentsRequestSchema,
  type WriteDocumentsResponse,
  WriteDocumentsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import { DocumentVersionSchema } from "@wardline/api/wardline/v1/cluster";
import type { Keys } from "../keys.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import * as refuse from "./refusals.ts";
import { stampOf } from "./setHead.ts";

/** The answer that was given to this request before; `null` = none. Throws `Failure` ALREADY_EXISTS for another with its id. */
export async function readFirstAnswer(
  store: ClusterStore,
  keys: Keys,
  request: WriteDocumentsRequest,
): Promise<WriteDocumentsResponse | null> {
  if (request.requestId === "" || request.dryRun) return null;
  const { item } = await store.get(keys.request(request.requestId));
  if (!item) return null;
  const kept = JSON.parse(Buffer.from(item.value).toString("utf8")) as { fingerprint: string; response: JsonValue };
  if (kept.fingerprint !== fingerprint(request)) throw refuse.requestReused(request.requestId);
  const answer = fromJson(WriteDocumentsResponseSchema, kept.response, { ignoreUnknownFields: true });
  const stamp = answer.head ? stampOf(answer.head) : {};
  return { ...answer, written: answer.written.map((document) => ({ ...document, ...stamp })) };
}

/** What the transaction of the write has to hold besides; nothing for a request without an id. */
export function firstAnswer(
  keys: Keys,
  request: WriteDocumentsRequest | null,
  response: WriteDocumentsResponse,
): { readonly key: string; readonly value: Uint8Array }[] {
  if (!request || request.requestId === "") return [];
  // What every entry shares stands in the head already: 2,000 of them have to fit beside it.
  const written = response.written.map(({ key, version, deleted, digest }) =>
    create(DocumentVersionSchema, { key, version, deleted, digest }),
  );
  const kept = toJson(WriteDocumentsResponseSchema, { ...response, written });
  const value = Buffer.from(JSON.stringify({ fingerprint: fingerprint(request), response: kept }), "utf8");
  return [{ key: keys.request(request.requestId), value }];
}

function fingerprint(request: WriteDocumentsRequest): string {
  return createHash("sha256").update(toBinary(WriteDocumentsRequestSchema, request)).digest("hex");
}
