import type { Store } from "../../store/store.ts";

/** Texts that workspace and source last had in common. */
export class SourceBases {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  all(): Map<string, string> {
    const rows = this.#store.all<{ path: string; text: string }>("SELECT path, text FROM source_bases ORDER BY path");
    return new Map(rows.map(({ path, text }) => [path, text]));
  }

  /** `null` = neither side has it. */
  note(texts: ReadonlyMap<string, string | null>): void {
    this.#store.transaction(() => {
      for (const [path, text] of texts) {
        if (text === null) this.#store.run("DELETE FROM source_bases WHERE path = ?", path);
        else {
          this.#store.run(
            "INSERT INTO source_bases (path, text) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET text = excluded.text",
            ...[path, text],
          );
        }
      }
    });
  }

  clear(): void {
    this.#store.run("DELETE FROM source_bases");
  }
}
