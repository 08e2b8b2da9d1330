/**
 * The one way in which entries leave an audit log: its limits. The log itself states it before anything is removed, in an
 * entry that names the last one removed and its hash. A log that begins later than it states was cut by somebody else.
 */
import { type AuditContent, type AuditEntry, type AuditPlace, CHAIN_START } from "./chain.ts";

const ACTION = "audit.cut";
const SENTENCE = /^entries \d{1,16} to (\d{1,16}) were removed: /;

/** The statement that everything up to `through` is removed. `why` ends the sentence. */
export function cutContent(firstSequence: number, through: AuditPlace, why: string): AuditContent {
  return {
    actor: "agent",
    role: "none",
    action: ACTION,
    argumentDigest: through.hash,
    outcome: "automatic",
    detail: `entries ${firstSequence} to ${through.sequence} were removed: ${why}`,
  };
}

/** The last entry that `entry` states to be removed; `null` = it states nothing of the kind. */
export function readCut(entry: AuditEntry): AuditPlace | null {
  const { actor, role, action, outcome, argumentDigest, detail } = entry;
  if (action !== ACTION || actor !== "agent" || role !== "none" || outcome !== "automatic") return null;
  const through = SENTENCE.exec(detail)?.[1];
  const sequence = Number(through);
  // An entry can only speak of those before it.
  if (through === undefined || sequence < 1 || sequence >= entry.sequence) return null;
  return { sequence, hash: argumentDigest };
}

/**
 * Whether a log may begin with `first`: as the first of all, or where `cut`, its newest statement, says. A log that begins
 * before that place has not removed all of it yet.
 */
export function mayBegin(first: AuditEntry, cut: AuditPlace | null): boolean {
  if (first.sequence === 1) return first.previousHash === CHAIN_START;
  if (!cut) return false;
  const before = first.sequence - 1;
  return before < cut.sequence || (before === cut.sequence && first.previousHash === cut.hash);
}
