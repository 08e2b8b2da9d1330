/**
 * The console as it ships, in a process of its own: every service on a real store, behind the browser host. It says where it
 * listens, and afterwards what it is asked: how long the history took for each list, and what the process has used.
 *
 *     node --expose-gc workbenchConsole.ts STATE_DIR AGENT_SOCKET
 */
import { join } from "node:path";
import { createBackend } from "@wardline/main/backend/backend";
import type { FlowHistory } from "@wardline/main/backend/history/flow-history";
import { SqliteHistory } from "@wardline/main/backend/history/sqlite/sqlite-history";
import { silentLogger, systemClock } from "@wardline/main/backend/ports";
import { startBrowserHost } from "@wardline/main/browser/browser-host";
import { FOREVER } from "./weekOfFlows.ts";

/** A list that was asked for while the window was open. */
export interface AskedList {
  readonly sort: string;
  readonly ms: number;
  readonly rowCount: number;
}

export interface ConsoleReport {
  readonly lists: readonly AskedList[];
  readonly heapMiB: number;
  readonly residentMiB: number;
  readonly processorMs: number;
}

const [stateDir = "", agentSocketPath = ""] = process.argv.slice(2);
const MIB = 2 ** 20;
const lists: AskedList[] = [];

const history = new SqliteHistory({
  directory: join(stateDir, "history"),
  retention: () => FOREVER,
  clock: systemClock,
  logger: silentLogger,
});
const rows: FlowHistory["rows"] = async (query, options, signal) => {
  const startMs = performance.now();
  const answer = await history.rows(query, options, signal);
  // Pages of a list that was made before are not questions.
  if (answer && options.snapshot === "") {
    lists.push({ sort: options.order.sort, ms: performance.now() - startMs, rowCount: answer.rowCount });
  }
  return answer;
};
const backend = createBackend({
  ...{ stateDir, agentSocketPath, logger: silentLogger, shell: { kind: "browser" as const }, userName: "bench" },
  settingsFiles: { path: join(stateDir, "settings.yaml"), lockedPath: join(stateDir, "locked.yaml") },
  alerts: { delivers: false },
  flowHistory: new Proxy(history, {
    get: (target, name) => {
      if (name === "rows") return rows;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }),
});
const host = await startBrowserHost({ backend });
process.on("message", () => {
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const report: ConsoleReport = {
    lists: lists.splice(0),
    heapMiB: Math.round(heapUsed / MIB),
    residentMiB: Math.round(rss / MIB),
    processorMs: (user + system) / 1_000,
  };
  process.send?.(report);
});
process.on("disconnect", () => process.exit(0));
process.send?.({ url: host.url });
