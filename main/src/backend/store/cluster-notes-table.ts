/** The shared notes of each cluster as this console has them, with what it could not tell the cluster yet. */
import type { Store } from "./store.ts";

export interface StoredNotes {
  readonly cluster: string;
  readonly document: string;
  /** The whole document as one update. */
  readonly state: Uint8Array;
  /** What the cluster has not got yet as one update; `null` = nothing. */
  readonly unsent: Uint8Array | null;
}

export class ClusterNotesTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  all(): StoredNotes[] {
    return this.#store.all<StoredNotes>("SELECT cluster, document, state, unsent FROM cluster_notes");
  }

  find(cluster: string, document: string): StoredNotes | null {
    const row = this.#store.get<StoredNotes>(
      "SELECT cluster, document, state, unsent FROM cluster_notes WHERE cluster = ? AND document = ?",
      cluster,
      document,
    );
    return row ?? null;
  }

  /** Another process may have written meanwhile: `change` gets what is there now, in one transaction. */
  update(
    cluster: string,
    document: string,
    change: (before: StoredNotes | null) => Pick<StoredNotes, "state" | "unsent">,
  ): void {
    this.#store.transaction(() => {
      const { state, unsent } = change(this.find(cluster, document));
      this.#store.run(
        `INSERT INTO cluster_notes (cluster, document, state, unsent) VALUES (?, ?, ?, ?)
         ON CONFLICT (cluster, document) DO UPDATE SET state = excluded.state, unsent = excluded.unsent`,
        cluster,
        document,
        state,
        unsent,
      );
    });
  }
}
