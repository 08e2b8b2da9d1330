/** Join tokens in the store: made by the leader, kept as digests, used by one host only. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type JoinTokenRecord, JoinTokenRecordSchema } from "@wardline/api/wardline/v1/identity";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isMemberName } from "@wardline/domain/identity";
import type { Keys } from "../cluster/keys.ts";
import type { ClusterStore, Compare, Operation } from "../cluster/store/clusterStore.ts";
import { formatJoinToken, type JoinToken, TOKEN_ID_BYTES, TOKEN_SECRET_BYTES } from "./joinTokenText.ts";
import type { Guarded } from "./ports.ts";

const MINUTE_MS = 60_000;
export const MIN_TOKEN_LIFE_MS = MINUTE_MS;
export const MAX_TOKEN_LIFE_MS = 24 * 60 * MINUTE_MS;
export const TOKEN_LIFE_MS = 10 * MINUTE_MS;

const MAX_LABELS = 64;
const MAX_OPEN_TOKENS = 1_000;
const MAX_RECORD_BYTES = 64 * 1024;

export interface TokenRequest {
  /** Empty = any. */
  readonly memberName: string;
  readonly candidate: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly lifeMs: number;
  /** `alice (uid 1000) on a`. */
  readonly createdBy: string;
}

/** What goes into the text beside the secret. */
export type TokenOrigin = Pick<JoinToken, "trustDomain" | "rootFingerprint" | "candidates">;

export interface FoundToken {
  readonly record: JoinTokenRecord;
  readonly revision: bigint;
}

export interface JoinTokensPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly wallMs: () => number;
}

/** One sentence for every way in which a token does not count: who guesses learns nothing. */
export function invalidToken(): Failure {
  return new Failure({
    code: ErrorCode.TOKEN_INVALID,
    message: "The join token is unknown, used, over, or for another host.",
    hint: "Make a new one on a candidate of the cluster: wardline cluster token.",
  });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

function checkRequest({ memberName, labels, lifeMs }: TokenRequest): void {
  if (memberName !== "" && !isMemberName(memberName)) throw invalid("The member's name is no host name in lower case.");
  if (!(lifeMs >= MIN_TOKEN_LIFE_MS && lifeMs <= MAX_TOKEN_LIFE_MS))
    throw invalid("A token lasts 1 minute to 24 hours.");
  if (Object.keys(labels).length > MAX_LABELS) throw invalid(`A host has at most ${MAX_LABELS} labels.`);
}

const digestOf = (secret: Uint8Array) => createHash("sha256").update(secret).digest();
const encode = (record: JoinTokenRecord) => Buffer.from(toJsonString(JoinTokenRecordSchema, record));

function decode(value: Uint8Array): JoinTokenRecord | null {
  try {
    if (value.length > MAX_RECORD_BYTES) return null;
    return fromJsonString(JoinTokenRecordSchema, Buffer.from(value).toString("utf8"), { ignoreUnknownFields: true });
  } catch {
    return null;
  }
}

export class JoinTokens {
  readonly #ports: JoinTokensPorts;

  constructor(ports: JoinTokensPorts) {
    this.#ports = ports;
  }

  /** Throws INVALID_ARGUMENT, TOO_LARGE (too many open tokens), NOT_LEADER when `guard` does not hold any more. */
  async create(
    request: TokenRequest,
    origin: TokenOrigin,
    guard: Guarded,
  ): Promise<{ readonly text: string; readonly expiresAtMs: number }> {
    checkRequest(request);
    const { store, keys, wallMs } = this.#ports;
    await this.#makeRoom(guard);
    const id = randomBytes(TOKEN_ID_BYTES).toString("base64url");
    const secret = randomBytes(TOKEN_SECRET_BYTES);
    const createdAtMs = wallMs();
    const expiresAtMs = createdAtMs + request.lifeMs;
    const record = create(JoinTokenRecordSchema, {
      id,
      secretDigest: digestOf(secret),
      memberName: request.memberName,
      candidate: request.candidate,
      labels: { ...request.labels },
      createdAt: timestampFromMs(createdAtMs),
      expiresAt: timestampFromMs(expiresAtMs),
      createdBy: request.createdBy,
    });
    const isNew: Compare = { key: keys.token(id), target: "create", operator: "=", number: 0n };
    const put: Operation = { kind: "put", key: keys.token(id), value: encode(record) };
    const { succeeded } = await store.transact({ compare: [isNew, ...guard()], then: [put] });
    if (!succeeded) throw notLeader();
    return { text: formatJoinToken({ id, secret, ...origin }), expiresAtMs };
  }

  /** The token with this secret, used or not. Throws TOKEN_INVALID when there is none or its time is over. */
  async find(id: string, secret: Uint8Array): Promise<FoundToken> {
    const { store, keys, wallMs } = this.#ports;
    // The id comes from anybody and becomes part of a key.
    if (!/^[A-Za-z0-9_-]{16}$/.test(id)) throw invalidToken();
    const { item } = await store.get(keys.token(id));
    const record = item ? decode(item.value) : null;
    // Digests have one length, and comparing them takes the same time whatever they are.
    const isSame = timingSafeEqual(digestOf(secret), fixed(record?.secretDigest));
    if (!item || !record?.expiresAt || !isSame || record.id !== id) throw invalidToken();
    if (wallMs() >= timestampMs(record.expiresAt)) throw invalidToken();
    return { record, revision: item.modRevision };
  }

  /** Parts of the transaction that lets a host in: the token is unchanged since it was found, and is used by it. */
  use(
    { record, revision }: FoundToken,
    name: string,
    keyFingerprint: string,
  ): { readonly compare: Compare; readonly put: Operation } {
    const key = this.#ports.keys.token(record.id);
    return {
      compare: { key, target: "mod", operator: "=", number: revision },
      put: { kind: "put", key, value: encode({ ...record, usedBy: name, usedByKey: keyFingerprint }) },
    };
  }

  /** Drops those whose time is over, at most 100 at once. Returns how many. For the leader. */
  async removeExpired(guard: Guarded): Promise<number> {
    const { store, keys, wallMs } = this.#ports;
    const { items } = await store.range(keys.tokens, { limit: MAX_OPEN_TOKENS });
    const over = items.filter(({ value }) => {
      const expiresAt = decode(value)?.expiresAt;
      return !expiresAt || wallMs() >= timestampMs(expiresAt);
    });
    const chosen = over.slice(0, 100).map(({ key }): Operation => ({ kind: "delete", key }));
    if (chosen.length === 0) return 0;
    const { succeeded } = await store.transact({ compare: guard(), then: chosen });
    return succeeded ? chosen.length : 0;
  }

  async #makeRoom(guard: Guarded): Promise<void> {
    const { store, keys } = this.#ports;
    await this.removeExpired(guard);
    const { items } = await store.range(keys.tokens, { keysOnly: true, limit: MAX_OPEN_TOKENS });
    if (items.length < MAX_OPEN_TOKENS) return;
    const message = `There are ${MAX_OPEN_TOKENS} open join tokens already. They end by themselves.`;
    throw new Failure({ code: ErrorCode.TOO_LARGE, message });
  }
}

function fixed(digest: Uint8Array | undefined): Uint8Array {
  return digest?.length === 32 ? digest : new Uint8Array(32);
}

function notLeader(): Failure {
  const message = "This host leads the cluster no more. No token was made.";
  return new Failure({ code: ErrorCode.NOT_LEADER, message, retryable: true });
}
