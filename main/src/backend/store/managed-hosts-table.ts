/** The machines that this console manages, as the person described them. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Environment,
  EnvironmentSchema,
  type HostAccess,
  HostAccessSchema,
} from "@wardline/api/wardline/console/v1/hosts";
import type { SettingsTable } from "./settings-table.ts";
import type { Store } from "./store.ts";

export interface HostRecord {
  readonly id: string;
  /** What the person calls it; empty for the machine of the console. */
  readonly alias: string;
  /** `null` for the machine of the console. */
  readonly access: HostAccess | null;
  /** Sorted. */
  readonly groups: readonly string[];
  readonly environment: Environment | null;
  readonly addedAtMs: number;
  /** The name in the Host document written when it was added, until its agent says its own; empty = none to adopt. */
  readonly documentName: string;
}

interface Row {
  id: string;
  alias: string;
  access_wire: Uint8Array | null;
  groups: string;
  environment_name: string;
  environment_color: number;
  added_at_ms: number;
  document_name: string;
}

const REVISION_SETTING = "managed_hosts_revision";

export class ManagedHostsTable {
  readonly #store: Store;
  readonly #settings: SettingsTable;

  constructor(store: Store, settings: SettingsTable) {
    this.#store = store;
    this.#settings = settings;
  }

  /** Grows with every change, by any process. */
  revision(): number {
    return this.#settings.number(REVISION_SETTING);
  }

  /** In the order in which they were added. */
  all(): HostRecord[] {
    return this.#store.all<Row>("SELECT * FROM managed_hosts ORDER BY added_at_ms, alias").map(fromRow);
  }

  /** Adds or replaces them: all or none. */
  put(records: readonly HostRecord[]): void {
    this.#store.transaction(() => {
      for (const record of records) this.#put(record);
      this.#settings.set(REVISION_SETTING, this.revision() + 1);
    });
  }

  /** False when another process has forgotten it meanwhile: it does not come back by an edit. */
  replace(record: HostRecord): boolean {
    return this.#store.transaction(() => {
      const isThere = this.#store.get("SELECT 1 FROM managed_hosts WHERE id = ?", record.id) !== undefined;
      if (isThere) this.put([record]);
      return isThere;
    });
  }

  /** Forgets a machine with what was remembered of its state; flows and receipts stay. */
  delete(id: string): void {
    this.#store.transaction(() => {
      this.#store.run("DELETE FROM managed_hosts WHERE id = ?", id);
      this.#store.run("DELETE FROM hosts WHERE id = ?", id);
      this.#store.run("DELETE FROM settings WHERE name IN (?, ?)", `flow_losses:${id}`, `ssh_origin:${id}`);
      this.#settings.set(REVISION_SETTING, this.revision() + 1);
    });
  }

  #put(record: HostRecord): void {
    this.#store.run(
      `INSERT INTO managed_hosts
         (id, alias, access_wire, groups, environment_name, environment_color, added_at_ms, document_name)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET alias = excluded.alias, access_wire = excluded.access_wire,
         groups = excluded.groups, environment_name = excluded.environment_name,
         environment_color = excluded.environment_color, document_name = excluded.document_name`,
      record.id,
      record.alias,
      record.access ? toBinary(HostAccessSchema, record.access) : null,
      JSON.stringify(record.groups),
      record.environment?.name ?? "",
      record.environment?.color ?? 0,
      record.addedAtMs,
      record.documentName,
    );
  }
}

function fromRow(row: Row): HostRecord {
  const { environment_name: name, environment_color: color } = row;
  const groups: unknown = JSON.parse(row.groups);
  return {
    id: row.id,
    alias: row.alias,
    access: row.access_wire ? fromBinary(HostAccessSchema, row.access_wire) : null,
    groups: Array.isArray(groups) ? groups.map(String) : [],
    environment: name === "" && color === 0 ? null : create(EnvironmentSchema, { name, color }),
    addedAtMs: row.added_at_ms,
    documentName: row.document_name,
  };
}
