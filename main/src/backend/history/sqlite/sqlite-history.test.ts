import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, silentLogger, systemClock } from "../../ports.ts";
import { USUAL_RETENTION_LIMITS } from "../flow-history.ts";
import { historyContract } from "../testing/history-contract.ts";
import { SqliteHistory, type SqliteHistoryPorts } from "./sqlite-history.ts";

const DAY_MS = 86_400_000;
/** What this is about is not what goes. */
const FOREVER = { recordDays: 1e5, minuteDays: 1e5, hourDays: 1e5, dayDays: 1e5 };

class TestClock implements Clock {
  aheadMs = 0;
  nowMs(): number {
    return Date.now() + this.aheadMs;
  }
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(delayMs, signal);
  }
}

function open(directory: string, clock: Clock, over: Partial<SqliteHistoryPorts> = {}): SqliteHistory {
  const retention = () => ({ ...USUAL_RETENTION_LIMITS, ...FOREVER });
  const leafLimits = { rows: 100 };
  return new SqliteHistory({ directory, retention, clock, logger: silentLogger, leafLimits, ...over });
}

historyContract("partitions of SQLite", async () => {
  const directory = mkdtempSync(join(tmpdir(), "wardline-history-"));
  const clock = new TestClock();
  let history = open(directory, clock);
  return {
    get history() {
      return history;
    },
    age: async () => {
      await history.maintain();
      // A month of arrival is over: everything is merged into days.
      clock.aheadMs += 40 * DAY_MS;
      await history.maintain();
    },
    reopen: async () => {
      await history.close();
      history = open(directory, clock);
      return history;
    },
    close: async () => {
      await history.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
});
