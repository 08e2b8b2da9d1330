/**
 * Merges sealed files into one of a coarser resolution: the same series, their rows put together by minute, hour or day. The
 * new file is written under another name, flushed, and renamed: whenever it ends, the file is there whole (and says which
 * leaves are in it) or not at all, so that nothing is merged twice.
 */
import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import SqliteDatabase from "better-sqlite3";
import type { HistoryResolution } from "../flow-history.ts";
import { BlockBuilder, newRow } from "./block-builder.ts";
import { describeFile, flushToDisk, writeDescription } from "./description.ts";
import { Dictionary } from "./dictionary.ts";
import { BUCKET_MS, createSchema, type Description, IDENTITY_COLUMNS, TEXT_COLUMNS } from "./layout.ts";
import { type BlockColumns, OpenFile } from "./open-file.ts";
import { RollUpTable } from "./roll-up-table.ts";
import { finish } from "./seal.ts";

export interface RollUpOrder {
  readonly sources: readonly { readonly path: string; readonly description: Description }[];
  readonly resolution: Exclude<HistoryResolution, "record">;
  readonly path: string;
}

const TEXTS = new Set<string>(TEXT_COLUMNS);
const ADDRESSES = new Set<string>(["source", "destination"]);

/** @throws DamagedFile when a source is damaged */
export function rollUp({ sources, resolution, path }: RollUpOrder): Description {
  const partial = `${path}.new`;
  rmSync(partial, { force: true });
  closeSync(openSync(partial, "wx", 0o600));
  const database = new SqliteDatabase(partial);
  try {
    // Nobody reads it before it is renamed, and after a crash it is made anew.
    database.pragma("journal_mode = OFF");
    database.pragma("synchronous = OFF");
    createSchema(database);
    const dictionary = new Dictionary(database);
    const table = new RollUpTable(BUCKET_MS[resolution]);
    database.transaction(() => {
      for (const { path: sourcePath } of sources) addSource(table, dictionary, sourcePath);
      writeRows(table, new BlockBuilder(database, 1));
      copyBookkeeping(database, sources);
      finish(database, partial, factsOf(sources, table.straddles), measuredOf(sources));
    })();
  } finally {
    database.close();
  }
  flushToDisk(partial);
  renameSync(partial, path);
  const description = describeFile(path, resolution);
  writeDescription(path, description);
  return description;
}

function addSource(table: RollUpTable, dictionary: Dictionary, path: string): void {
  const file = new OpenFile(path);
  try {
    file.reading(() => {
      const numbers = seriesNumbers(file, dictionary);
      for (const block of file.blocks()) {
        const columns = file.readKeys(block);
        file.readSums(block);
        file.readRest(block);
        addBlock(table, numbers, columns, block.rows);
      }
    });
  } finally {
    file.close();
  }
}

function addBlock(table: RollUpTable, numbers: Uint32Array, columns: BlockColumns, rows: number): void {
  for (let row = 0; row < rows; row++) {
    const series = numbers[columns.series[row]!]!;
    if (series > 0) table.add(series, columns, row);
  }
}

/** The number of each series of a source in the new file. */
function seriesNumbers(file: OpenFile, dictionary: Dictionary): Uint32Array {
  const texts = new Map<number, number>([[0, 0]]);
  const textRows = file.rows<[number, string]>("SELECT id, text FROM texts", {});
  for (const [id, text] of textRows) texts.set(id, dictionary.text(text));
  const addresses = new Map<number, number>();
  const addressRows = file.rows<[number, string]>("SELECT id, text FROM addresses", {});
  for (const [id, text] of addressRows) addresses.set(id, dictionary.address(text));
  const decisions = new Map<number, number>([[0, 0]]);
  const decisionRows = file.rows<[number, Buffer, string, string]>("SELECT * FROM decisions", {});
  for (const [id, wire, policy_keys, summary] of decisionRows) {
    decisions.set(id, dictionary.storedDecision({ wire, policy_keys, summary }));
  }
  const maps = IDENTITY_COLUMNS.map((name) =>
    TEXTS.has(name) ? texts : ADDRESSES.has(name) ? addresses : name === "decision" ? decisions : null,
  );
  const numbers = new Uint32Array(file.seriesCount + 1);
  for (const [id, ...identity] of file.rows<number[]>(`SELECT id, ${IDENTITY_COLUMNS.join(", ")} FROM series`, {})) {
    numbers[id!] = dictionary.series(identity.map((value, index) => maps[index]?.get(value) ?? value));
  }
  return numbers;
}

function writeRows(table: RollUpTable, blocks: BlockBuilder): void {
  const row = newRow();
  for (const index of table.inOrder()) {
    table.fill(row, index);
    blocks.add(row);
  }
  blocks.flush();
}

function copyBookkeeping(database: SqliteDatabase.Database, sources: RollUpOrder["sources"]): void {
  const range = database.prepare("INSERT INTO ingested VALUES (?, ?, ?, ?, ?)");
  for (const { description } of sources) {
    for (const { leaf, hostId, journalId, firstSequence, lastSequence } of description.ingested) {
      range.run(leaf, hostId, journalId, firstSequence, lastSequence);
    }
  }
  const newest = sources.at(-1)!.description;
  const position = database.prepare("INSERT INTO positions VALUES (?, ?, ?, ?)");
  for (const [index, { hostId, journalId, sequence }] of newest.positions.entries()) {
    position.run(hostId, journalId, sequence, index);
  }
  const gap = database.prepare("INSERT INTO gaps VALUES (?, ?, ?, ?)");
  for (const { hostId, journalId, firstSequence, lastSequence } of newest.gaps) {
    gap.run(hostId, journalId, firstSequence, lastSequence);
  }
}

function factsOf(sources: RollUpOrder["sources"], straddles: boolean) {
  const descriptions = sources.map(({ description }) => description);
  return {
    firstLeaf: descriptions[0]!.firstLeaf,
    lastLeaf: descriptions.at(-1)!.lastLeaf,
    sealedAtMs: descriptions.at(-1)!.sealedAtMs,
    straddles: straddles || descriptions.some((description) => description.straddles),
  };
}

/** Of the records themselves: a bucket begins before the first of them, and ends after the last. */
function measuredOf(sources: RollUpOrder["sources"]) {
  const filled = sources.map(({ description }) => description).filter(({ rows }) => rows > 0);
  if (filled.length === 0) return {};
  const of = (name: "minStartMs" | "maxStartMs" | "minEndMs" | "maxEndMs") => filled.map((each) => each[name]);
  return {
    min_start_ms: Math.min(...of("minStartMs")),
    max_start_ms: Math.max(...of("maxStartMs")),
    min_end_ms: Math.min(...of("minEndMs")),
    max_end_ms: Math.max(...of("maxEndMs")),
  };
}
