/**
 * What a person carries from a candidate to a new host: `wl1.` and base64url. It says whom to ask and how to know them, so
 * that the secret goes to nobody else.
 */

import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isMemberName, isTrustDomain } from "@wardline/domain/identity";
import { parsePeerAddress } from "./peerAddress.ts";

const PREFIX = "wl1.";
const MAX_CHARACTERS = 8_192;
const MAX_CANDIDATES = 16;
export const TOKEN_ID_BYTES = 12;
export const TOKEN_SECRET_BYTES = 32;

export interface JoinToken {
  readonly id: string;
  readonly secret: Uint8Array;
  readonly trustDomain: string;
  /** SHA-256 of the certificate of the authority's root, 64 hex digits. */
  readonly rootFingerprint: string;
  /** Whom to ask, by name and address: a member that is no candidate cannot answer in the place of one. */
  readonly candidates: readonly { readonly name: string; readonly peerAddress: string }[];
}

/** What is inside, in short names: a person copies it. */
interface Content {
  readonly i: string;
  readonly s: string;
  readonly d: string;
  readonly r: string;
  readonly c: readonly (readonly [string, string])[];
}

export function formatJoinToken({ id, secret, trustDomain, rootFingerprint, candidates }: JoinToken): string {
  const content: Content = {
    i: id,
    s: Buffer.from(secret).toString("base64url"),
    d: trustDomain,
    r: Buffer.from(rootFingerprint, "hex").toString("base64url"),
    c: candidates.slice(0, MAX_CANDIDATES).map(({ name, peerAddress }) => [name, peerAddress]),
  };
  return `${PREFIX}${Buffer.from(JSON.stringify(content)).toString("base64url")}`;
}

function unreadable(): Failure {
  return new Failure({
    code: ErrorCode.TOKEN_INVALID,
    message: "This is no join token, or a part of one.",
    hint: "Copy the whole token, which starts with wl1., or make a new one on a candidate of the cluster.",
  });
}

function readBytes(value: unknown, length: number): Buffer {
  if (typeof value !== "string" || value.length > 64) throw unreadable();
  const bytes = Buffer.from(value, "base64url");
  if (bytes.length !== length || bytes.toString("base64url") !== value) throw unreadable();
  return bytes;
}

function readCandidates(value: unknown): JoinToken["candidates"] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_CANDIDATES) throw unreadable();
  return value.map((entry: unknown) => {
    const [name, peerAddress] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof name !== "string" || !isMemberName(name) || typeof peerAddress !== "string") throw unreadable();
    parsePeerAddress(peerAddress);
    return { name, peerAddress };
  });
}

/** Throws `Failure` TOKEN_INVALID. Never repeats the text: it holds a secret. */
export function parseJoinToken(text: string): JoinToken {
  const trimmed = text.trim();
  if (trimmed.length > MAX_CHARACTERS || !/^wl1\.[A-Za-z0-9_-]+$/.test(trimmed)) throw unreadable();
  try {
    const json = Buffer.from(trimmed.slice(PREFIX.length), "base64url").toString("utf8");
    const content = JSON.parse(json) as Partial<Record<keyof Content, unknown>> | null;
    if (typeof content?.d !== "string" || !isTrustDomain(content.d)) throw unreadable();
    return {
      id: readBytes(content.i, TOKEN_ID_BYTES).toString("base64url"),
      secret: readBytes(content.s, TOKEN_SECRET_BYTES),
      trustDomain: content.d,
      rootFingerprint: readBytes(content.r, 32).toString("hex"),
      candidates: readCandidates(content.c),
    };
  } catch {
    throw unreadable();
  }
}
