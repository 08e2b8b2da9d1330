/** Which store keeps the history of flows: the one place that knows all of them. */
import { join } from "node:path";
import type { Clock, Logger } from "../ports.ts";
import type { FlowHistory, RetentionLimits } from "./flow-history.ts";
import { PostgresHistory } from "./postgresql/postgres-history.ts";
import { SqliteHistory } from "./sqlite/sqlite-history.ts";

export interface HistoryOptions {
  /** Of the console: partitions are in `history/` below it. */
  readonly stateDir: string;
  /** `postgresql://…` for fleets that outgrow one console; empty = partitions beside the console's database. */
  readonly history?: string;
  /** What is kept, asked before each round. */
  readonly retention: () => RetentionLimits;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Nothing is opened before it is used. @throws Failure INVALID_ARGUMENT for a connection string that names no store */
export function openHistory(options: HistoryOptions): FlowHistory {
  const { stateDir, history = "", retention, clock, logger } = options;
  if (history === "") return new SqliteHistory({ directory: join(stateDir, "history"), retention, clock, logger });
  return new PostgresHistory({ connectionString: history, retention, clock, logger });
}
