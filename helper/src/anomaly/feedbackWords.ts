/** What people said of findings, in the words of the detectors. */
import { FeedbackKind, type Finding as WireFinding } from "@wardline/api/wardline/v1/anomaly";
import { fromWireFinding } from "@wardline/domain/wire";
import type { FindingEntry, FindingStore } from "./findingStore.ts";
import type { GivenEarlier } from "./liveEngine.ts";

export function wordOf(kind: FeedbackKind): "normal" | "confirmed" | "undo" {
  return kind === FeedbackKind.NORMAL ? "normal" : kind === FeedbackKind.CONFIRMED ? "confirmed" : "undo";
}

/** `null` = nothing, or it was taken back. */
function newestWord({ feedback }: FindingEntry): "normal" | "confirmed" | null {
  const word = feedback[0] === undefined ? "undo" : wordOf(feedback[0].kind);
  return word === "undo" ? null : word;
}

/** The newest word on each finding that is kept. */
export async function givenEarlier(store: FindingStore): Promise<readonly GivenEarlier[]> {
  const all: GivenEarlier[] = [];
  for (const entry of store.entries()) {
    const kind = newestWord(entry);
    if (kind === null) continue;
    const whole: WireFinding = await store.whole(entry.id);
    const finding = fromWireFinding(whole);
    if (finding) all.push({ finding, kind });
  }
  return all;
}
