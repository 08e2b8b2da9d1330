/** A list of rows of which only some are in the window: of the history, or of what comes live. */
import type { HistoryGap, HistoryRecord } from "@wardline/api/wardline/console/v1/history";

export interface RowList {
  /** Grows with each list that is asked for: what was scrolled to belongs to the one before. */
  readonly serial: number;
  /** Rows that have a rank. */
  readonly listed: number;
  readonly isRunning: boolean;
  readonly gaps: readonly HistoryGap[];
  /** Changes when rows arrived. */
  readonly version: number;
  /** Rows that came above the first since the list began: what is looked at stays where it is. */
  readonly added: number;
  readonly rowAt: (rank: number) => HistoryRecord | null;
  /** What is looked at now: it is read, and what is far from it is forgotten. */
  readonly want: (from: number, to: number) => void;
  /** A name of the row that stays while others come above it. It grows with the rank. */
  readonly keyAt: (rank: number) => number;
  /** The first rank whose key is not lower; `listed` when there is none. */
  readonly rankAtOrAfter: (key: number) => number;
}

/** -1 = the row has left the list. */
export function rankOf(list: Pick<RowList, "keyAt" | "rankAtOrAfter" | "listed">, key: number): number {
  const rank = list.rankAtOrAfter(key);
  return rank < list.listed && list.keyAt(rank) === key ? rank : -1;
}
