/** The newest leaf: where records go. Records, and how far each journal was read, are one transaction. */
import { randomUUID } from "node:crypto";
import type { Database } from "better-sqlite3";
import { BlockBuilder, newRow, type Row } from "./block-builder.ts";
import { Dictionary } from "./dictionary.ts";
import { JournalBook } from "./journal-book.ts";
import { IDENTITY_COLUMNS } from "./layout.ts";
import { FIELD, FIELD_COUNT, type PackedBatches } from "./packed-layout.ts";
import { guarded, openForChange, readMeta, writeMeta } from "./partition-database.ts";

/** Another process has taken the writing over: what this one remembers of the file may be wrong. */
export class LostOwnership extends Error {
  override readonly name = "LostOwnership";
}

export interface ActiveCounts {
  readonly rows: number;
  readonly series: number;
  readonly textLength: number;
  /** When its first record arrived; `null` while it has none. */
  readonly firstArrivalMs: number | null;
}

export class ActivePartition {
  readonly path: string;
  readonly #database: Database;
  readonly #owner = randomUUID();
  readonly #dictionary: Dictionary;
  readonly #blocks: BlockBuilder;
  readonly #book: JournalBook;
  readonly #row: Row = newRow();
  readonly #identity: number[] = IDENTITY_COLUMNS.map(() => 0);
  #rows: number;
  #firstArrivalMs: number | null;

  /** @throws DamagedFile */
  constructor(path: string, leaf: number) {
    this.path = path;
    this.#database = openForChange(path);
    const database = this.#database;
    try {
      [this.#dictionary, this.#blocks, this.#book, this.#rows, this.#firstArrivalMs] = guarded(path, () => {
        database.pragma("journal_mode = WAL");
        // A power cut may take the last transactions: records and positions alike, so that hosts are asked for them again.
        database.pragma("synchronous = NORMAL");
        database.pragma("wal_autocheckpoint = 2000");
        database.pragma("journal_size_limit = 16777216");
        writeMeta(database, "owner", this.#owner);
        const counted = database.prepare("SELECT coalesce(sum(row_count), 0) AS rows, max(id) AS id FROM blocks").get();
        const { rows, id } = counted as { rows: number; id: number | null };
        const arrival = readMeta(database, "first_arrival_ms");
        const blocks = new BlockBuilder(database, (id ?? 0) + 1);
        const book = new JournalBook(database, leaf);
        return [new Dictionary(database), blocks, book, rows, arrival === null ? null : Number(arrival)] as const;
      });
    } catch (error) {
      database.close();
      throw error;
    }
  }

  get counts(): ActiveCounts {
    const { seriesCount: series, textLength } = this.#dictionary;
    return { rows: this.#rows, series, textLength, firstArrivalMs: this.#firstArrivalMs };
  }

  get book(): JournalBook {
    return this.#book;
  }

  /**
   * All of it or nothing; returns for each batch whether it was new. After a failure the partition has to be opened anew: what it
   * remembers is ahead of the file.
   */
  ingest(packed: PackedBatches, nowMs: number): readonly boolean[] {
    return guarded(this.path, () => this.#database.transaction(() => this.#ingest(packed, nowMs)).immediate());
  }

  /** Changes to the journals only, owned like records. */
  change<Result>(body: (book: JournalBook) => Result): Result {
    const change = () => {
      this.#requireOwnership();
      return body(this.#book);
    };
    return guarded(this.path, () => this.#database.transaction(change).immediate());
  }

  close(): void {
    this.#database.close();
  }

  #requireOwnership(): void {
    if (readMeta(this.#database, "owner") !== this.#owner) throw new LostOwnership("another process writes");
  }

  #ingest(packed: PackedBatches, nowMs: number): readonly boolean[] {
    this.#requireOwnership();
    const texts = new Int32Array(packed.texts.length).fill(-1);
    const addresses = new Int32Array(packed.texts.length).fill(-1);
    const decisions = packed.decisions.map(() => -1);
    let at = 0;
    let added = 0;
    const isNew: boolean[] = [];
    for (const { hostId, hostName, journalId, sequence, count } of packed.batches) {
      const end = at + count * FIELD_COUNT;
      isNew.push(this.#book.take(hostId, journalId, sequence));
      if (!isNew.at(-1)) {
        at = end;
        continue;
      }
      const host = { id: this.#dictionary.text(hostId), name: this.#dictionary.text(hostName) };
      for (; at < end; at += FIELD_COUNT) this.#add(packed, at, host, texts, addresses, decisions);
      added += count;
    }
    this.#blocks.flush();
    this.#book.flush();
    if (added > 0 && this.#firstArrivalMs === null) {
      this.#firstArrivalMs = nowMs;
      writeMeta(this.#database, "first_arrival_ms", nowMs);
    }
    this.#rows += added;
    return isNew;
  }

  #add(
    { texts: words, decisions: given, records }: PackedBatches,
    at: number,
    host: { readonly id: number; readonly name: number },
    texts: Int32Array,
    addresses: Int32Array,
    decisions: number[],
  ): void {
    const text = (field: number): number => {
      const index = records[at + field]!;
      const known = texts[index]!;
      if (known >= 0) return known;
      const id = this.#dictionary.text(words[index]!);
      texts[index] = id;
      return id;
    };
    const address = (field: number): number => {
      const index = records[at + field]!;
      const known = addresses[index]!;
      if (known >= 0) return known;
      const id = this.#dictionary.address(words[index]!);
      addresses[index] = id;
      return id;
    };
    const decision = (): number => {
      const index = records[at + FIELD.decision]! - 1;
      if (index < 0) return 0;
      if (decisions[index]! < 0) decisions[index] = this.#dictionary.decision(given[index]!);
      return decisions[index]!;
    };
    // In the order of IDENTITY_COLUMNS.
    const identity = this.#identity;
    identity[0] = host.id;
    identity[1] = host.name;
    identity[2] = records[at + FIELD.direction]!;
    identity[3] = records[at + FIELD.protocol]!;
    identity[4] = address(FIELD.source);
    identity[5] = address(FIELD.destination);
    identity[6] = records[at + FIELD.port]!;
    identity[7] = text(FIELD.sourceName);
    identity[8] = text(FIELD.destinationName);
    identity[9] = text(FIELD.observedName);
    identity[10] = records[at + FIELD.verdict]!;
    identity[11] = records[at + FIELD.enforced]!;
    identity[12] = decision();
    identity[13] = text(FIELD.subject);
    identity[14] = text(FIELD.cgroup);
    identity[15] = records[at + FIELD.hook]!;
    identity[16] = records[at + FIELD.userId]!;
    identity[17] = text(FIELD.userName);
    identity[18] = text(FIELD.command);
    identity[19] = text(FIELD.executable);
    identity[20] = records[at + FIELD.hasProcess]!;
    identity[21] = records[at + FIELD.isKnownProcess]!;
    this.#addRow(records, at, this.#dictionary.series(identity));
  }

  #addRow(records: Float64Array, at: number, series: number): void {
    const row = this.#row;
    const startMs = records[at + FIELD.startMs]!;
    row[0] = series;
    row[1] = startMs;
    row[2] = records[at + FIELD.lengthMs]!;
    row[3] = 1;
    row[4] = records[at + FIELD.started]!;
    row[5] = records[at + FIELD.denied]!;
    row[6] = records[at + FIELD.packets]!;
    row[7] = records[at + FIELD.outBytes]!;
    row[8] = records[at + FIELD.inBytes]!;
    row[9] = records[at + FIELD.firstMs]! - startMs;
    row[10] = records[at + FIELD.lastMs]! - startMs;
    row[11] = records[at + FIELD.ended]!;
    row[12] = records[at + FIELD.pid]!;
    row[13] = records[at + FIELD.generation]!;
    row[14] = records[at + FIELD.folded]!;
    this.#blocks.add(row);
  }
}
