/** Single rows of a partition, by their numbers. */
import type { HistoryResolution } from "../flow-history.ts";
import type { BlockInfo, FileRef, OpenFile } from "./open-file.ts";
import type { SeriesInfo, SeriesReader } from "./series-info.ts";

/** Numbers of a row; what it is about is its series. */
export interface FoundRow {
  readonly id: string;
  readonly resolution: HistoryResolution;
  readonly series: SeriesInfo;
  readonly startMs: number;
  readonly lengthMs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly records: number;
  readonly started: number;
  readonly ended: number;
  readonly denied: number;
  readonly packets: number;
  readonly outBytes: number;
  readonly inBytes: number;
  readonly pid: number;
  readonly generation: number;
  readonly folded: number;
}

/** By number of the row. Each block is read once. */
export function readRows(
  file: OpenFile,
  ref: FileRef,
  rows: readonly number[],
  blocks: readonly BlockInfo[],
  reader: SeriesReader,
): Map<number, FoundRow> {
  const byRow = [...rows].sort((a, b) => a - b);
  const inOrder = [...blocks].sort((a, b) => a.firstRow - b.firstRow);
  const found = new Map<number, FoundRow>();
  let at = 0;
  for (const block of inOrder) {
    const end = block.firstRow + block.rows;
    if (at >= byRow.length || byRow[at]! >= end) continue;
    const inBlock: number[] = [];
    for (; at < byRow.length && byRow[at]! < end; at++) inBlock.push(byRow[at]! - block.firstRow);
    const columns = file.readRows(block, inBlock);
    for (const row of inBlock) {
      found.set(block.firstRow + row, foundRow(file, ref, columns, row, block.firstRow + row, reader));
    }
  }
  return found;
}

function foundRow(
  file: OpenFile,
  { resolution, firstLeaf }: FileRef,
  columns: ReturnType<OpenFile["readKeys"]>,
  at: number,
  row: number,
  reader: SeriesReader,
): FoundRow {
  const startMs = columns.startMs[at]!;
  return {
    id: `${resolution}-${firstLeaf}-${row}`,
    resolution,
    series: reader.read(file, columns.series[at]!),
    startMs,
    lengthMs: columns.lengthMs[at]!,
    firstMs: startMs + columns.first[at]!,
    lastMs: startMs + columns.last[at]!,
    records: columns.records[at]!,
    started: columns.started[at]!,
    ended: columns.ended[at]!,
    denied: columns.denied[at]!,
    packets: columns.packets[at]!,
    outBytes: columns.outBytes[at]!,
    inBytes: columns.inBytes[at]!,
    pid: columns.pid[at]!,
    generation: columns.generation[at]!,
    folded: columns.folded[at]!,
  };
}
