/** Seals a leaf to which nothing is added any more: totals of its series, indexes, a description. Can be done again. */
import { chmodSync, closeSync, openSync, renameSync, rmSync } from "node:fs";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { packColumns } from "./columns.ts";
import { describeFile, flushToDisk, MEASURED, writeDescription } from "./description.ts";
import {
  createIndexes,
  createSchema,
  type Description,
  type HostGap,
  type HostPosition,
  IDENTITY_COLUMNS,
  NOBODY,
  SUM_COLUMNS,
} from "./layout.ts";
import { type FileRef, OpenFile } from "./open-file.ts";
import { guarded, openForChange, writeMeta } from "./partition-database.ts";
import { QueryControl } from "./query-control.ts";
import { scanAll } from "./scan.ts";
import { BlockCounter } from "./series-blocks.ts";
import { addRow, newSums } from "./sum-queries.ts";

const NEVER = new QueryControl(new Int32Array(1));

/** Makes an empty leaf that knows how far the journals were read. It is there whole or not at all. */
export function createLeaf(path: string, positions: readonly HostPosition[], gaps: readonly HostGap[]): void {
  const partial = `${path}.new`;
  rmSync(partial, { force: true });
  closeSync(openSync(partial, "wx", 0o600));
  const database = new SqliteDatabase(partial);
  try {
    database.transaction(() => {
      createSchema(database);
      const position = database.prepare("INSERT INTO positions VALUES (?, ?, ?, ?)");
      for (const [index, { hostId, journalId, sequence }] of positions.entries()) {
        position.run(hostId, journalId, sequence, index);
      }
      const gap = database.prepare("INSERT INTO gaps VALUES (?, ?, ?, ?)");
      for (const { hostId, journalId, firstSequence, lastSequence } of gaps) {
        gap.run(hostId, journalId, firstSequence, lastSequence);
      }
    })();
  } finally {
    database.close();
  }
  flushToDisk(partial);
  renameSync(partial, path);
}

export interface LeafFacts {
  readonly firstLeaf: number;
  readonly lastLeaf: number;
  readonly sealedAtMs: number;
  readonly straddles: boolean;
}

/** @throws DamagedFile */
export function sealLeaf(path: string, leaf: number, nowMs: number): Description {
  const database = openForChange(path);
  try {
    guarded(path, () => {
      database.pragma("journal_mode = WAL");
      database.transaction(() => {
        finish(database, path, { firstLeaf: leaf, lastLeaf: leaf, sealedAtMs: nowMs, straddles: false });
      })();
      const [checkpoint] = database.pragma("wal_checkpoint(TRUNCATE)") as { readonly busy: number }[];
      // A reader holds an older state: another time.
      if (checkpoint?.busy !== 0) throw Object.assign(new Error(`${path} is being read`), { code: "SQLITE_BUSY" });
    });
  } finally {
    database.close();
  }
  chmodSync(path, 0o600);
  const description = describeFile(path, "record");
  writeDescription(path, description);
  return description;
}

/**
 * Writes what a file has when nothing is added any more.
 * @param measured times and number of the records it stands for, where its rows do not say them
 */
export function finish(
  database: Database,
  path: string,
  facts: LeafFacts,
  measured: Partial<Record<(typeof MEASURED)[number], number>> = {},
): void {
  database.exec("DELETE FROM series_columns");
  database.exec("DELETE FROM meta WHERE name = 'sealed_at_ms'");
  const file = new OpenFile(path, database);
  const seriesCount = file.refresh();
  const sums = newSums(seriesCount + 1);
  const everything = { series: new Uint8Array(seriesCount + 1).fill(1), isEmpty: false, test: null };
  everything.series[NOBODY] = 0;
  const always = { sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };
  const counter = new BlockCounter(seriesCount + 1, file.blocks());
  const needs = { sums: true, rest: false };
  const records = scanAll(file, everything, always, needs, NEVER, ({ block, rows, count, columns }) => {
    counter.add(block, columns.series, columns.records);
    for (let at = 0; at < count; at++) addRow(sums, columns.series[rows[at]!]!, columns, rows[at]!);
  });
  counter.result().write(database);
  const insert = database.prepare("INSERT INTO series_columns VALUES (?, ?)");
  for (const name of IDENTITY_COLUMNS) insert.run(name, packColumns([file.column(name)], seriesCount + 1));
  for (const [index, column] of Object.values(sums).entries()) {
    insert.run(SUM_COLUMNS[index], packColumns([column], seriesCount + 1));
  }
  createIndexes(database);
  const extent = database
    .prepare(
      `SELECT coalesce(sum(row_count), 0) AS rows, coalesce(min(min_start_ms), 0) AS min_start_ms,
        coalesce(max(max_start_ms), 0) AS max_start_ms, coalesce(min(min_end_ms), 0) AS min_end_ms,
        coalesce(max(max_end_ms), 0) AS max_end_ms FROM blocks`,
    )
    .get() as Record<string, number>;
  const found: Record<string, number> = { ...extent, records, series: seriesCount, ...measured };
  for (const name of MEASURED) writeMeta(database, name, found[name] ?? 0);
  writeMeta(database, "first_leaf", facts.firstLeaf);
  writeMeta(database, "last_leaf", facts.lastLeaf);
  writeMeta(database, "straddles", facts.straddles ? 1 : 0);
  // Last: it says that all of the above is there.
  writeMeta(database, "sealed_at_ms", facts.sealedAtMs);
}

/** What a query needs to know of a sealed file. */
export function refOf(path: string, description: Description): FileRef {
  const { resolution, firstLeaf, records, minStartMs, maxStartMs, minEndMs, maxEndMs } = description;
  return { path, resolution, firstLeaf, isSealed: true, records, minStartMs, maxStartMs, minEndMs, maxEndMs };
}
