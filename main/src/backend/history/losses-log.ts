/** When records of a host were lost, so that lists can show it in its place. Kept in the console's store. */
import type { Store } from "../store/store.ts";

export interface Loss {
  readonly hostId: string;
  readonly host: string;
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Events that the host lost before they could be written down. */
  readonly events: number;
  /** Batches that the host had removed before they were read. */
  readonly batches: number;
}

/** Of all hosts; the oldest go first. */
const MOST_LOSSES = 20_000;
const REMOVED_AT_ONCE = 1_000;

export class LossesLog {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  add(losses: readonly Loss[]): void {
    if (losses.length === 0) return;
    this.#store.transaction(() => {
      for (const { hostId, host, sinceMs, untilMs, events, batches } of losses) {
        this.#store.run(
          "INSERT INTO flow_gaps (host_id, host, since_ms, until_ms, events, batches) VALUES (?, ?, ?, ?, ?, ?)",
          ...[hostId, host, sinceMs, untilMs, events, batches],
        );
      }
      const { count = 0 } = this.#store.get<{ count: number }>("SELECT count(*) AS count FROM flow_gaps") ?? {};
      if (count > MOST_LOSSES) {
        const sql = "DELETE FROM flow_gaps WHERE id IN (SELECT id FROM flow_gaps ORDER BY id LIMIT ?)";
        this.#store.run(sql, count - MOST_LOSSES + REMOVED_AT_ONCE);
      }
    });
  }

  /** Newest first. */
  between(sinceMs: number, untilMs: number, limit: number): Loss[] {
    return this.#store.all<Loss>(
      `SELECT host_id AS hostId, host, since_ms AS sinceMs, until_ms AS untilMs, events, batches FROM flow_gaps
        WHERE until_ms >= ? AND since_ms < ? ORDER BY until_ms DESC LIMIT ?`,
      ...[sinceMs, untilMs, limit],
    );
  }

  forget(hostId: string): void {
    this.#store.run("DELETE FROM flow_gaps WHERE host_id = ?", hostId);
  }
}
