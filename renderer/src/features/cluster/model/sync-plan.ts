/** What a sync would do, counted and put in order; and which choices it still waits for. */
import { DocumentChange, type PlannedDocument } from "@wardline/api/wardline/console/v1/cluster";

const ORDER: readonly DocumentChange[] = [
  DocumentChange.CONFLICT,
  DocumentChange.DELETED,
  DocumentChange.MERGED,
  DocumentChange.CHANGED,
  DocumentChange.ADDED,
  DocumentChange.BEHIND,
  DocumentChange.UNCHANGED,
];

export const CHANGE_WORDS: Record<DocumentChange, string> = {
  [DocumentChange.UNSPECIFIED]: "unknown",
  [DocumentChange.UNCHANGED]: "unchanged",
  [DocumentChange.ADDED]: "new",
  [DocumentChange.CHANGED]: "changed",
  [DocumentChange.DELETED]: "deleted",
  [DocumentChange.MERGED]: "merged",
  [DocumentChange.CONFLICT]: "conflict",
  [DocumentChange.BEHIND]: "newer in the cluster",
};

/** What has to be decided first, what is not touched last. */
export function inOrder(documents: readonly PlannedDocument[]): PlannedDocument[] {
  return documents.toSorted(
    (a, b) => ORDER.indexOf(a.change) - ORDER.indexOf(b.change) || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  );
}

const WRITTEN: readonly DocumentChange[] = [
  DocumentChange.ADDED,
  DocumentChange.CHANGED,
  DocumentChange.DELETED,
  DocumentChange.MERGED,
  DocumentChange.CONFLICT,
];

export function writtenCount(documents: readonly PlannedDocument[]): number {
  return documents.filter(({ change }) => WRITTEN.includes(change)).length;
}

/** Whether both sides have a text: one that is deleted is taken or left as a whole. */
export function mayMerge({ mineText, theirsText }: PlannedDocument): boolean {
  return mineText !== "" && theirsText !== "";
}

/** Choices whose texts are in the new plan what they were in the one before; the others were about something else. */
export function stillHold(
  choices: ReadonlyMap<string, string>,
  before: readonly PlannedDocument[],
  now: readonly PlannedDocument[],
): ReadonlyMap<string, string> {
  const old = new Map(before.map((document) => [document.key, document]));
  const same = now.filter(({ key, mineText, theirsText }) => {
    const known = old.get(key);
    return known?.mineText === mineText && known.theirsText === theirsText;
  });
  const keys = new Set(same.map(({ key }) => key));
  return new Map([...choices].filter(([key]) => keys.has(key)));
}

/** Keys of documents that both sides changed at one place and nobody has decided. */
export function undecided(documents: readonly PlannedDocument[], choices: ReadonlyMap<string, string>): string[] {
  return documents
    .filter(({ change, key }) => change === DocumentChange.CONFLICT && !choices.has(key))
    .map(({ key }) => key);
}
