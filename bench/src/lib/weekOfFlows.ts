/** Records of seven days of a fleet, in a store as it ships and in one plain table. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RetentionLimits, USUAL_RETENTION_LIMITS } from "@wardline/main/backend/history/flow-history";
import { SqliteHistory } from "@wardline/main/backend/history/sqlite/sqlite-history";
import { silentLogger, systemClock } from "@wardline/main/backend/ports";
import { FleetTraffic, WINDOW_MS } from "./historyTraffic.ts";
import type { PlainHistory } from "./plainHistory.ts";

export const FOREVER: RetentionLimits = { ...USUAL_RETENTION_LIMITS, maxBytes: 64 * 1024 ** 3, maxRecords: 1e9 };
const HOSTS = 200;
const PER_BATCH = 50;
const WEEK_MS = 7 * 86_400_000;

/** The store is open. What a former run left in the directory, of as many records, is used again. */
export async function fillWeek(directory: string, records: number, plain: PlainHistory): Promise<SqliteHistory> {
  const marker = join(directory, "..", `filled-${records}`);
  if (existsSync(marker)) {
    return new SqliteHistory({ directory, retention: () => FOREVER, clock: systemClock, logger: silentLogger });
  }
  mkdirSync(directory, { recursive: true });
  const clock = { now: Date.now(), nowMs: () => clock.now, sleep: systemClock.sleep };
  const history = new SqliteHistory({ directory, retention: () => FOREVER, clock, logger: silentLogger });
  const traffic = new FleetTraffic(HOSTS);
  const windows = Math.ceil(records / (HOSTS * PER_BATCH));
  const startMs = Math.floor((clock.now - WEEK_MS) / WINDOW_MS) * WINDOW_MS;
  const stepMs = Math.max(1, Math.floor(WEEK_MS / windows / WINDOW_MS)) * WINDOW_MS;
  for (let window = 0; window < windows; window++) {
    const atMs = startMs + window * stepMs;
    const batches = traffic.hosts.map((host) => traffic.batch(host, atMs, PER_BATCH));
    clock.now = atMs + WINDOW_MS;
    await history.ingest(batches);
    plain.ingest(batches);
  }
  await history.maintain();
  writeFileSync(marker, "");
  return history;
}
