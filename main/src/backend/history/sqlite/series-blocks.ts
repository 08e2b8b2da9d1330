/**
 * Which blocks of a sealed file the rows of each series are in. A filter that few series match reads only their blocks, and
 * knows of the others how many records they have. Kept in the file as columns (a byte or less for each row); of files that
 * were sealed before there was such a thing, it is made from the rows when it is first asked for.
 */
import type { Database } from "better-sqlite3";
import { PackedColumns, packColumns } from "./columns.ts";
import { NOBODY } from "./layout.ts";
import type { BlockInfo, OpenFile } from "./open-file.ts";

/** In `series_columns`: blocks of each series, one series after the other; how many each has; records of each block. */
const NAMES = { list: "blocks", counts: "block_counts", records: "block_records" } as const;
/** More series than this share of all are in nearly every block. */
const MANY = 0.25;

type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

export class SeriesBlocks {
  /** Records of each block, by its index: without those of nobody. */
  readonly records: Float64Array;
  /** Where the blocks of each series begin in the list, and the end of the list. */
  readonly #starts: Uint32Array;
  readonly #list: Numbers;

  constructor(counts: Numbers, list: Numbers, records: Float64Array) {
    this.records = records;
    this.#list = list;
    this.#starts = new Uint32Array(counts.length + 1);
    for (let id = 0; id < counts.length; id++) this.#starts[id + 1] = this.#starts[id]! + counts[id]!;
  }

  get bytes(): number {
    return this.records.byteLength + this.#starts.byteLength + this.#list.byteLength;
  }

  /**
   * By index of the block: 1 = a row of a chosen series may be in it.
   * @param members by number of the series: 1 = chosen
   */
  with(members: Uint8Array): Uint8Array {
    const found = new Uint8Array(this.records.length);
    const starts = this.#starts;
    let chosen = 0;
    for (let id = 0; id < members.length; id++) chosen += members[id]!;
    if (chosen > members.length * MANY) return found.fill(1);
    for (let id = 0; id < members.length; id++) {
      if (members[id] !== 1) continue;
      const end = starts[id + 1]!;
      for (let at = starts[id]!; at < end; at++) found[this.#list[at]!] = 1;
    }
    return found;
  }

  write(database: Database): void {
    const insert = database.prepare("INSERT OR REPLACE INTO series_columns VALUES (?, ?)");
    const counts = new Float64Array(this.#starts.length - 1);
    for (let id = 0; id < counts.length; id++) counts[id] = this.#starts[id + 1]! - this.#starts[id]!;
    const list = new Float64Array(this.#list.length);
    for (let at = 0; at < list.length; at++) list[at] = this.#list[at]!;
    insert.run(NAMES.list, packColumns([list], list.length));
    insert.run(NAMES.counts, packColumns([counts], counts.length));
    insert.run(NAMES.records, packColumns([this.records], this.records.length));
  }
}

/** Of a sealed file. @throws DamagedBlock */
export function seriesBlocksOf(file: OpenFile): SeriesBlocks {
  const [list, counts, records] = [NAMES.list, NAMES.counts, NAMES.records].map((name) => stored(file, name));
  if (!list || !counts || !records) return countBlocks(file);
  return new SeriesBlocks(counts, list, Float64Array.from(records));
}

function stored(file: OpenFile, name: string): Numbers | null {
  const row = file.get<{ data: Buffer }>("SELECT data FROM series_columns WHERE name = ?", name);
  return row ? new PackedColumns(row.data).narrow(0) : null;
}

function countBlocks(file: OpenFile): SeriesBlocks {
  const blocks = file.blocks();
  const counter = new BlockCounter(file.seriesCount + 1, blocks);
  for (const block of blocks) {
    const { series, records } = file.readKeys(block);
    file.readSums(block, ["records"]);
    counter.add(block, series, records);
  }
  return counter.result();
}

/** Takes blocks in the order of writing. */
export class BlockCounter {
  readonly #counts: Uint32Array;
  /** The last block of each series so far, and 1. */
  readonly #last: Uint32Array;
  readonly #records: Float64Array;
  readonly #series: Uint32Array;
  readonly #blocks: Uint16Array;
  #pairs = 0;

  /** @param size highest number of a series and 1 */
  constructor(size: number, blocks: readonly BlockInfo[]) {
    const last = blocks.at(-1);
    const rows = last ? last.firstRow + last.rows : 0;
    this.#counts = new Uint32Array(size);
    this.#last = new Uint32Array(size);
    this.#records = new Float64Array(blocks.length);
    this.#series = new Uint32Array(rows);
    this.#blocks = new Uint16Array(rows);
  }

  add({ index, rows }: BlockInfo, series: Float64Array, records: Float64Array): void {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      const id = series[row]!;
      if (id === NOBODY) continue;
      sum += records[row]!;
      if (this.#last[id] === index + 1) continue;
      this.#last[id] = index + 1;
      this.#counts[id]!++;
      this.#series[this.#pairs] = id;
      this.#blocks[this.#pairs++] = index;
    }
    this.#records[index] = sum;
  }

  result(): SeriesBlocks {
    const next = new Uint32Array(this.#counts.length);
    for (let id = 1; id < next.length; id++) next[id] = next[id - 1]! + this.#counts[id - 1]!;
    const list = new Uint16Array(this.#pairs);
    for (let pair = 0; pair < this.#pairs; pair++) list[next[this.#series[pair]!]!++] = this.#blocks[pair]!;
    return new SeriesBlocks(this.#counts, list, this.#records);
  }
}
