/**
 * Two people changed one file of several documents. Lines first; where these disagree, document by document: two policies
 * that were both added at the end of a file do not meet, however their lines do.
 */
import { type MergeRegion, mergeLines } from "../lines/index.ts";
import { type ClusterDocument, readClusterDocuments, sayTheSame } from "./documents.ts";
import {
  type ConflictReason,
  type DocumentSide,
  type MergeNames,
  type MergeResult,
  markConflicts,
  mergeDocument,
} from "./merge.ts";

const SEPARATOR = "---\n";

/**
 * Merges what two sides made of the text of a file. Like `mergeDocument`, but for whole files: with the sides exchanged the
 * result is the same. A result that no longer reads, where both sides did, is a conflict.
 * @param path of the file, for the diagnostics
 */
export function mergeFile(
  path: string,
  base: DocumentSide,
  ours: DocumentSide,
  theirs: DocumentSide,
  names?: MergeNames,
): MergeResult {
  if (ours === theirs) return { kind: "merged", text: ours };
  if (ours === base) return { kind: "merged", text: theirs };
  if (theirs === base) return { kind: "merged", text: ours };
  if (ours === null || theirs === null) {
    return conflictOf(
      "deleted",
      [{ kind: "conflict", base: base ?? "", ours: ours ?? "", theirs: theirs ?? "" }],
      names,
    );
  }
  const regions = mergeLines(base ?? "", ours, theirs);
  const text = agreedText(regions);
  const mayRead = reads(path, ours) && reads(path, theirs);
  const byDocument = mayRead ? mergeDocuments(path, base ?? "", ours, theirs) : null;
  const disputed = byDocument !== null && conflictsOf(byDocument) > 0;
  const together = byDocument && agreedText(byDocument);
  // Lines that are alike in two documents can be taken for each other: what one side said of one is then put into the other.
  const isMistaken =
    text !== null &&
    mayRead &&
    (together === null ? !keepsMeanings(path, [base ?? "", ours, theirs], text) : !meanTheSame(path, text, together));
  if (text !== null && !disputed && !isMistaken && (!mayRead || reads(path, text))) return { kind: "merged", text };
  if (together !== null && reads(path, together)) return { kind: "merged", text: together };
  const reason = base === null ? "added" : "lines";
  // Lines alone would have come together: one side renamed or deleted a document that the other changed.
  if (text !== null && disputed) return conflictOf(reason, byDocument, names);
  if (text !== null) {
    const whole: MergeRegion[] = [{ kind: "conflict", base: base ?? "", ours, theirs }];
    const { ok, diagnostics } = readClusterDocuments({ path, text });
    return ok ? conflictOf(reason, whole, names) : conflictOf("unreadable", whole, names, diagnostics);
  }
  const isNarrower = disputed && conflictsOf(byDocument) < conflictsOf(regions);
  return conflictOf(reason, isNarrower ? byDocument : regions, names);
}

function conflictOf(
  reason: ConflictReason,
  regions: readonly MergeRegion[],
  names: MergeNames | undefined,
  diagnostics: Extract<MergeResult, { kind: "conflict" }>["diagnostics"] = [],
): MergeResult {
  return { kind: "conflict", reason, regions, marked: markConflicts(regions, names), diagnostics };
}

function reads(path: string, text: string): boolean {
  return text.trim() === "" || readClusterDocuments({ path, text }).ok;
}

/** Comments, order and layout do not count. */
function meanTheSame(path: string, one: string, other: string): boolean {
  const [left, right] = [one, other].map((text) => documentsOf(path, text));
  if (!left || !right || left.size !== right.size) return false;
  return [...left].every(([key, document]) => isLike(document, right.get(key)));
}

/** Whether each document of the result says what the only side says that changed it, or both when they say the same. */
function keepsMeanings(
  path: string,
  sides: readonly [base: string, ours: string, theirs: string],
  text: string,
): boolean {
  const [before, mine, other] = sides.map((side) => documentsOf(path, side));
  const result = documentsOf(path, text);
  // What has no documents has no meaning that could be lost.
  if (!before || !mine || !other || !result) return true;
  const keys = new Set([before, mine, other, result].flatMap((documents) => [...documents.keys()]));
  return [...keys].every((key) => {
    const [old, our, their] = [before.get(key), mine.get(key), other.get(key)];
    if (isLike(our, their) || isLike(old, their)) return isLike(our, result.get(key));
    return !isLike(old, our) || isLike(their, result.get(key));
  });
}

function isLike(one: ClusterDocument | undefined, other: ClusterDocument | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.text === other.text || sayTheSame(one.text, other.text);
}

function conflictsOf(regions: readonly MergeRegion[]): number {
  return regions.filter(({ kind }) => kind === "conflict").length;
}

function agreedText(regions: readonly MergeRegion[]): string | null {
  let text = "";
  for (const region of regions) {
    if (region.kind === "conflict") return null;
    text += region.text;
  }
  return text;
}

type Documents = ReadonlyMap<string, ClusterDocument>;

/** `null` when one of the texts cannot be told apart into documents, or both sides put them into an order of their own. */
function mergeDocuments(path: string, base: string, ours: string, theirs: string): MergeRegion[] | null {
  const [before, mine, other] = [base, ours, theirs].map((text) => documentsOf(path, text));
  if (!before || !mine || !other) return null;
  const order = mergedOrder([...before.keys()], [...mine.keys()], [...other.keys()]);
  if (!order) return null;
  const regions: MergeRegion[] = [];
  for (const key of order) {
    const [baseText, ourText, theirText] = [before, mine, other].map((documents) => endedText(documents.get(key)));
    const merged = mergeDocument(key, baseText ?? null, ourText ?? null, theirText ?? null);
    if (merged.kind === "merged" && merged.text === null) continue;
    const parts: readonly MergeRegion[] =
      merged.kind === "merged" ? [{ kind: "agreed", from: "both", text: merged.text ?? "" }] : merged.regions;
    // A marker with a comment behind it is a line of the document.
    const isMarked = parts[0]?.kind === "agreed" && /^---\s/.test(parts[0].text);
    const separator = isMarked ? "" : separatorOf(regions.length === 0, [before, mine, other], key);
    if (separator !== "") regions.push({ kind: "agreed", from: "both", text: separator });
    regions.push(...parts);
  }
  return regions;
}

function documentsOf(path: string, text: string): Documents | null {
  if (text.trim() === "") return new Map();
  const { documents, ok } = readClusterDocuments({ path, text });
  return ok ? new Map(documents.map((document) => [document.key, document])) : null;
}

/** A document begins in a line of its own, whatever stands before it. */
function endedText(document: ClusterDocument | undefined): DocumentSide {
  if (!document) return null;
  return document.text.endsWith("\n") ? document.text : `${document.text}\n`;
}

function separatorOf(isFirst: boolean, sides: readonly Documents[], key: string): string {
  const [before, mine, other] = sides.map((documents) =>
    isFirst ? [...documents.values()][0]?.separator : documents.get(key)?.separator,
  );
  if (isFirst && mine === other) return mine ?? "";
  // The one that was changed, or any that is there; of two the one that is the same whoever asks.
  const [changed = "", second = ""] = [mine, other]
    .filter((each) => each !== undefined && each !== before)
    .sort()
    .reverse();
  if (isFirst) return changed;
  return changed || second || mine || other || before || SEPARATOR;
}

/**
 * The order of the side that changed it, with what the other one added behind the document that it added it behind. Of two
 * additions in one place the one with the smaller key comes first.
 */
function mergedOrder(base: readonly string[], ours: readonly string[], theirs: readonly string[]): string[] | null {
  const [inOurs, inTheirs] = [new Set(ours), new Set(theirs)];
  const common = new Set(base.filter((key) => inOurs.has(key) && inTheirs.has(key)));
  const orderIn = (keys: readonly string[]) => keys.filter((key) => common.has(key));
  const [kept, mine, other] = [orderIn(base), orderIn(ours), orderIn(theirs)];
  const skeleton = String(mine) === String(kept) ? other : String(other) === String(kept) ? mine : null;
  if (!skeleton) return null;
  const groups = new Map<string, string[][]>();
  for (const keys of [ours, theirs]) {
    let group: string[] = [];
    let anchor = "";
    for (const key of keys) {
      if (common.has(key)) {
        anchor = key;
        group = [];
        continue;
      }
      const there = groups.get(anchor) ?? [];
      if (group.length === 0) there.push(group);
      groups.set(anchor, there);
      group.push(key);
    }
  }
  const seen = new Set<string>();
  const order: string[] = [];
  const put = (key: string) => {
    if (!seen.has(key)) order.push(key);
    seen.add(key);
  };
  for (const anchor of ["", ...skeleton]) {
    if (anchor !== "") put(anchor);
    const there = (groups.get(anchor) ?? []).sort((one, next) => (String(one) < String(next) ? -1 : 1));
    for (const key of there.flat()) put(key);
  }
  return order;
}
