/** The last known status of each host, so that the console opens to it with its age. */
import type { Store } from "./store.ts";

export interface StoredHost {
  readonly id: string;
  readonly name: string;
  readonly lastHeardAtMs: number;
  /** `wardline.v1.Role`. */
  readonly role: number;
  readonly actor: string;
  /** `wardline.v1.HostStatus`, encoded. */
  readonly statusWire: Uint8Array;
}

interface HostRow {
  id: string;
  name: string;
  last_heard_at_ms: number;
  role: number;
  actor: string;
  status_wire: Uint8Array;
}

export class HostsTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  put(host: StoredHost): void {
    this.#store.run(
      `INSERT INTO hosts (id, name, last_heard_at_ms, role, actor, status_wire) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, last_heard_at_ms = excluded.last_heard_at_ms,
         role = excluded.role, actor = excluded.actor, status_wire = excluded.status_wire`,
      host.id,
      host.name,
      host.lastHeardAtMs,
      host.role,
      host.actor,
      host.statusWire,
    );
  }

  find(id: string): StoredHost | null {
    const row = this.#store.get<HostRow>("SELECT * FROM hosts WHERE id = ?", id);
    if (!row) return null;
    return {
      id: row.id,
      name: row.name,
      lastHeardAtMs: row.last_heard_at_ms,
      role: row.role,
      actor: row.actor,
      statusWire: row.status_wire,
    };
  }
}
