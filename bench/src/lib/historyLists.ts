/** How soon the history gives the first page of a result as a list, with how many rows it has. */
import { EVERYTHING, type FlowQuery, type QueryNode } from "@wardline/domain/flows";
import type { RowSort } from "@wardline/main/backend/history/flow-history";
import type { SqliteHistory } from "@wardline/main/backend/history/sqlite/sqlite-history";
import { spread } from "./statistics.ts";

const ORDERS: readonly RowSort[] = ["host", "peer", "port", "policy", "bytes", "duration"];
const NEVER = new AbortController().signal;
const labels = () => ({ subjectKeys: [], addresses: [] });

interface Taken {
  readonly ms: number;
  readonly processorMs: number;
}

async function listed(history: SqliteHistory, query: FlowQuery, sort: RowSort): Promise<Taken> {
  const options = { order: { sort, isAscending: false }, from: 0, atMs: null, limit: 100, snapshot: "", labels };
  const before = process.cpuUsage();
  const startMs = performance.now();
  await history.rows(query, options, NEVER);
  const ms = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  return { ms, processorMs: (user + system) / 1_000 };
}

/** As the window asks: every filter in the order of time, and all records in some others. */
export async function measureLists(
  history: SqliteHistory,
  filters: readonly { readonly name: string; readonly where: QueryNode }[],
  windows: readonly Omit<FlowQuery, "where">[],
  rounds: number,
) {
  const cold = await listed(history, EVERYTHING, "time");
  const asked: { readonly name: string; readonly where: QueryNode; readonly sort: RowSort }[] = [
    ...filters.map(({ name, where }) => ({ name, where, sort: "time" as const })),
    ...ORDERS.map((sort) => ({ name: `all by ${sort}`, where: EVERYTHING.where, sort })),
  ];
  const each: { readonly name: string; readonly isFilter: boolean; readonly taken: readonly Taken[] }[] = [];
  for (const { name, where, sort } of asked) {
    const taken: Taken[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const { sinceMs, untilMs } of windows) {
        // The same list is not made twice: another moment makes it another question.
        taken.push(await listed(history, { where, sinceMs: (sinceMs ?? 1_000) - round, untilMs }, sort));
      }
    }
    each.push({ name, isFilter: sort === "time", taken });
  }
  const all = (of: typeof each) => ({
    ms: spread(of.flatMap(({ taken }) => taken.map(({ ms }) => ms))),
    processorMs: spread(of.flatMap(({ taken }) => taken.map(({ processorMs }) => processorMs))),
  });
  return {
    coldMs: Math.round(cold.ms),
    coldProcessorMs: Math.round(cold.processorMs),
    filters: all(each.filter(({ isFilter }) => isFilter)),
    orders: all(each.filter(({ isFilter }) => !isFilter)),
    each: each.map((one) => ({ name: one.name, ...all([one]) })),
  };
}
