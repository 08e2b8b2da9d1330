/** How far exports that go on have come, by collector and query: kept in the console's store. */
import { createHash } from "node:crypto";
import type { LeaseTable, SettingsTable } from "../../store/settings-table.ts";

/** By host id: records of windows that begin before this moment were sent. */
export type HostPositions = Readonly<Record<string, number>>;

const LEASE_MS = 60_000;
const MAX_HOSTS = 10_000;

export class ExportPositions {
  readonly #settings: SettingsTable;
  readonly #leases: LeaseTable;
  readonly #processId: string;

  constructor(settings: SettingsTable, leases: LeaseTable, processId: string) {
    this.#settings = settings;
    this.#leases = leases;
    this.#processId = processId;
  }

  /** `null` when this was never exported, or what is kept cannot be read. */
  read(key: string): HostPositions | null {
    try {
      const stored: unknown = JSON.parse(this.#settings.text(settingOf(key)) ?? "null");
      if (typeof stored !== "object" || stored === null) return null;
      const entries = Object.entries(stored).filter(([, ms]) => Number.isSafeInteger(ms) && ms >= 0);
      return Object.fromEntries(entries.slice(0, MAX_HOSTS));
    } catch {
      return null;
    }
  }

  save(key: string, positions: HostPositions): void {
    this.#settings.set(settingOf(key), JSON.stringify(positions));
  }

  /** Takes or renews; false while another process exports the same. */
  acquire(key: string, nowMs: number): boolean {
    return this.#leases.acquire(settingOf(key), this.#processId, nowMs, LEASE_MS);
  }

  release(key: string): void {
    this.#leases.release(settingOf(key), this.#processId);
  }
}

function settingOf(key: string): string {
  return `export_position_${createHash("sha256").update(key).digest("hex").slice(0, 32)}`;
}
