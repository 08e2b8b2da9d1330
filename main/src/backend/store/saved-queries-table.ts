/** Queries of flows that a person keeps by name. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type SavedQuery, SavedQuerySchema } from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Store } from "./store.ts";

const MAX_QUERIES = 500;

export class SavedQueriesTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** By name. */
  all(): SavedQuery[] {
    return this.#store
      .all<{ wire: Uint8Array }>("SELECT wire FROM saved_queries ORDER BY name")
      .map(({ wire }) => fromBinary(SavedQuerySchema, wire));
  }

  find(name: string): SavedQuery | null {
    const row = this.#store.get<{ wire: Uint8Array }>("SELECT wire FROM saved_queries WHERE name = ?", name);
    return row ? fromBinary(SavedQuerySchema, row.wire) : null;
  }

  /** Adds or replaces. @throws Failure TOO_LARGE, DISK_FULL */
  put(query: SavedQuery): void {
    const wire = toBinary(SavedQuerySchema, create(SavedQuerySchema, query));
    this.#store.transaction(() => {
      const { count = 0 } = this.#store.get<{ count: number }>("SELECT count(*) AS count FROM saved_queries") ?? {};
      if (count >= MAX_QUERIES && !this.find(query.name)) {
        throw new Failure({
          code: ErrorCode.TOO_LARGE,
          message: `${MAX_QUERIES} queries are saved already; there is no room for another.`,
          hint: "Remove one that is not used any more.",
        });
      }
      this.#store.run(
        "INSERT INTO saved_queries (name, wire) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET wire = excluded.wire",
        query.name,
        wire,
      );
    });
  }

  /** @throws Failure NOT_FOUND */
  remove(name: string): void {
    if (this.#store.run("DELETE FROM saved_queries WHERE name = ?", name).changes > 0) return;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no saved query ${JSON.stringify(name.slice(0, 100))}.`,
      hint: "`wardline flows saved` lists them.",
    });
  }
}
