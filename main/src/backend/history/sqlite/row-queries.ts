/** Rows over partitions in the order of time: newest first for people, oldest first for detectors. */
import type { FlowQuery } from "@wardline/domain/flows";
import type { FileCache } from "./file-cache.ts";
import { BUCKET_MS } from "./layout.ts";
import type { BlockInfo, FileRef, OpenFile } from "./open-file.ts";
import { isOutside, isWithin, type QueryControl } from "./query-control.ts";
import { type FoundRow, readRows } from "./read-rows.ts";
import { scanBlock } from "./scan.ts";
import { type Selection, select } from "./selection.ts";
import { SeriesReader } from "./series-info.ts";
import type { ResolvedLabels } from "./series-members.ts";
import { windowOf } from "./sum-queries.ts";

/** Where a row stands among all: by time, then the file that it is in, then the order in that file. */
export interface Place {
  readonly timeMs: number;
  readonly leaf: number;
  readonly row: number;
}

export interface RowQuery {
  readonly files: readonly FileRef[];
  readonly query: FlowQuery;
  readonly labels: ResolvedLabels;
  readonly order: "newest" | "oldest";
  /** Rows altogether; infinite for all. */
  readonly limit: number;
  readonly after: Place | null;
}

export interface RowAnswer {
  readonly rows: readonly FoundRow[];
  /** Of the last row; `null` when nothing follows it. */
  readonly next: Place | null;
  readonly matched: number;
  readonly searched: number;
  readonly isComplete: boolean;
}

/** Rows that are looked for in one partition at once. */
const MOST_AT_ONCE = 2_000;

interface Candidate extends Place {
  readonly found: FoundRow;
}

/** Pieces as they are found; the last one says whether anything follows. */
export function* findRows(cache: FileCache, query: RowQuery, control: QueryControl): Generator<RowAnswer> {
  const sources = query.files.map((ref) => new Source(cache, ref, query, control));
  let left = query.limit;
  let matched = 0;
  let last: Place | null = null;
  let piece: FoundRow[] = [];
  const searched = () => sources.reduce((sum, source) => sum + source.searched, 0);
  for (;;) {
    const source = nextSource(sources, query.order, Math.min(left + 1, MOST_AT_ONCE));
    const candidate = source?.head;
    if (!source || !candidate || left === 0) {
      const isComplete = !candidate;
      yield { rows: piece, next: isComplete ? null : last, matched, searched: searched(), isComplete };
      return;
    }
    source.drop();
    const { found, ...place } = candidate;
    last = place;
    piece.push(found);
    matched += found.records;
    left--;
    if (piece.length >= MOST_AT_ONCE || control.isDue()) {
      yield { rows: piece, next: last, matched, searched: searched(), isComplete: false };
      piece = [];
    }
  }
}

/** The one whose first row comes next. Partitions are opened no sooner than their time has come. */
function nextSource(sources: readonly Source[], order: RowQuery["order"], most: number): Source | null {
  const sign = order === "newest" ? -1 : 1;
  for (;;) {
    let best: Source | null = null;
    for (const source of sources) {
      if (source.isDone) continue;
      if (!best || comesBefore(source, best, sign)) best = source;
    }
    if (!best || best.head) return best;
    best.load(most);
  }
}

/** A source that has not been read stands where its first row could be at best. */
function comesBefore(a: Source, b: Source, sign: 1 | -1): boolean {
  const [timeA, timeB] = [a.head?.timeMs ?? a.bestMs, b.head?.timeMs ?? b.bestMs];
  if (timeA !== timeB) return sign * (timeA - timeB) < 0;
  // Unread ones are read first: only then is it known who is next.
  if ((a.head === null) !== (b.head === null)) return a.head === null;
  return sign * (a.ref.firstLeaf - b.ref.firstLeaf) < 0;
}

class Source {
  readonly ref: FileRef;
  /** Records of the window that were looked at. */
  searched = 0;
  readonly #cache: FileCache;
  readonly #query: RowQuery;
  readonly #control: QueryControl;
  readonly #counted = new Set<number>();
  readonly #reader = new SeriesReader();
  #selection: Selection | null = null;
  #rows: Candidate[] = [];
  #at = 0;
  #after: Place | null;
  #isExhausted = false;
  #bestMs: number;

  constructor(cache: FileCache, ref: FileRef, query: RowQuery, control: QueryControl) {
    this.ref = ref;
    this.#cache = cache;
    this.#query = query;
    this.#control = control;
    this.#after = query.after;
    // A rolled-up row begins before the first record in it.
    this.#bestMs = query.order === "newest" ? ref.maxStartMs : ref.minStartMs - BUCKET_MS[ref.resolution];
  }

  get head(): Candidate | null {
    return this.#rows[this.#at] ?? null;
  }

  /** Where its next row could be at best, while it is not known. */
  get bestMs(): number {
    return this.#bestMs;
  }

  get isDone(): boolean {
    return this.#isExhausted && this.head === null;
  }

  drop(): void {
    this.#at++;
  }

  load(most: number): void {
    this.#control.check();
    const rows = this.#cache.use(this.ref, (file) => this.#find(file, most));
    this.#isExhausted = rows.length < most;
    this.#rows = rows;
    this.#at = 0;
    const last = rows.at(-1);
    if (last) {
      this.#after = last;
      this.#bestMs = last.timeMs;
    }
  }

  #find(file: OpenFile, most: number): Candidate[] {
    const { query, labels, order } = this.#query;
    const selection = this.#selection ?? select(file, query.where, labels);
    // What is sealed stays as it is.
    if (this.ref.isSealed) this.#selection = selection;
    const window = windowOf(query);
    const blocks = file.blocks().filter((block) => !isOutside(block, window));
    const known = file.seriesBlocks();
    const mayMatch = known?.with(selection.series);
    const sign = order === "newest" ? -1 : 1;
    const bestOf = (block: BlockInfo) => (sign < 0 ? block.maxStartMs : block.minStartMs);
    const worstOf = (block: BlockInfo) => (sign < 0 ? block.minStartMs : block.maxStartMs);
    blocks.sort((a, b) => sign * (bestOf(a) - bestOf(b)));
    const after = this.#after;
    const chosen = new Chosen(most, sign);
    const needs = { sums: this.ref.resolution !== "record", rest: false };
    for (const block of blocks) {
      if (chosen.isFull && sign * (bestOf(block) - chosen.worstMs) > 0) break;
      if (after && sign * (worstOf(block) - after.timeMs) < 0) continue;
      if (known && mayMatch?.[block.index] === 0 && isWithin(block, window)) {
        this.#count(block, known.records[block.index]!);
        continue;
      }
      this.#control.check();
      const { rows, count, columns, searched } = scanBlock(file, block, selection, window, needs);
      this.#count(block, searched);
      for (let at = 0; at < count; at++) {
        const row = rows[at]!;
        const timeMs = columns.startMs[row]!;
        if (after && !this.#isAfter(timeMs, block.firstRow + row, after, sign)) continue;
        chosen.add(timeMs, block.firstRow + row);
      }
      chosen.settle();
    }
    return this.#read(file, chosen.places(), blocks);
  }

  #isAfter(timeMs: number, row: number, after: Place, sign: 1 | -1): boolean {
    if (timeMs !== after.timeMs) return sign * (timeMs - after.timeMs) > 0;
    const { firstLeaf } = this.ref;
    if (firstLeaf !== after.leaf) return sign * (firstLeaf - after.leaf) > 0;
    return row > after.row;
  }

  #count(block: BlockInfo, searched: number): void {
    if (this.#counted.has(block.id)) return;
    this.#counted.add(block.id);
    this.searched += searched;
  }

  #read(file: OpenFile, places: readonly Omit<Place, "leaf">[], blocks: readonly BlockInfo[]): Candidate[] {
    const rows = places.map(({ row }) => row);
    const found = readRows(file, this.ref, rows, blocks, this.#reader);
    const leaf = this.ref.firstLeaf;
    return places.map(({ timeMs, row }) => ({ timeMs, row, leaf, found: found.get(row)! }));
  }
}

/** The first so many of all that are added, in order. */
class Chosen {
  readonly #most: number;
  readonly #sign: 1 | -1;
  #places: { readonly timeMs: number; readonly row: number }[] = [];
  /** Time of the last that is kept; everything beyond is of no interest. */
  #worstMs: number;

  constructor(most: number, sign: 1 | -1) {
    this.#most = most;
    this.#sign = sign;
    this.#worstMs = sign * Number.POSITIVE_INFINITY;
  }

  get isFull(): boolean {
    return Number.isFinite(this.#worstMs);
  }

  get worstMs(): number {
    return this.#worstMs;
  }

  add(timeMs: number, row: number): void {
    if (this.#sign * (timeMs - this.#worstMs) > 0) return;
    this.#places.push({ timeMs, row });
  }

  places(): readonly { readonly timeMs: number; readonly row: number }[] {
    this.settle();
    return this.#places;
  }

  /** Drops what is too many. */
  settle(): void {
    this.#places.sort((a, b) => this.#sign * (a.timeMs - b.timeMs) || a.row - b.row);
    this.#places.length = Math.min(this.#places.length, this.#most);
    if (this.#places.length === this.#most) this.#worstMs = this.#places.at(-1)!.timeMs;
  }
}
