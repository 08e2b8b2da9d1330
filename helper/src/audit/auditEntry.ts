/** One line of the audit log. What an entry is and how entries are chained is in `domain/audit`. */
import { createHash } from "node:crypto";
import type { AuditContent, AuditEntry, AuditOutcome, AuditRole, HashText } from "@wardline/domain/audit";

export const platformHash: HashText = (text) => createHash("sha256").update(text).digest("hex");

const OUTCOMES: readonly string[] = ["started", "done", "failed", "refused", "automatic"] satisfies AuditOutcome[];
const ROLES: readonly string[] = ["viewer", "operator", "admin", "none"] satisfies AuditRole[];

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

const MAX_TEXT_LENGTH = 2_000;

/** With texts that are cut to what an entry may have. */
export function bounded(content: AuditContent): AuditContent {
  return {
    ...content,
    actor: content.actor.slice(0, MAX_TEXT_LENGTH),
    detail: content.detail.slice(0, MAX_TEXT_LENGTH),
  };
}

/** What the agent did by itself. */
export function automatic(action: string, detail: string): AuditContent {
  return { actor: "agent", role: "none", action, argumentDigest: "", outcome: "automatic", detail };
}
