/** What a sync would do to one document: three texts in, one decision out. */

import { DocumentChange } from "@wardline/api/wardline/console/v1/cluster";
import type { DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { type DocumentSide, mergeDocument } from "@wardline/domain/cluster";
import type { SyncedBase } from "../../store/cluster-bases-table.ts";

export interface Sides {
  readonly key: string;
  /** Last agreed on; `null` = never. */
  readonly base: SyncedBase | null;
  readonly mine: DocumentSide;
  /** Newest in the cluster, tombstones included. */
  readonly theirs: DocumentVersion | null;
}

export interface Comparison extends Sides {
  readonly change: DocumentChange;
  /** What would be written (`null` = it is deleted); for a conflict the text with both sides marked. */
  readonly result: DocumentSide;
}

export interface CompareOptions {
  /** What is not mine goes. */
  readonly deletesMissing: boolean;
  /** Nothing was ever agreed on with this cluster: then what is missing was not seen and left out, but never there. */
  readonly isFirst: boolean;
}

export function textOf(version: DocumentVersion | null): DocumentSide {
  return version === null || version.deleted ? null : version.text;
}

export function compare(sides: Sides, options: CompareOptions): Comparison {
  const { key, base, mine } = sides;
  const theirs = textOf(sides.theirs);
  const agreed = base?.text ?? null;
  const decide = (change: DocumentChange, result: DocumentSide): Comparison => ({ ...sides, change, result });
  if (mine === theirs) return decide(DocumentChange.UNCHANGED, mine);
  if (mine === null && theirs !== null) {
    const wasNeverAgreed = base === null && options.isFirst;
    if (options.deletesMissing && wasNeverAgreed) return decide(DocumentChange.DELETED, null);
    if (theirs === agreed) {
      return options.deletesMissing ? decide(DocumentChange.DELETED, null) : decide(DocumentChange.UNCHANGED, theirs);
    }
    // Deleted here and changed there is only a conflict when the deletion is meant.
    if (agreed === null || !options.deletesMissing) return decide(DocumentChange.BEHIND, theirs);
  }
  if (mine === agreed) return decide(DocumentChange.BEHIND, theirs);
  if (theirs === agreed) return decide(theirs === null ? DocumentChange.ADDED : DocumentChange.CHANGED, mine);
  const merged = mergeDocument(key, agreed, mine, theirs, namesOf(sides));
  if (merged.kind === "merged") return decide(DocumentChange.MERGED, merged.text);
  return decide(DocumentChange.CONFLICT, merged.marked);
}

function namesOf({ theirs }: Sides) {
  const whose = theirs === null || theirs.author === "" ? "" : ` of ${theirs.author}`;
  return { ours: "this workspace", theirs: theirs ? `version ${theirs.version}${whose}` : "the cluster" };
}
