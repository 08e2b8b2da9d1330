/** Walks the blocks of a partition and gives the rows that match. */

import { BLOCK_ROWS } from "./layout.ts";
import type { BlockColumns, BlockInfo, OpenFile } from "./open-file.ts";
import { isOutside, isWithin, type QueryControl, type TimeWindow } from "./query-control.ts";
import type { Selection } from "./selection.ts";

/** Of the block that was scanned last: used again for the next one. */
const MATCHED = new Uint32Array(BLOCK_ROWS);

export interface BlockMatch {
  readonly block: BlockInfo;
  /** Numbers of matching rows in the block: the first {@link count}. */
  readonly rows: Uint32Array;
  readonly count: number;
  readonly columns: BlockColumns;
  /** Records that lie in the window, whether they match or not. */
  readonly searched: number;
}

/** What has to be decoded beside the keys. */
export interface Needs {
  readonly sums: boolean;
  readonly rest: boolean;
}

export function scanBlock(
  file: OpenFile,
  block: BlockInfo,
  selection: Selection,
  window: TimeWindow,
  needs: Needs,
): BlockMatch {
  const columns = file.readKeys(block);
  if (needs.sums) file.readSums(block);
  else if (selection.test) file.readSums(block, selection.sums);
  if (needs.rest || selection.needsRest) file.readRest(block);
  const { series, startMs, lengthMs, records } = columns;
  const { series: members, test } = selection;
  const { sinceMs, untilMs } = window;
  const isWhole = isWithin(block, window);
  let count = 0;
  let searched = 0;
  for (let row = 0; row < block.rows; row++) {
    if (!isWhole && (startMs[row]! >= untilMs || startMs[row]! + lengthMs[row]! <= sinceMs)) continue;
    const id = series[row]!;
    if (id !== 0) searched += needs.sums ? records[row]! : 1;
    if (members[id] !== 1 || (test && !test(row, id, columns))) continue;
    MATCHED[count++] = row;
  }
  return { block, rows: MATCHED, count, columns, searched };
}

/** Every block that the window touches, in the order of writing. */
export function scanAll(
  file: OpenFile,
  selection: Selection,
  window: TimeWindow,
  needs: Needs,
  control: QueryControl,
  each: (match: BlockMatch) => void,
): number {
  let searched = 0;
  for (const block of file.blocks()) {
    if (isOutside(block, window)) continue;
    control.check();
    const match = scanBlock(file, block, selection, window, needs);
    searched += match.searched;
    if (match.count > 0) each(match);
  }
  return searched;
}
