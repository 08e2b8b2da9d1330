/** Holds what a host says of its audit log against what was seen of it before. */
import { type AuditEntry, type AuditPlace, follows, type HashText } from "./chain.ts";

/** A page of a host's log, oldest first. */
export interface AuditExtract {
  readonly entries: readonly AuditEntry[];
  /** Sequence of the newest entry of the whole log; 0 = the log is empty. */
  readonly lastSequence: number;
  /** What the host itself says: the first entry of its file that does not fit; 0 = its chain is whole. */
  readonly brokenAtSequence: number;
}

export type AuditFinding =
  /** `entries` continue what is known. */
  | { readonly kind: "continues"; readonly entries: readonly AuditEntry[] }
  /** The log ends before the newest entry that was seen. */
  | { readonly kind: "truncated"; readonly atSequence: number }
  /** The entry that was seen at this place is another one now. */
  | { readonly kind: "forked"; readonly atSequence: number }
  /** An entry does not follow from the one before it. */
  | { readonly kind: "broken"; readonly atSequence: number };

/**
 * Judges the page that was asked for after the entry *before* `known`, so that `known` itself is its first entry: only
 * then a log that was rewritten up to the same length is noticed. `known` is `null` when nothing was seen yet.
 */
export function followAudit(known: AuditPlace | null, extract: AuditExtract, hash?: HashText): AuditFinding {
  const { entries, lastSequence, brokenAtSequence } = extract;
  if (known && lastSequence < known.sequence) return { kind: "truncated", atSequence: lastSequence + 1 };
  const [first, ...rest] = entries;
  if (known && first && (first.sequence !== known.sequence || first.hash !== known.hash))
    return { kind: "forked", atSequence: known.sequence };
  if (known && !first) return { kind: "truncated", atSequence: known.sequence };
  const added = known ? rest : entries;
  let before = known;
  for (const entry of added) {
    if (!follows(entry, before, hash)) return { kind: "broken", atSequence: (before?.sequence ?? 0) + 1 };
    before = entry;
  }
  if (brokenAtSequence > 0) return { kind: "broken", atSequence: brokenAtSequence };
  return { kind: "continues", entries: added };
}
