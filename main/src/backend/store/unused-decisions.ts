/**
 * Removes decisions that no flow names any more, a little with each step: to ask of all flows at once which they name holds the
 * writer up, and with it whoever watches. First the ids of the flows are gone through in ranges, then what was not seen goes.
 */
import type { Store } from "./store.ts";

/** Fewer are not worth the work. */
const KEPT_UNSEEN = 10_000;
const FLOWS_IN_STEP = 10_000;
const REMOVED_IN_STEP = 1_000;

interface Looking {
  readonly kind: "looking";
  readonly seen: Set<number>;
  /** Those that were made since are younger than what is looked for. */
  readonly highestRow: number;
  readonly throughId: number;
}

interface Removing {
  readonly kind: "removing";
  readonly rows: readonly number[];
  /** Flows above this one may name again what was not seen below. */
  readonly throughId: number;
}

export class UnusedDecisions {
  readonly #store: Store;
  #work: Looking | Removing | null = null;
  /** Of decisions: it is looked again when there are twice as many as were found in use. */
  #dueAbove = KEPT_UNSEEN;

  constructor(store: Store) {
    this.#store = store;
  }

  /** What was found so far counts no more: another process may have written, or a transaction was taken back. */
  forget(): void {
    this.#work = null;
    this.#dueAbove = KEPT_UNSEEN;
  }

  /** One step, in the transaction of the process that writes flows. Returns the rows that are gone. */
  step(newestFlowId: number): readonly number[] {
    if (this.#work?.kind === "removing") return this.#remove(this.#work);
    this.#work = this.#work ? this.#look(this.#work, newestFlowId) : this.#begin();
    return [];
  }

  #begin(): Looking | null {
    const sql = "SELECT count(*) AS count, coalesce(max(row), 0) AS highestRow FROM flow_decisions";
    const found = this.#store.get<{ count: number; highestRow: number }>(sql);
    if (!found || found.count <= this.#dueAbove) return null;
    return { kind: "looking", seen: new Set(), highestRow: found.highestRow, throughId: 0 };
  }

  #look({ seen, highestRow, throughId }: Looking, newestFlowId: number): Looking | Removing | null {
    const oldest = this.#store.get<{ id: number | null }>("SELECT min(id) AS id FROM flows WHERE id > ?", throughId);
    const untilId = Math.min(newestFlowId, (oldest?.id ?? newestFlowId) + FLOWS_IN_STEP - 1);
    const sql =
      "SELECT DISTINCT decision_row AS row FROM flows NOT INDEXED WHERE id > ? AND id <= ? AND decision_row > 0";
    for (const { row } of this.#store.all<{ row: number }>(sql, throughId, untilId)) seen.add(row);
    if (untilId < newestFlowId) return { kind: "looking", seen, highestRow, throughId: untilId };
    const all = this.#store.all<{ row: number }>("SELECT row FROM flow_decisions WHERE row <= ?", highestRow);
    const rows = all.map(({ row }) => row).filter((row) => !seen.has(row));
    this.#dueAbove = Math.max(KEPT_UNSEEN, 2 * (all.length - rows.length));
    return rows.length > 0 ? { kind: "removing", rows, throughId: untilId } : null;
  }

  #remove({ rows, throughId }: Removing): readonly number[] {
    const removed = this.#store.all<{ row: number }>(
      `DELETE FROM flow_decisions WHERE row IN (SELECT value FROM json_each(?)) AND row NOT IN
         (SELECT decision_row FROM flows NOT INDEXED WHERE id > ? AND decision_row > 0) RETURNING row`,
      JSON.stringify(rows.slice(0, REMOVED_IN_STEP)),
      throughId,
    );
    const rest = rows.slice(REMOVED_IN_STEP);
    this.#work = rest.length > 0 ? { kind: "removing", rows: rest, throughId } : null;
    return removed.map(({ row }) => row);
  }
}
