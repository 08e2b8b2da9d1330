/** A partition that is open for reading. */
import type { Database, Statement } from "better-sqlite3";
import type { HistoryResolution } from "../flow-history.ts";
import { DamagedBlock, PackedColumns } from "./columns.ts";
import {
  BLOCK_ROWS,
  IDENTITY_COLUMNS,
  KEY_COLUMNS,
  REST_COLUMNS,
  type SeriesColumn,
  SUM_COLUMNS,
  type SumColumn,
} from "./layout.ts";
import { guarded, openForReading, readMeta } from "./partition-database.ts";
import type { MeasureColumns } from "./selection.ts";
import { type SeriesBlocks, seriesBlocksOf } from "./series-blocks.ts";

/** What the main thread says of a file that a query reads. */
export interface FileRef {
  readonly path: string;
  readonly resolution: HistoryResolution;
  readonly firstLeaf: number;
  readonly isSealed: boolean;
  readonly records: number;
  readonly minStartMs: number;
  readonly maxStartMs: number;
  readonly minEndMs: number;
  readonly maxEndMs: number;
}

export interface BlockInfo {
  readonly id: number;
  readonly rows: number;
  readonly minStartMs: number;
  readonly maxStartMs: number;
  readonly minEndMs: number;
  readonly maxEndMs: number;
  /** Number of its first row in the file, and its own among the blocks: they stay, whatever comes later. */
  firstRow: number;
  index: number;
}

/** Columns of the block that was read last; they are used again for the next one. */
export interface BlockColumns extends Record<keyof MeasureColumns, Float64Array> {
  readonly series: Float64Array;
  readonly startMs: Float64Array;
  readonly lengthMs: Float64Array;
  readonly records: Float64Array;
  readonly ended: Float64Array;
  readonly generation: Float64Array;
  readonly folded: Float64Array;
}

const column = () => new Float64Array(BLOCK_ROWS);
/** One thread reads one block at a time. */
const SHARED: BlockColumns = {
  ...{ series: column(), startMs: column(), lengthMs: column() },
  ...{ records: column(), started: column(), denied: column(), packets: column() },
  ...{ outBytes: column(), inBytes: column(), first: column(), last: column() },
  ...{ ended: column(), pid: column(), generation: column(), folded: column() },
};
const KEYS = [SHARED.series, SHARED.startMs, SHARED.lengthMs];
const SUMS = [
  ...[SHARED.records, SHARED.started, SHARED.denied, SHARED.packets, SHARED.outBytes, SHARED.inBytes],
  ...[SHARED.first, SHARED.last],
];
const REST = [SHARED.ended, SHARED.pid, SHARED.generation, SHARED.folded];
if (KEYS.length !== KEY_COLUMNS.length || SUMS.length !== SUM_COLUMNS.length || REST.length !== REST_COLUMNS.length) {
  throw new Error("The columns of a block and their names differ.");
}

export class OpenFile {
  readonly path: string;
  /** Tried by the SQL function `matches`. */
  readonly matchers: ((text: string) => boolean)[] = [];
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();
  readonly #columns = new Map<SeriesColumn, Float64Array>();
  #seriesBlocks: SeriesBlocks | null = null;
  /** Of a file that is not sealed: {@link IDENTITY_COLUMNS}, with room for more, and how many of them were read. */
  #current: readonly Float64Array[] = [];
  #currentSize = 0;
  #isSealed = false;
  #seriesCount = 0;
  /** For which the columns were read. */
  #columnsVersion = 0;

  /**
   * @param database the file, when it is open already
   * @throws DamagedFile; what the file system says when it is not there
   */
  constructor(path: string, database: Database = openForReading(path)) {
    this.path = path;
    this.#database = database;
    this.#database.function("matches", { deterministic: true }, (index: unknown, text: unknown) =>
      this.matchers[Number(index)]?.(String(text)) ? 1 : 0,
    );
  }

  /** Runs with one state of the file, whatever is written meanwhile. */
  reading<Result>(body: () => Result): Result {
    return guarded(this.path, () =>
      this.#database.transaction(() => {
        this.refresh();
        return body();
      })(),
    );
  }

  /** Forgets what may have changed. Returns the highest number of a series. */
  refresh(): number {
    this.matchers.length = 0;
    const { most } = this.#statement("SELECT coalesce(max(id), 0) AS most FROM series").get() as { most: number };
    this.#seriesCount = most;
    const isSealed = readMeta(this.#database, "sealed_at_ms") !== null;
    // Sealed files change as well: another process takes hosts out that were forgotten.
    const version = isSealed ? this.version() : 0;
    if (isSealed !== this.#isSealed || version !== this.#columnsVersion) this.dropColumns();
    this.#isSealed = isSealed;
    this.#columnsVersion = version;
    return most;
  }

  /** Another one means that somebody has changed the file; as long as this object reads it. */
  version(): number {
    return (this.#statement("PRAGMA data_version").get() as { data_version: number }).data_version;
  }

  /** Highest number of a series; of the state that is being read. */
  get seriesCount(): number {
    return this.#seriesCount;
  }

  /** Whether the totals of its series are there. */
  get hasTotals(): boolean {
    return this.#isSealed;
  }

  /** First column of each row. */
  select(sql: string, values: Record<string, unknown>): IterableIterator<number> {
    // Text of conditions changes with each query: kept statements would only fill memory.
    return this.#database.prepare(sql).pluck().iterate(values) as IterableIterator<number>;
  }

  rows<Row>(sql: string, values: Record<string, unknown>): IterableIterator<Row> {
    return this.#database.prepare(sql).raw().iterate(values) as IterableIterator<Row>;
  }

  get<Row>(sql: string, ...values: unknown[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  /** By number of the series. Totals are there only when {@link hasTotals}. */
  column(name: SeriesColumn): Float64Array {
    const known = this.#columns.get(name);
    if (known) return known;
    if (!this.#isSealed) return this.#currentColumn(name);
    const column = this.#sealedColumn(name);
    this.#columns.set(name, column);
    return column;
  }

  /** Where the rows of each series are; `null` while the file grows. */
  seriesBlocks(): SeriesBlocks | null {
    if (this.#isSealed) this.#seriesBlocks ??= seriesBlocksOf(this);
    return this.#seriesBlocks;
  }

  /** What the columns that were read take. */
  get columnBytes(): number {
    let bytes = this.#seriesBlocks?.bytes ?? 0;
    for (const column of this.#columns.values()) bytes += column.byteLength;
    return bytes;
  }

  dropColumns(): void {
    this.#columns.clear();
    this.#seriesBlocks = null;
  }

  /** In the order of writing. */
  blocks(): BlockInfo[] {
    const sql = `SELECT id, row_count AS rows, min_start_ms AS minStartMs, max_start_ms AS maxStartMs,
      min_end_ms AS minEndMs, max_end_ms AS maxEndMs, 0 AS firstRow, 0 AS "index" FROM blocks ORDER BY id`;
    const blocks = this.#statement(sql).all() as BlockInfo[];
    let firstRow = 0;
    for (const [index, block] of blocks.entries()) {
      block.index = index;
      block.firstRow = firstRow;
      firstRow += block.rows;
    }
    return blocks;
  }

  /** Reads the keys of a block; {@link readSums} and {@link readRest} the others. What it returns is used again. */
  readKeys({ id }: BlockInfo): BlockColumns {
    this.#read("block_keys", id, KEYS);
    return SHARED;
  }

  /** @param wanted only these are decoded; absent = all */
  readSums({ id }: BlockInfo, wanted?: readonly SumColumn[]): BlockColumns {
    this.#read("block_sums", id, SUMS, wanted && SUM_COLUMNS.map((name) => wanted.includes(name)));
    return SHARED;
  }

  readRest({ id }: BlockInfo): void {
    this.#read("block_rest", id, REST);
  }

  /** All columns, of some rows of a block: the others may be those of another block. */
  readRows({ id }: BlockInfo, rows: readonly number[]): BlockColumns {
    this.#read("block_keys", id, KEYS, undefined, rows);
    this.#read("block_sums", id, SUMS, undefined, rows);
    this.#read("block_rest", id, REST, undefined, rows);
    return SHARED;
  }

  close(): void {
    this.#database.close();
  }

  #sealedColumn(name: SeriesColumn): Float64Array {
    const row = this.get<{ data: Buffer }>("SELECT data FROM series_columns WHERE name = ?", name);
    const packed = new PackedColumns(row?.data ?? new Uint8Array());
    const column = new Float64Array(packed.rows);
    packed.read(0, column);
    return column;
  }

  /** Series are only added: what was read of a file that grows stays true, and only what is new is read. */
  #currentColumn(name: SeriesColumn): Float64Array {
    const size = this.#seriesCount + 1;
    if (this.#currentSize < size) this.#readNewSeries(size);
    const column = this.#current[IDENTITY_COLUMNS.indexOf(name as (typeof IDENTITY_COLUMNS)[number])];
    if (!column) throw new TypeError(`There are no ${name} of a partition that is not sealed.`);
    return column.subarray(0, size);
  }

  #readNewSeries(size: number): void {
    const capacity = this.#current[0]?.length ?? 0;
    if (capacity < size) {
      this.#current = IDENTITY_COLUMNS.map((_, index) => {
        const larger = new Float64Array(Math.max(1_024, size + (size >> 1)));
        larger.set(this.#current[index] ?? []);
        return larger;
      });
    }
    const sql = `SELECT id, ${IDENTITY_COLUMNS.join(", ")} FROM series WHERE id >= @from`;
    for (const row of this.rows<number[]>(sql, { from: this.#currentSize })) {
      for (let index = 0; index < this.#current.length; index++) this.#current[index]![row[0]!] = row[index + 1]!;
    }
    this.#currentSize = size;
  }

  #read(
    table: string,
    id: number,
    into: readonly Float64Array[],
    isWanted?: readonly boolean[],
    rows: readonly number[] | null = null,
  ): void {
    const row = this.get<{ data: Buffer }>(`SELECT data FROM ${table} WHERE id = ?`, id);
    const packed = new PackedColumns(row?.data ?? new Uint8Array());
    if (packed.rows > BLOCK_ROWS) throw new DamagedBlock("a block has more rows than any has");
    for (const [index, target] of into.entries()) {
      if (isWanted?.[index] ?? true) packed.read(index, target, rows);
    }
  }

  #statement(sql: string): Statement {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}
