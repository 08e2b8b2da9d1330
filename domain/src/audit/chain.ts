/** One entry of a host's audit log, and the chain that ties it to the entry before. The agent writes it, the console checks it. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

export type AuditOutcome = "started" | "done" | "failed" | "refused" | "automatic";
export type AuditRole = "viewer" | "operator" | "admin" | "none";

export interface AuditContent {
  /** `user (uid)`, or `agent` for what the agent did by itself. */
  readonly actor: string;
  readonly role: AuditRole;
  /** `apply`, `confirm`, `rollback`, `rollback.expired`, … */
  readonly action: string;
  /** SHA-256 of the request, 64 hex digits; empty when it was refused before it was read. */
  readonly argumentDigest: string;
  readonly outcome: AuditOutcome;
  readonly detail: string;
}

export interface AuditEntry extends AuditContent {
  /** From 1, without gaps. */
  readonly sequence: number;
  /** RFC 3339, UTC, with milliseconds. */
  readonly time: string;
  readonly previousHash: string;
  readonly hash: string;
}

/** A place in a log: everything up to it is known by the hash alone. */
export type AuditPlace = Pick<AuditEntry, "sequence" | "hash">;

/** `previousHash` of the first entry. */
export const CHAIN_START = "0".repeat(64);

/** SHA-256 over UTF-8, as hex digits. */
export type HashText = (text: string) => string;

const hashText: HashText = (text) => bytesToHex(sha256(utf8ToBytes(text)));

/** SHA-256 over the entry's fields in their order, as a JSON array. */
function hashOf(entry: Omit<AuditEntry, "hash">, hash: HashText): string {
  const { sequence, time, actor, role, action, argumentDigest, outcome, detail, previousHash } = entry;
  return hash(JSON.stringify([sequence, time, actor, role, action, argumentDigest, outcome, detail, previousHash]));
}

/**
 * The entry that follows `before` (`null` = it is the first). `hash`: the platform's own is faster than the default.
 * Half of a character, where somebody cut a text, is replaced: no encoding carries it, so the hash would not fit elsewhere.
 */
export function sealEntry(
  content: AuditContent,
  time: string,
  before: AuditPlace | null,
  hash: HashText = hashText,
): AuditEntry {
  const { role, outcome } = content;
  const [actor, action, argumentDigest, detail] = [
    content.actor.toWellFormed(),
    content.action.toWellFormed(),
    content.argumentDigest.toWellFormed(),
    content.detail.toWellFormed(),
  ];
  const sequence = (before?.sequence ?? 0) + 1;
  const previousHash = before?.hash ?? CHAIN_START;
  const entry = { sequence, time, actor, role, action, argumentDigest, outcome, detail, previousHash };
  return { ...entry, hash: hashOf(entry, hash) };
}

/** Whether nothing of `entry` was changed since it was sealed. It says nothing about its place. */
export function isIntact(entry: AuditEntry, hash: HashText = hashText): boolean {
  // A stranger can hash what nobody has sealed: a place that cannot be counted, no time.
  const mayBeSealed = Number.isSafeInteger(entry.sequence) && entry.sequence > 0 && entry.time !== "";
  return mayBeSealed && entry.hash === hashOf(entry, hash);
}

/** Whether `entry` is intact and directly follows `before` (`null` = it is the first). */
export function follows(entry: AuditEntry, before: AuditPlace | null, hash: HashText = hashText): boolean {
  return (
    entry.sequence === (before?.sequence ?? 0) + 1 &&
    entry.previousHash === (before?.hash ?? CHAIN_START) &&
    isIntact(entry, hash)
  );
}
