/** What a head says about its set and its documents. Pure. */
import { type DesiredHead, type DocumentVersion, SetState } from "@wardline/api/wardline/v1/cluster";
import { setDigest } from "./records.ts";
import { type SetPlan, stamped, type WriteStamp } from "./setPlan.ts";

const MAX_CHANGED_KEYS = 1_000;
/** Of all of them together: a head stays small whatever the names are. */
const MAX_CHANGED_LENGTH = 100_000;

/** What all documents of a write share. */
export function stampOf({ setNumber, author, reason, writtenAt, term }: DesiredHead): WriteStamp {
  return { setNumber, author, reason, term, ...(writtenAt && { writtenAt }) };
}

export function stampAll({ changed }: SetPlan, head: DesiredHead): DocumentVersion[] {
  const stamp = stampOf(head);
  return changed.map((planned) => stamped(planned, stamp));
}

/** What a head says about its documents. */
export function completeHead(
  head: DesiredHead,
  changes: readonly DocumentVersion[],
  documents: ReadonlyMap<string, DocumentVersion>,
): void {
  head.digest = setDigest(documents.values());
  head.documentCount = [...documents.values()].filter(({ deleted }) => !deleted).length;
  head.changedKeys = someKeys(changes);
  head.changedCount = changes.length;
}

function someKeys(changes: readonly DocumentVersion[]): string[] {
  const keys: string[] = [];
  let length = 0;
  for (const { key } of changes) {
    length += key.length;
    if (keys.length >= MAX_CHANGED_KEYS || length > MAX_CHANGED_LENGTH) break;
    keys.push(key);
  }
  return keys;
}

/** Of the newest set that was confirmed up to and with this one. */
export function confirmedNumber(head: DesiredHead): bigint {
  return head.state === SetState.CONFIRMED ? head.setNumber : head.confirmedSetNumber;
}
