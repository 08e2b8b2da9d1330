/** What was sent to which host, and how it ended. */
import type { Store } from "./store.ts";

/**
 * `sending` is written before the agent is asked, so that an apply whose answer never came is found again.
 * `pending` waits for confirmation; the others are final.
 */
export type ReceiptOutcome = "sending" | "pending" | "confirmed" | "rolled-back" | "expired" | "failed";

export interface StoredReceipt {
  readonly id: number;
  readonly hostId: string;
  readonly versionId: string;
  readonly stateDigest: string;
  readonly programDigest: string;
  /** 0 while the agent has not answered. */
  readonly generation: number;
  /** `wardline.v1.Generation`, encoded; `null` while unknown. */
  readonly generationWire: Uint8Array | null;
  readonly createdAtMs: number;
  /** Console clock. */
  readonly deadlineMs: number | null;
  readonly author: string;
  readonly reason: string;
  readonly outcome: ReceiptOutcome;
  readonly endedAtMs: number | null;
  /** `wardline.v1.ErrorDetail`, encoded. */
  readonly errorWire: Uint8Array | null;
}

interface ReceiptRow {
  id: number;
  host_id: string;
  version_id: string;
  state_digest: string;
  program_digest: string;
  generation: number;
  generation_wire: Uint8Array | null;
  created_at_ms: number;
  deadline_ms: number | null;
  author: string;
  reason: string;
  outcome: ReceiptOutcome;
  ended_at_ms: number | null;
  error_wire: Uint8Array | null;
}

function fromRow(row: ReceiptRow): StoredReceipt {
  return {
    id: row.id,
    hostId: row.host_id,
    versionId: row.version_id,
    stateDigest: row.state_digest,
    programDigest: row.program_digest,
    generation: row.generation,
    generationWire: row.generation_wire,
    createdAtMs: row.created_at_ms,
    deadlineMs: row.deadline_ms,
    author: row.author,
    reason: row.reason,
    outcome: row.outcome,
    endedAtMs: row.ended_at_ms,
    errorWire: row.error_wire,
  };
}

export type NewReceipt = Pick<
  StoredReceipt,
  "hostId" | "versionId" | "stateDigest" | "programDigest" | "author" | "reason"
>;

export class ReceiptsTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Returns the id of the receipt, in `sending`. */
  open(receipt: NewReceipt, nowMs: number): number {
    return this.#store.run(
      `INSERT INTO receipts
         (host_id, version_id, state_digest, program_digest, generation, created_at_ms, author, reason, outcome)
       VALUES (?, ?, ?, ?, 0, ?, ?, ?, 'sending')`,
      receipt.hostId,
      receipt.versionId,
      receipt.stateDigest,
      receipt.programDigest,
      nowMs,
      receipt.author,
      receipt.reason,
    ).lastInsertRowid;
  }

  setPending(id: number, generation: number, generationWire: Uint8Array, deadlineMs: number): void {
    this.#store.run(
      "UPDATE receipts SET outcome = 'pending', generation = ?, generation_wire = ?, deadline_ms = ? WHERE id = ?",
      generation,
      generationWire,
      deadlineMs,
      id,
    );
  }

  /** Ends an open receipt; one that has ended already stays as it is. */
  end(id: number, outcome: ReceiptOutcome, nowMs: number, errorWire: Uint8Array | null = null): boolean {
    return (
      this.#store.run(
        `UPDATE receipts SET outcome = ?, ended_at_ms = ?, error_wire = ?
         WHERE id = ? AND outcome IN ('sending', 'pending')`,
        outcome,
        nowMs,
        errorWire,
        id,
      ).changes > 0
    );
  }

  /** A confirmed generation that was left later. */
  markRolledBack(hostId: string, generation: number, nowMs: number): void {
    this.#store.run(
      `UPDATE receipts SET outcome = 'rolled-back', ended_at_ms = ?
       WHERE host_id = ? AND generation = ? AND outcome = 'confirmed'`,
      nowMs,
      hostId,
      generation,
    );
  }

  /** Digest of the state that was last confirmed for each host and not left since, by id of the host. */
  confirmedDigests(): ReadonlyMap<string, string> {
    const rows = this.#store.all<{ host_id: string; state_digest: string }>(
      `SELECT host_id, state_digest FROM receipts
       WHERE id IN (SELECT max(id) FROM receipts WHERE outcome = 'confirmed' GROUP BY host_id)`,
    );
    return new Map(rows.map((row) => [row.host_id, row.state_digest]));
  }

  openOf(hostId: string): StoredReceipt[] {
    return this.#store
      .all<ReceiptRow>(
        "SELECT * FROM receipts WHERE host_id = ? AND outcome IN ('sending', 'pending') ORDER BY id",
        hostId,
      )
      .map(fromRow);
  }

  /** Newest first. */
  list(limit: number): StoredReceipt[] {
    return this.#store.all<ReceiptRow>("SELECT * FROM receipts ORDER BY id DESC LIMIT ?", limit).map(fromRow);
  }
}
