/** Holds what a host says of its audit log against what was seen of it before. */
import { type AuditEntry, type AuditPlace, follows, type HashText } from "./chain.ts";

/** A page of a host's log, oldest first. */
export interface AuditExtract {
  readonly entries: readonly AuditEntry[];
  /** Sequence of the newest entry of the whole log; 0 = the log is empty. */
  readonly lastSequence: number;
  /** Sequence of the oldest entry that the host still has; 0 = it does not say. */
  readonly firstSequence?: number;
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
  | { readonly kind: "broken"; readonly atSequence: number }
  /** The host's limits removed entries from this one on before they were seen: nobody can say that what is left continues. */
  | { readonly kind: "missed"; readonly atSequence: number };

/**
 * Judges the page that was asked for after the entry *before* `known`, so that `known` itself is its first entry: only
 * then a log that was rewritten up to the same length is noticed. `known` is `null` when nothing was seen yet.
 */
export function followAudit(known: AuditPlace | null, extract: AuditExtract, hash?: HashText): AuditFinding {
  const { entries, lastSequence, firstSequence = 0, brokenAtSequence } = extract;
  if (known && lastSequence < known.sequence) return { kind: "truncated", atSequence: lastSequence + 1 };
  const [first, ...rest] = entries;
  const isKnownGone = known !== null && firstSequence > known.sequence;
  if (isKnownGone && firstSequence > known.sequence + 1) return { kind: "missed", atSequence: known.sequence + 1 };
  if (known && !isKnownGone && first && (first.sequence !== known.sequence || first.hash !== known.hash))
    return { kind: "forked", atSequence: known.sequence };
  if (known && !first) return { kind: "truncated", atSequence: known.sequence };
  // What was seen was removed, and nothing after it: the first that is left has to follow from it.
  const added = known && !isKnownGone ? rest : entries;
  let before = known;
  for (const entry of added) {
    if (!follows(entry, before, hash)) return { kind: "broken", atSequence: (before?.sequence ?? 0) + 1 };
    before = entry;
  }
  if (brokenAtSequence > 0) return { kind: "broken", atSequence: brokenAtSequence };
  return { kind: "continues", entries: added };
}
