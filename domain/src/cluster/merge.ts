/** Two people changed one document: what both meant, or where they disagree. */
import { type MergeRegion, mergeLines } from "../lines/index.ts";
import type { Diagnostic } from "../policy/diagnostic.ts";
import { documentPath, readClusterDocument, sayTheSame } from "./documents.ts";

/** A text of the document, `null` where it is deleted or was never written. */
export type DocumentSide = string | null;

/** Why a document does not merge by itself. */
export type ConflictReason =
  /** Both changed the same lines. */
  | "lines"
  /** One deleted what the other changed. */
  | "deleted"
  /** Both wrote the document anew. */
  | "added"
  /** The lines merge, but the result cannot be read: each change alone is right, both together are not. */
  | "unreadable"
  /** The lines merge into a document of another name or kind. */
  | "renamed";

export type MergeResult =
  | { readonly kind: "merged"; readonly text: DocumentSide }
  | {
      readonly kind: "conflict";
      readonly reason: ConflictReason;
      /** The whole document, region by region; without a text on one side it is one region. */
      readonly regions: readonly MergeRegion[];
      /** The same as one text with marks, for an editor. Not a valid document before somebody has decided. */
      readonly marked: string;
      /** Of a result that cannot be read; else empty. */
      readonly diagnostics: readonly Diagnostic[];
    };

export interface MergeNames {
  /** What stands at the marks: `your draft`. */
  readonly ours: string;
  /** `version 7 of alice`. */
  readonly theirs: string;
}

const USUAL_NAMES: MergeNames = { ours: "ours", theirs: "theirs" };

/**
 * Merges what two sides made of `base`, line by line. Changes of different places come together, the same change of both
 * sides counts once. Whatever reads differently from what its parts say is a conflict, never a guess.
 */
export function mergeDocument(
  key: string,
  base: DocumentSide,
  ours: DocumentSide,
  theirs: DocumentSide,
  names: MergeNames = USUAL_NAMES,
): MergeResult {
  if (ours === theirs) return { kind: "merged", text: ours };
  if (ours === base) return { kind: "merged", text: theirs };
  if (theirs === base) return { kind: "merged", text: ours };
  if (base === null || ours === null || theirs === null) {
    const regions: MergeRegion[] = [{ kind: "conflict", base: base ?? "", ours: ours ?? "", theirs: theirs ?? "" }];
    return conflict(base === null ? "added" : "deleted", regions, names);
  }
  const regions = mergeLines(base, ours, theirs);
  if (regions.some(({ kind }) => kind === "conflict")) return conflict("lines", regions, names);
  const text = regions.map((region) => (region.kind === "agreed" ? region.text : "")).join("");
  const read = readClusterDocument(text, documentPath(key));
  // Each side was right alone, so a person has to see all that is changed on either side.
  const whole: MergeRegion[] = [{ kind: "conflict", base, ours, theirs }];
  if (read.key === key) {
    return isMistaken(base, ours, theirs, text) ? conflict("lines", whole, names) : { kind: "merged", text };
  }
  const isNamed = read.key !== null;
  return conflict(isNamed ? "renamed" : "unreadable", whole, names, isNamed ? [] : read.diagnostics);
}

/**
 * Whether the lines say something else than the only side that changed what the document says, or than both when they say
 * the same: of lines that are alike one side may have taken another one away than the other side did.
 */
function isMistaken(base: string, ours: string, theirs: string, merged: string): boolean {
  if (sayTheSame(ours, theirs) || sayTheSame(base, theirs)) return !sayTheSame(ours, merged);
  return sayTheSame(base, ours) && !sayTheSame(theirs, merged);
}

function conflict(
  reason: ConflictReason,
  regions: readonly MergeRegion[],
  names: MergeNames,
  diagnostics: readonly Diagnostic[] = [],
): MergeResult {
  return { kind: "conflict", reason, regions, marked: markConflicts(regions, names), diagnostics };
}

/** Conflicts between marks as version control systems write them, with the base in the middle. */
export function markConflicts(regions: readonly MergeRegion[], { ours, theirs }: MergeNames = USUAL_NAMES): string {
  return regions
    .map((region) => {
      if (region.kind === "agreed") return region.text;
      const parts = [region.ours, region.base, region.theirs].map(endedLine);
      return `<<<<<<< ${ours}\n${parts[0]}||||||| base\n${parts[1]}=======\n${parts[2]}>>>>>>> ${theirs}\n`;
    })
    .join("");
}

function endedLine(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
