import type { Store } from "./store.ts";

/** Small facts of the console itself. */
export class SettingsTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  text(name: string): string | null {
    const row = this.#store.get<{ value: string | number }>("SELECT value FROM settings WHERE name = ?", name);
    return row ? String(row.value) : null;
  }

  number(name: string): number {
    return Number(this.text(name) ?? 0);
  }

  set(name: string, value: string | number): void {
    this.#store.run(
      "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name,
      value,
    );
  }
}

/** One process at a time: whoever renews in time keeps the lease. */
export class LeaseTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Takes or renews; false when somebody else holds it. */
  acquire(name: string, holder: string, nowMs: number, durationMs: number): boolean {
    return (
      this.#store.run(
        `INSERT INTO leases (name, holder, expires_at_ms) VALUES (?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at_ms = excluded.expires_at_ms
         WHERE leases.holder = excluded.holder OR leases.expires_at_ms <= ?`,
        name,
        holder,
        nowMs + durationMs,
        nowMs,
      ).changes > 0
    );
  }

  /** Who has it now; `null` = nobody. */
  holder(name: string, nowMs: number): string | null {
    const sql = "SELECT holder FROM leases WHERE name = ? AND expires_at_ms > ?";
    return this.#store.get<{ holder: string }>(sql, name, nowMs)?.holder ?? null;
  }

  release(name: string, holder: string): void {
    this.#store.run("DELETE FROM leases WHERE name = ? AND holder = ?", name, holder);
  }
}
