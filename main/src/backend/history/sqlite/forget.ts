/** Takes one host out of a file. Rows stay where they are, without content: pages that were given out stay true. */

import type { Database } from "better-sqlite3";
import type { HistoryResolution } from "../flow-history.ts";
import { PackedColumns, packColumns } from "./columns.ts";
import { describeFile, MEASURED, writeDescription } from "./description.ts";
import { BLOCK_ROWS, KEY_COLUMNS, REST_COLUMNS, SUM_COLUMNS } from "./layout.ts";
import { guarded, openForChange, readMeta } from "./partition-database.ts";
import { finish } from "./seal.ts";

const TABLES = { block_keys: KEY_COLUMNS.length, block_sums: SUM_COLUMNS.length, block_rest: REST_COLUMNS.length };

/** Whether the host was in it. A sealed file gets a new description. @throws DamagedFile */
export function forgetInFile(path: string, resolution: HistoryResolution, hostId: string): boolean {
  const database = openForChange(path);
  let isSealed = false;
  try {
    database.pragma("secure_delete = ON");
    const wasThere = guarded(path, () =>
      database
        .transaction(() => {
          isSealed = readMeta(database, "sealed_at_ms") !== null;
          return remove(database, path, hostId, isSealed);
        })
        .immediate(),
    );
    if (!wasThere) return false;
    database.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
  if (isSealed) writeDescription(path, describeFile(path, resolution));
  return true;
}

function remove(database: Database, path: string, hostId: string, isSealed: boolean): boolean {
  const ids = database
    .prepare("SELECT id FROM series WHERE host_id IN (SELECT id FROM texts WHERE text = ?)")
    .pluck()
    .all(hostId) as number[];
  const journals = database.prepare("DELETE FROM ingested WHERE host_id = ?").run(hostId).changes;
  if (ids.length === 0) return journals > 0;
  const gone = new Set(ids);
  const blocks = database.prepare("SELECT id FROM blocks").pluck().all() as number[];
  for (const block of blocks) clearRows(database, block, gone);
  const drop = database.prepare("DELETE FROM series WHERE id = ?");
  for (const id of ids) drop.run(id);
  dropUnused(database);
  if (!isSealed) return true;
  const measured = Object.fromEntries(
    MEASURED.filter((name) => name.endsWith("_ms")).map((name) => [name, Number(readMeta(database, name))]),
  );
  const [firstLeaf, lastLeaf, sealedAtMs, straddles] = ["first_leaf", "last_leaf", "sealed_at_ms", "straddles"].map(
    (name) => Number(readMeta(database, name)),
  );
  const facts = { firstLeaf: firstLeaf!, lastLeaf: lastLeaf!, sealedAtMs: sealedAtMs!, straddles: straddles === 1 };
  finish(database, path, facts, measured);
  return true;
}

function clearRows(database: Database, block: number, gone: ReadonlySet<number>): void {
  const read = (table: string, count: number) => {
    const data = database.prepare(`SELECT data FROM ${table} WHERE id = ?`).pluck().get(block) as Buffer;
    const packed = new PackedColumns(data);
    const columns = Array.from({ length: count }, (_, index) => {
      const column = new Float64Array(BLOCK_ROWS);
      packed.read(index, column);
      return column;
    });
    return { columns, rows: packed.rows };
  };
  const { columns: keys, rows } = read("block_keys", TABLES.block_keys);
  const cleared: number[] = [];
  for (let row = 0; row < rows; row++) if (gone.has(keys[0]![row]!)) cleared.push(row);
  if (cleared.length === 0) return;
  for (const [table, count] of Object.entries(TABLES)) {
    const { columns } = table === "block_keys" ? { columns: keys } : read(table, count);
    for (const row of cleared) {
      for (const [index, column] of columns.entries()) {
        // When it was, is needed for the order of the others.
        if (table !== "block_keys" || index === 0) column[row] = 0;
      }
    }
    database.prepare(`UPDATE ${table} SET data = ? WHERE id = ?`).run(packColumns(columns, rows), block);
  }
}

/** Texts and addresses that only this host had. */
function dropUnused(database: Database): void {
  const columns = ["host_id", "host", "source_name", "destination_name", "observed_name", "subject", "cgroup"];
  const texts = [...columns, "user_name", "command", "executable"].map((name) => `SELECT ${name} FROM series`);
  database.exec(`DELETE FROM texts WHERE id NOT IN (${texts.join(" UNION ")})`);
  database.exec(
    "DELETE FROM addresses WHERE id NOT IN (SELECT source FROM series UNION SELECT destination FROM series)",
  );
  database.exec("DELETE FROM decisions WHERE id NOT IN (SELECT decision FROM series)");
}
