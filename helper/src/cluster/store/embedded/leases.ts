/** Which leases there are, and until when: on a clock that no change of the time of day moves. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { bootMs, type Clock } from "../../../agent/clock.ts";

interface LeaseTime {
  readonly timeToLiveMs: number;
  readonly overAtMs: number;
}

/**
 * Renewals are kept in memory only: they cost no write. After a restart every lease begins anew with its full time, because
 * nobody knows how much of it had passed.
 */
export class Leases {
  readonly #clock: Clock;
  readonly #times = new Map<bigint, LeaseTime>();
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;

  constructor(database: DatabaseSync, clock: Clock) {
    this.#clock = clock;
    this.#insert = database.prepare("INSERT INTO leases VALUES (?, ?)");
    this.#delete = database.prepare("DELETE FROM leases WHERE id = ?");
    const all = database.prepare("SELECT id, time_to_live_ms FROM leases");
    all.setReadBigInts(true);
    for (const row of all.iterate()) this.#begin(row.id as bigint, Number(row.time_to_live_ms));
  }

  has(id: bigint): boolean {
    const time = this.#times.get(id);
    return time !== undefined && time.overAtMs > bootMs(this.#clock);
  }

  /** Within a transaction; `added` after it. */
  insert(id: bigint, timeToLiveMs: number): void {
    this.#insert.run(id, timeToLiveMs);
  }
  added(id: bigint, timeToLiveMs: number): void {
    this.#begin(id, timeToLiveMs);
  }

  /** Within a transaction; `removed` after it. */
  delete(id: bigint): void {
    this.#delete.run(id);
  }
  removed(id: bigint): void {
    this.#times.delete(id);
  }

  /** Its full time from now on, or `null` when it is over. */
  renew(id: bigint): number | null {
    const time = this.#times.get(id);
    if (time === undefined || !this.has(id)) return null;
    this.#begin(id, time.timeToLiveMs);
    return time.timeToLiveMs;
  }

  over(): bigint[] {
    const now = bootMs(this.#clock);
    return [...this.#times].filter(([, { overAtMs }]) => overAtMs <= now).map(([id]) => id);
  }

  /** Milliseconds until the next one is over; `null` = there is none. */
  nextInMs(): number | null {
    if (this.#times.size === 0) return null;
    const earliest = Math.min(...[...this.#times.values()].map(({ overAtMs }) => overAtMs));
    return Math.max(earliest - bootMs(this.#clock), 0);
  }

  #begin(id: bigint, timeToLiveMs: number): void {
    this.#times.set(id, { timeToLiveMs, overAtMs: bootMs(this.#clock) + timeToLiveMs });
  }
}
