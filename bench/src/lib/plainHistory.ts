/** The peer: one table of SQLite with a row for each record and the usual indexes, as one would begin. */

import { statSync } from "node:fs";
import { join } from "node:path";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { IngestBatch } from "@wardline/main/backend/history/flow-history";
import SqliteDatabase from "better-sqlite3";

const COLUMNS = [
  ...["host", "start_ms", "first_ms", "last_ms", "direction", "protocol", "source", "destination", "port"],
  ...["source_name", "destination_name", "observed_name", "verdict", "enforced", "policy", "summary", "generation"],
  ...["subject", "cgroup", "pid", "user_name", "command", "executable"],
  ...["started", "ended", "denied", "packets", "out_bytes", "in_bytes"],
];
const INDEXES = ["host", "source", "destination", "port", "source_name", "destination_name", "command"];

export class PlainHistory {
  readonly database: SqliteDatabase.Database;
  readonly #path: string;
  readonly #insert: SqliteDatabase.Statement;

  constructor(directory: string) {
    this.#path = join(directory, "plain.db");
    this.database = new SqliteDatabase(this.#path);
    this.database.pragma("journal_mode = WAL");
    this.database.pragma("synchronous = NORMAL");
    this.database.exec(`CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, ${COLUMNS.join(", ")})`);
    this.database.exec("CREATE INDEX IF NOT EXISTS records_time ON records (start_ms)");
    for (const column of INDEXES)
      this.database.exec(`CREATE INDEX IF NOT EXISTS records_${column} ON records (${column}, start_ms)`);
    const marks = COLUMNS.map(() => "?").join(", ");
    this.#insert = this.database.prepare(`INSERT INTO records (${COLUMNS.join(", ")}) VALUES (${marks})`);
  }

  ingest(given: readonly IngestBatch[]): void {
    this.database.transaction(() => {
      for (const { hostName, batches } of given) {
        for (const { records } of batches) {
          for (const record of records) {
            this.#insert.run(
              ...[
                hostName,
                timestampMs(record.windowStart!),
                timestampMs(record.firstSeen!),
                timestampMs(record.lastSeen!),
              ],
              ...[record.direction, record.protocol, record.sourceAddress, record.destinationAddress],
              ...[record.destinationPort, record.sourceName, record.destinationName, record.observedName],
              ...[
                record.verdict,
                record.enforced,
                record.decision?.policyKeys.join("\n") ?? "",
                record.decision?.summary ?? "",
              ],
              ...[Number(record.generation), record.subjectKey, record.cgroupPath, record.process?.pid ?? 0],
              ...[record.process?.userName ?? "", record.process?.command ?? "", record.process?.executable ?? ""],
              ...[Number(record.started), Number(record.ended), Number(record.deniedPackets), Number(record.packets)],
              ...[Number(record.originatorBytes), Number(record.responderBytes)],
            );
          }
        }
      }
    })();
  }

  sizeBytes(): number {
    this.database.pragma("wal_checkpoint(TRUNCATE)");
    return statSync(this.#path).size;
  }
}
