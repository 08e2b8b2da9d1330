/** How far the journal of each host was read, and what is missing of it: in the file that the records go to. */
import type { Database, Statement } from "better-sqlite3";
import type { HostGap, HostPosition, IngestedRange } from "./layout.ts";

/** A host has one journal, and another after it was set up anew. A host that makes up more loses the oldest. */
const MAX_JOURNALS = 16;
const MAX_GAPS = 10_000;

interface Journal {
  readonly hostId: string;
  readonly journalId: string;
  position: number;
  touched: number;
  gaps: { first: number; last: number }[];
  /** The stretch that grows, and its row; row 0 = not written yet. */
  stretch: { first: number; last: number; row: number } | null;
  hasGapChange: boolean;
}

export class JournalBook {
  readonly #database: Database;
  readonly #leaf: number;
  readonly #journals = new Map<string, Journal>();
  readonly #changed = new Set<Journal>();
  readonly #statements = new Map<string, Statement>();
  #touches = 0;

  constructor(database: Database, leaf: number) {
    this.#database = database;
    this.#leaf = leaf;
    for (const { hostId, journalId, sequence, touched } of readPositions(database)) {
      this.#journal(hostId, journalId).position = sequence;
      this.#journal(hostId, journalId).touched = touched;
      this.#touches = Math.max(this.#touches, touched);
    }
    for (const { hostId, journalId, firstSequence, lastSequence } of readGaps(database)) {
      this.#journal(hostId, journalId).gaps.push({ first: firstSequence, last: lastSequence });
    }
  }

  positions(hostId: string): HostPosition[] {
    return this.#of(hostId).map(({ journalId, position }) => ({ hostId, journalId, sequence: position }));
  }

  gaps(hostId: string): HostGap[] {
    return this.#of(hostId).flatMap(({ journalId, gaps }) =>
      gaps.map(({ first, last }) => ({ hostId, journalId, firstSequence: first, lastSequence: last })),
    );
  }

  /** What a new file begins with. */
  all(): { readonly positions: readonly HostPosition[]; readonly gaps: readonly HostGap[] } {
    const hosts = [...new Set([...this.#journals.values()].map(({ hostId }) => hostId))];
    return {
      positions: hosts.flatMap((hostId) => this.positions(hostId)),
      gaps: hosts.flatMap((hostId) => this.gaps(hostId)),
    };
  }

  /** Whether a batch is new; it is noted then. */
  take(hostId: string, journalId: string, sequence: number): boolean {
    const journal = this.#journal(hostId, journalId);
    if (sequence <= journal.position) {
      if (!removeFromGaps(journal, sequence, sequence)) return false;
      journal.hasGapChange = true;
    } else journal.position = sequence;
    journal.touched = ++this.#touches;
    const { stretch } = journal;
    if (stretch && sequence === stretch.last + 1) stretch.last = sequence;
    else {
      if (stretch) this.#writeStretch(journal);
      journal.stretch = { first: sequence, last: sequence, row: 0 };
    }
    this.#changed.add(journal);
    return true;
  }

  addGaps(gaps: readonly HostGap[]): void {
    for (const { hostId, journalId, firstSequence, lastSequence } of gaps) {
      const journal = this.#journal(hostId, journalId);
      // What lies beyond the position is asked for anyway.
      const last = Math.min(lastSequence, journal.position);
      if (firstSequence > last || journal.gaps.length >= MAX_GAPS) continue;
      removeFromGaps(journal, firstSequence, last);
      journal.gaps.push({ first: firstSequence, last });
      this.#noteGaps(journal);
    }
    this.flush();
  }

  abandon({ hostId, journalId, firstSequence, lastSequence }: HostGap): void {
    const journal = this.#journals.get(keyOf(hostId, journalId));
    if (!journal || !removeFromGaps(journal, firstSequence, lastSequence)) return;
    this.#noteGaps(journal);
    this.flush();
  }

  forget(hostId: string): void {
    for (const table of ["positions", "gaps", "ingested"]) {
      this.#statement(`DELETE FROM ${table} WHERE host_id = ?`).run(hostId);
    }
    for (const [key, journal] of this.#journals) if (journal.hostId === hostId) this.#journals.delete(key);
  }

  /** Writes what has changed. */
  flush(): void {
    for (const journal of this.#changed) {
      const { hostId, journalId, position, touched } = journal;
      this.#writeStretch(journal);
      this.#statement(
        `INSERT INTO positions VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET sequence = excluded.sequence, touched = excluded.touched`,
      ).run(hostId, journalId, position, touched);
      if (journal.hasGapChange) this.#writeGaps(journal);
      journal.hasGapChange = false;
    }
    this.#changed.clear();
  }

  #noteGaps(journal: Journal): void {
    journal.hasGapChange = true;
    this.#changed.add(journal);
  }

  #writeGaps({ hostId, journalId, gaps }: Journal): void {
    this.#statement("DELETE FROM gaps WHERE host_id = ? AND journal_id = ?").run(hostId, journalId);
    for (const { first, last } of gaps) {
      this.#statement("INSERT INTO gaps VALUES (?, ?, ?, ?)").run(hostId, journalId, first, last);
    }
  }

  #writeStretch({ hostId, journalId, stretch }: Journal): void {
    if (!stretch) return;
    if (stretch.row > 0) {
      this.#statement("UPDATE ingested SET last_sequence = ? WHERE rowid = ?").run(stretch.last, stretch.row);
      return;
    }
    const inserted = this.#statement("INSERT INTO ingested VALUES (?, ?, ?, ?, ?)").run(
      this.#leaf,
      hostId,
      journalId,
      stretch.first,
      stretch.last,
    );
    stretch.row = Number(inserted.lastInsertRowid);
  }

  #of(hostId: string): Journal[] {
    return [...this.#journals.values()].filter((journal) => journal.hostId === hostId);
  }

  #journal(hostId: string, journalId: string): Journal {
    const key = keyOf(hostId, journalId);
    const known = this.#journals.get(key);
    if (known) return known;
    this.#forgetOldest(hostId);
    const journal: Journal = {
      ...{ hostId, journalId, position: 0, touched: this.#touches },
      ...{ gaps: [], stretch: null, hasGapChange: false },
    };
    this.#journals.set(key, journal);
    return journal;
  }

  #forgetOldest(hostId: string): void {
    const journals = this.#of(hostId).sort((a, b) => a.touched - b.touched);
    for (const { journalId } of journals.slice(0, Math.max(0, journals.length - MAX_JOURNALS + 1))) {
      this.#journals.delete(keyOf(hostId, journalId));
      this.#statement("DELETE FROM positions WHERE host_id = ? AND journal_id = ?").run(hostId, journalId);
      this.#statement("DELETE FROM gaps WHERE host_id = ? AND journal_id = ?").run(hostId, journalId);
    }
  }

  #statement(sql: string): Statement {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}

/** Whether any of the sequences was in a gap. */
function removeFromGaps(journal: Journal, first: number, last: number): boolean {
  const touched = journal.gaps.some((gap) => gap.first <= last && gap.last >= first);
  if (!touched) return false;
  journal.gaps = journal.gaps.flatMap((gap) => [
    ...(gap.first < first ? [{ first: gap.first, last: Math.min(gap.last, first - 1) }] : []),
    ...(gap.last > last ? [{ first: Math.max(gap.first, last + 1), last: gap.last }] : []),
  ]);
  return true;
}

function keyOf(hostId: string, journalId: string): string {
  return `${hostId}\n${journalId}`;
}

export function readPositions(database: Database): (HostPosition & { readonly touched: number })[] {
  const sql = "SELECT host_id AS hostId, journal_id AS journalId, sequence, touched FROM positions";
  return database.prepare(sql).all() as (HostPosition & { readonly touched: number })[];
}

const SEQUENCES = "first_sequence AS firstSequence, last_sequence AS lastSequence";

export function readGaps(database: Database): HostGap[] {
  const sql = `SELECT host_id AS hostId, journal_id AS journalId, ${SEQUENCES} FROM gaps`;
  return database.prepare(sql).all() as HostGap[];
}

export function readIngested(database: Database): IngestedRange[] {
  const sql = `SELECT leaf, host_id AS hostId, journal_id AS journalId, ${SEQUENCES} FROM ingested`;
  return database.prepare(sql).all() as IngestedRange[];
}
