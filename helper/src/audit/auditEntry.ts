/** One line of the audit log, and the chain that ties it to the line before. */
import { createHash } from "node:crypto";

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
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly previousHash: string;
  readonly hash: string;
}

/** `previousHash` of the first entry. */
export const CHAIN_START = "0".repeat(64);

const OUTCOMES: readonly string[] = ["started", "done", "failed", "refused", "automatic"] satisfies AuditOutcome[];
const ROLES: readonly string[] = ["viewer", "operator", "admin", "none"] satisfies AuditRole[];

function hashOf(entry: Omit<AuditEntry, "hash">): string {
  const { sequence, time, actor, role, action, argumentDigest, outcome, detail, previousHash } = entry;
  const content = [sequence, time, actor, role, action, argumentDigest, outcome, detail, previousHash];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

export function sealEntry(content: AuditContent, sequence: number, time: string, previousHash: string): AuditEntry {
  const { actor, role, action, argumentDigest, outcome, detail } = content;
  const entry = { sequence, time, actor, role, action, argumentDigest, outcome, detail, previousHash };
  return { ...entry, hash: hashOf(entry) };
}

function isEntry(value: unknown): value is AuditEntry {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Readonly<Record<string, unknown>>;
  const texts = ["time", "actor", "action", "argumentDigest", "detail", "previousHash", "hash"];
  return (
    Number.isSafeInteger(entry.sequence) &&
    texts.every((name) => typeof entry[name] === "string") &&
    ROLES.includes(String(entry.role)) &&
    OUTCOMES.includes(String(entry.outcome))
  );
}

/** The entry of a line, or `null` when the line holds none. The chain is not checked here. */
export function parseEntry(line: string): AuditEntry | null {
  try {
    const value: unknown = JSON.parse(line);
    return isEntry(value) ? value : null;
  } catch {
    return null;
  }
}

/** Whether `entry` is intact and directly follows `before` (`null` = it is the first). */
export function follows(entry: AuditEntry, before: AuditEntry | null): boolean {
  return (
    entry.sequence === (before?.sequence ?? 0) + 1 &&
    entry.previousHash === (before?.hash ?? CHAIN_START) &&
    entry.hash === hashOf(entry)
  );
}
