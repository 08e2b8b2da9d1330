/** The description beside a sealed file: made from the file, so that it can be made again. */
import { closeSync, fsyncSync, openSync, readFileSync, readSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { Database } from "better-sqlite3";
import type { HistoryResolution } from "../flow-history.ts";
import { readGaps, readIngested, readPositions } from "./journal-book.ts";
import { type Description, FORMAT } from "./layout.ts";
import { DamagedFile, openForReading, readMeta } from "./partition-database.ts";

const CHUNK_BYTES = 4 * 1024 * 1024;

/** Times of the records that a file stands for, and how many: as `meta` of a sealed one has them. */
export const MEASURED = [
  "rows",
  "records",
  "series",
  "min_start_ms",
  "max_start_ms",
  "min_end_ms",
  "max_end_ms",
] as const;

/** @throws DamagedFile when it was never sealed, or is damaged */
export function describeFile(path: string, resolution: HistoryResolution): Description {
  const database = openForReading(path);
  try {
    return readDescription(database, path, resolution);
  } finally {
    database.close();
  }
}

function readDescription(database: Database, path: string, resolution: HistoryResolution): Description {
  const number = (name: string): number => {
    const value = readMeta(database, name);
    if (typeof value !== "number") throw new DamagedFile(path, `it does not say its ${name}`);
    return value;
  };
  const [rows, records, series, minStartMs, maxStartMs, minEndMs, maxEndMs] = MEASURED.map(number);
  return {
    format: FORMAT,
    resolution,
    firstLeaf: number("first_leaf"),
    lastLeaf: number("last_leaf"),
    sealedAtMs: number("sealed_at_ms"),
    rows: rows!,
    records: records!,
    series: series!,
    minStartMs: minStartMs!,
    maxStartMs: maxStartMs!,
    minEndMs: minEndMs!,
    maxEndMs: maxEndMs!,
    straddles: number("straddles") === 1,
    sizeBytes: statSync(path).size,
    checksum: fileChecksum(path),
    ingested: readIngested(database),
    positions: readPositions(database).map(({ hostId, journalId, sequence }) => ({ hostId, journalId, sequence })),
    gaps: readGaps(database),
  };
}

export function descriptionPath(path: string): string {
  return path.replace(/\.db$/, ".json");
}

/** There whole or not at all. */
export function writeDescription(path: string, description: Description): void {
  const target = descriptionPath(path);
  const partial = `${target}.new`;
  writeFileSync(partial, JSON.stringify(description), { mode: 0o600 });
  flushToDisk(partial);
  renameSync(partial, target);
  flushToDisk(dirname(target));
}

/** `null` when there is none that can be used. */
export function readWrittenDescription(path: string): Description | null {
  try {
    const description = JSON.parse(readFileSync(descriptionPath(path), "utf8")) as Description;
    return description.format === FORMAT && Array.isArray(description.ingested) ? description : null;
  } catch {
    return null;
  }
}

export function flushToDisk(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** CRC-32 of a whole file. */
export function fileChecksum(path: string): number {
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    let checksum = 0;
    for (;;) {
      const length = readSync(file, chunk, 0, chunk.length, null);
      if (length === 0) return checksum;
      checksum = crc32(chunk.subarray(0, length), checksum);
    }
  } finally {
    closeSync(file);
  }
}
