/** Groups and series of sums over partitions. Run in a thread of their own. */
import type { FlowDimension, FlowMeasure, FlowQuery } from "@wardline/domain/flows";
import { addSums, type MutableSums, measureOfSums, noSums } from "../dimensions.ts";
import type { FlowSums, HistoryGroup } from "../flow-history.ts";
import { sumsWithin } from "./cut-sums.ts";
import type { FileCache } from "./file-cache.ts";
import { fileDimension, type Group, GroupTable, type SeriesSums } from "./group-tables.ts";
import type { FileRef, OpenFile } from "./open-file.ts";
import { isWithin, type QueryControl, type TimeWindow } from "./query-control.ts";
import { type BlockMatch, scanAll } from "./scan.ts";
import { type Selection, select } from "./selection.ts";
import type { ResolvedLabels } from "./series-members.ts";

export interface SumQuery {
  readonly files: readonly FileRef[];
  readonly query: FlowQuery;
  readonly labels: ResolvedLabels;
}

export interface GroupQuery extends SumQuery {
  readonly by: readonly FlowDimension[];
  readonly order: FlowMeasure;
  readonly limit: number;
}

export interface GroupAnswer {
  readonly groups: readonly HistoryGroup[];
  readonly total: FlowSums;
  readonly groupCount: number;
  readonly searched: number;
  /** Partitions that were looked at. */
  readonly files: number;
}

/** One answer whenever it is time for a word, and the complete one at the end. */
export function* groupRecords(cache: FileCache, query: GroupQuery, control: QueryControl): Generator<GroupAnswer> {
  const table = new GroupTable(query.by);
  let searched = 0;
  for (const [index, ref] of query.files.entries()) {
    control.check();
    searched += cache.use(ref, (file) => addFile(table, file, ref, query, control));
    const isLast = index === query.files.length - 1;
    if (!isLast && control.isDue()) yield answerOf(table, query, searched, index + 1);
  }
  yield answerOf(table, query, searched, query.files.length);
}

function answerOf(table: GroupTable, { order, limit }: GroupQuery, searched: number, files: number): GroupAnswer {
  const groups = largest(table.groups, order, limit);
  return { groups, total: { ...table.total }, groupCount: table.groups.size, searched, files };
}

/** The largest first, those of the same size by their values. */
function largest(groups: ReadonlyMap<string, Group>, order: FlowMeasure, limit: number): HistoryGroup[] {
  const sizes = Float64Array.from(groups.values(), ({ sums }) => measureOfSums(order, sums));
  // Numbers are put in order many times faster than groups: only those that may be among the largest are looked at.
  const least = sizes.length > limit ? sizes.sort()[sizes.length - Math.max(1, limit)]! : Number.NEGATIVE_INFINITY;
  const candidates: { readonly key: string; readonly group: Group; readonly size: number }[] = [];
  for (const group of groups.values()) {
    const size = measureOfSums(order, group.sums);
    if (size >= least) candidates.push({ key: JSON.stringify(group.values), group, size });
  }
  candidates.sort((a, b) => b.size - a.size || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return candidates.slice(0, limit).map(({ group }) => group);
}

function addFile(table: GroupTable, file: OpenFile, ref: FileRef, query: SumQuery, control: QueryControl): number {
  const selection = select(file, query.query.where, query.labels);
  const window = windowOf(query.query);
  // The totals of a sealed partition are those of its rows; of most of them, when little is taken off.
  if (file.hasTotals && !selection.test) {
    const totals = totalsOf(file);
    const isWhole = isWithin(ref, window);
    const cut = isWhole ? null : sumsWithin(file, totals, selection.series, window, control);
    if (isWhole || cut) {
      table.add(file, cut?.sums ?? totals, selection.series);
      return cut?.searched ?? ref.records;
    }
  }
  const sums = newSums(file.seriesCount + 1);
  const searched = scanAll(file, selection, window, { sums: true, rest: false }, control, (match) =>
    addMatch(sums, match),
  );
  table.add(file, sums, selection.series);
  return searched;
}

function totalsOf(file: OpenFile): SeriesSums {
  return {
    records: file.column("records"),
    started: file.column("started"),
    denied: file.column("denied"),
    packets: file.column("packets"),
    outBytes: file.column("out_bytes"),
    inBytes: file.column("in_bytes"),
    first: file.column("first"),
    last: file.column("last"),
  };
}

export function newSums(size: number): SeriesSums {
  const column = () => new Float64Array(size);
  const counts = { records: column(), started: column(), denied: column(), packets: column() };
  return { ...counts, outBytes: column(), inBytes: column(), first: column(), last: column() };
}

function addMatch(sums: SeriesSums, { rows, count, columns }: BlockMatch): void {
  for (let at = 0; at < count; at++) {
    const row = rows[at]!;
    addRow(sums, columns.series[row]!, columns, row);
  }
}

/** Adds a row of a block to the sums of one series (or of anything else that has a number). */
export function addRow(sums: SeriesSums, id: number, columns: BlockMatch["columns"], row: number): void {
  const first = columns.startMs[row]! + columns.first[row]!;
  const last = columns.startMs[row]! + columns.last[row]!;
  if (sums.records[id] === 0 || first < sums.first[id]!) sums.first[id] = first;
  if (sums.records[id] === 0 || last > sums.last[id]!) sums.last[id] = last;
  sums.records[id]! += columns.records[row]!;
  sums.started[id]! += columns.started[row]!;
  sums.denied[id]! += columns.denied[row]!;
  sums.packets[id]! += columns.packets[row]!;
  sums.outBytes[id]! += columns.outBytes[row]!;
  sums.inBytes[id]! += columns.inBytes[row]!;
}

export function windowOf({ sinceMs, untilMs }: FlowQuery): TimeWindow {
  return { sinceMs: sinceMs ?? Number.NEGATIVE_INFINITY, untilMs: untilMs ?? Number.POSITIVE_INFINITY };
}

export interface StepQuery extends SumQuery {
  readonly stepMs: number;
  readonly splitBy: FlowDimension | null;
}

export interface StepAnswer {
  readonly points: readonly { readonly timeMs: number; readonly value: string; readonly sums: FlowSums }[];
  readonly matched: number;
  readonly searched: number;
}

/** More points are a mistake of who asks, or a host that lies about time. */
const MAX_POINTS = 200_000;

export function sumBySteps(cache: FileCache, query: StepQuery, control: QueryControl): StepAnswer {
  const points = new Map<string, { readonly timeMs: number; readonly value: string; readonly sums: MutableSums }>();
  let searched = 0;
  for (const ref of query.files) {
    control.check();
    searched += cache.use(ref, (file) => addSteps(points, file, query, control));
  }
  const sorted = [...points.values()].sort(
    (a, b) => a.timeMs - b.timeMs || (a.value < b.value ? -1 : a.value > b.value ? 1 : 0),
  );
  const matched = sorted.reduce((sum, { sums }) => sum + sums.records, 0);
  return { points: sorted, matched, searched };
}

type Points = Map<string, { readonly timeMs: number; readonly value: string; readonly sums: MutableSums }>;

function addSteps(points: Points, file: OpenFile, query: StepQuery, control: QueryControl): number {
  const selection: Selection = select(file, query.query.where, query.labels);
  const { stepMs, splitBy } = query;
  // The value of each series by its number among the values of this file: rows are added to (step, value).
  const { numberOf, values } = valuesIn(file, splitBy, selection);
  const inFile = new Map<number, MutableSums>();
  const window = windowOf(query.query);
  const searched = scanAll(
    file,
    selection,
    window,
    { sums: true, rest: false },
    control,
    ({ rows, count, columns }) => {
      for (let at = 0; at < count; at++) {
        const row = rows[at]!;
        const step = Math.floor(columns.startMs[row]! / stepMs);
        const key = step * values.length + numberOf[columns.series[row]!]!;
        let sums = inFile.get(key);
        if (!sums) {
          if (inFile.size + points.size >= MAX_POINTS) continue;
          sums = noSums();
          inFile.set(key, sums);
        }
        addRowTo(sums, columns, row);
      }
    },
  );
  for (const [key, sums] of inFile)
    mergePoint(points, Math.floor(key / values.length) * stepMs, values[key % values.length]!, sums);
  return searched;
}

function valuesIn(file: OpenFile, splitBy: FlowDimension | null, { series }: Selection) {
  const numberOf = new Uint32Array(file.seriesCount + 1);
  if (splitBy === null) return { numberOf, values: [""] };
  const { numbers: ids, text } = fileDimension(file, splitBy);
  const values: string[] = [];
  const numbers = new Map<number, number>();
  for (let id = 1; id < numberOf.length; id++) {
    if (series[id] !== 1) continue;
    let number = numbers.get(ids[id]!);
    if (number === undefined) {
      number = values.length;
      values.push(text(ids[id]!));
      numbers.set(ids[id]!, number);
    }
    numberOf[id] = number;
  }
  return { numberOf, values: values.length === 0 ? [""] : values };
}

function addRowTo(into: MutableSums, columns: BlockMatch["columns"], row: number): void {
  const first = columns.startMs[row]! + columns.first[row]!;
  const last = columns.startMs[row]! + columns.last[row]!;
  if (into.records === 0 || first < into.firstSeenMs) into.firstSeenMs = first;
  if (into.records === 0 || last > into.lastSeenMs) into.lastSeenMs = last;
  into.records += columns.records[row]!;
  into.connections += columns.started[row]!;
  into.deniedPackets += columns.denied[row]!;
  into.packets += columns.packets[row]!;
  into.originatorBytes += columns.outBytes[row]!;
  into.responderBytes += columns.inBytes[row]!;
}

function mergePoint(points: Points, timeMs: number, value: string, sums: MutableSums): void {
  const key = `${timeMs} ${value}`;
  const known = points.get(key);
  if (known) addSums(known.sums, sums);
  else points.set(key, { timeMs, value, sums });
}
