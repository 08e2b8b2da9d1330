/** What this console last agreed on with each cluster, document by document: where the next comparison starts from. */
import type { Store } from "./store.ts";

export interface SyncedBase {
  readonly document: string;
  /** Of the document in the cluster. */
  readonly version: bigint;
  /** `null` = it was not there. */
  readonly text: string | null;
}

export interface SeenSet {
  readonly setNumber: bigint;
  readonly digest: string;
}

/** No document has this name. */
const SEEN_SET = "";

interface BaseRow {
  document: string;
  version: number;
  text: string | null;
}

/** `cluster` is a key that tells clusters of one name apart. Versions are counted by one and stay small. */
export class ClusterBasesTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** By document; without those that wait for a set to be confirmed. */
  all(cluster: string): Map<string, SyncedBase> {
    const rows = this.#store.all<BaseRow>(
      "SELECT document, version, text FROM cluster_bases WHERE cluster = ? AND pending_set = 0 AND document <> ''",
      cluster,
    );
    return new Map(rows.map(({ document, version, text }) => [document, { document, version: BigInt(version), text }]));
  }

  /** The newest set of the cluster that was seen here; `null` = none. */
  seenSet(cluster: string): SeenSet | null {
    const row = this.#store.get<BaseRow>(
      "SELECT document, version, text FROM cluster_bases WHERE cluster = ? AND pending_set = 0 AND document = ''",
      cluster,
    );
    return row ? { setNumber: BigInt(row.version), digest: row.text ?? "" } : null;
  }

  remember(cluster: string, { setNumber, digest }: SeenSet): void {
    this.put(cluster, [{ document: SEEN_SET, version: setNumber, text: digest }]);
  }

  /** It is another cluster now. */
  clear(cluster: string): void {
    this.#store.run("DELETE FROM cluster_bases WHERE cluster = ?", cluster);
  }

  /** All or none. `pendingSet` 0 = at once; else they count from when that set is confirmed. */
  put(cluster: string, bases: readonly SyncedBase[], pendingSet = 0n): void {
    if (bases.length === 0) return;
    this.#store.transaction(() => {
      for (const { document, version, text } of bases) {
        this.#store.run(
          `INSERT INTO cluster_bases (cluster, document, pending_set, version, text) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (cluster, document, pending_set) DO UPDATE SET version = excluded.version, text = excluded.text`,
          cluster,
          document,
          Number(pendingSet),
          Number(version),
          text,
        );
      }
    });
  }

  /** Sets that bases wait for, oldest first. */
  pendingSets(cluster: string): bigint[] {
    return this.#store
      .all<{ pending_set: number }>(
        "SELECT DISTINCT pending_set FROM cluster_bases WHERE cluster = ? AND pending_set > 0 ORDER BY pending_set",
        cluster,
      )
      .map(({ pending_set: number }) => BigInt(number));
  }

  /** The set was confirmed, or will never be. */
  settle(cluster: string, pendingSet: bigint, isConfirmed: boolean): void {
    this.#store.transaction(() => {
      if (isConfirmed) {
        this.#store.run(
          `INSERT INTO cluster_bases (cluster, document, pending_set, version, text)
           SELECT cluster, document, 0, version, text FROM cluster_bases WHERE cluster = ? AND pending_set = ?
           ON CONFLICT (cluster, document, pending_set) DO UPDATE SET version = excluded.version, text = excluded.text`,
          cluster,
          Number(pendingSet),
        );
      }
      this.#store.run("DELETE FROM cluster_bases WHERE cluster = ? AND pending_set = ?", cluster, Number(pendingSet));
    });
  }
}
