/** What is asked of the history of flows: filters and groups, for it and for the plain table beside it. */
import { EVERYTHING, type FlowDimension, type FlowQuery, type QueryNode } from "@wardline/domain/flows";
import type { SqliteHistory } from "@wardline/main/backend/history/sqlite/sqlite-history";
import { measureLists } from "./historyLists.ts";
import { spread } from "./statistics.ts";

const NEVER = new AbortController().signal;
const LABELS = () => ({ subjectKeys: [], addresses: [] });

const field = (name: (QueryNode & { kind: "field" })["field"], ...values: string[]): QueryNode => ({
  kind: "field",
  field: name,
  values,
});
const and = (...parts: QueryNode[]): QueryNode => ({ kind: "and", parts });
const not = (part: QueryNode): QueryNode => ({ kind: "not", part });

/** What people look for, and the same for the peer. */
export const FILTERS: readonly { readonly name: string; readonly where: QueryNode; readonly sql: string }[] = [
  { name: "host:web-1", where: field("host", "web-1"), sql: "host = 'web-1'" },
  { name: "port:5432", where: field("port", "5432"), sql: "port = 5432" },
  { name: "verdict:deny", where: field("verdict", "deny"), sql: "verdict = 2" },
  {
    name: "host:db-3 verdict:deny port:22",
    where: and(field("host", "db-3"), field("verdict", "deny"), field("port", "22")),
    sql: "host = 'db-3' AND verdict = 2 AND port = 22",
  },
  { name: "dst:10.0.7.0/24", where: field("dst", "10.0.7.0/24"), sql: "destination GLOB '10.0.7.*'" },
  { name: "src of nobody", where: field("src", "192.0.2.77"), sql: "source = '192.0.2.77'" },
  {
    name: "name:cdn-17.example.net",
    where: field("name", "cdn-17.example.net"),
    sql: "observed_name = 'cdn-17.example.net'",
  },
  {
    name: "name:*example.net -port:443",
    where: and(field("name", "*example.net"), not(field("port", "443"))),
    sql: "observed_name GLOB '*example.net' AND port <> 443",
  },
  { name: "process:postgres", where: field("process", "postgres"), sql: "command = 'postgres'" },
  {
    name: "process:java -dst:10.0.0.0/8",
    where: and(field("process", "java"), not(field("dst", "10.0.0.0/8"))),
    sql: "command = 'java' AND destination NOT GLOB '10.*'",
  },
  { name: "policy:web-1", where: field("policy", "web-1"), sql: "policy GLOB '*web-1'" },
  {
    name: "text:cdn-99",
    where: field("text", "cdn-99"),
    sql: "(observed_name LIKE '%cdn-99%' OR summary LIKE '%cdn-99%' OR cgroup LIKE '%cdn-99%' OR executable LIKE '%cdn-99%')",
  },
  {
    name: "host:app-2 bytes>10M",
    where: and(field("host", "app-2"), { kind: "measure", measure: "bytes", comparison: ">", value: 10e6 }),
    sql: "host = 'app-2' AND out_bytes + in_bytes > 10e6",
  },
  {
    name: "bytes>40M",
    where: { kind: "measure", measure: "bytes", comparison: ">", value: 40e6 },
    sql: "out_bytes + in_bytes > 40e6",
  },
];

export const GROUPS: readonly {
  readonly by: readonly FlowDimension[];
  readonly where: QueryNode;
  readonly sql: string;
}[] = [
  {
    by: ["host"],
    where: { kind: "all" },
    sql: "SELECT host, count(*), sum(started) AS n FROM records GROUP BY 1 ORDER BY n DESC LIMIT 20",
  },
  {
    by: ["peer"],
    where: field("verdict", "deny"),
    sql: "SELECT CASE direction WHEN 1 THEN source ELSE destination END, count(*), sum(started) AS n FROM records WHERE verdict = 2 GROUP BY 1 ORDER BY n DESC LIMIT 20",
  },
  {
    by: ["process", "port"],
    where: { kind: "all" },
    sql: "SELECT executable, port, count(*), sum(started) AS n FROM records GROUP BY 1, 2 ORDER BY n DESC LIMIT 20",
  },
  {
    by: ["source", "destination", "port"],
    where: field("host", "web-1"),
    sql: "SELECT source, destination, port, count(*), sum(started) AS n FROM records WHERE host = 'web-1' GROUP BY 1, 2, 3 ORDER BY n DESC LIMIT 20",
  },
];

export async function newest(history: SqliteHistory, query: FlowQuery): Promise<number> {
  const startMs = performance.now();
  for await (const _ of history.search(query, { limit: 200, pageToken: "", labels: LABELS }, NEVER)) void _;
  return performance.now() - startMs;
}

export async function grouped(history: SqliteHistory, query: FlowQuery, by: readonly FlowDimension[]): Promise<number> {
  const startMs = performance.now();
  for await (const _ of history.group(query, { by, order: "connections", limit: 20, labels: LABELS }, NEVER)) void _;
  return performance.now() - startMs;
}

/** The newest page of each filter in three windows, the same as lists, and groups over everything and over a part of it. */
export async function measureQuestions(history: SqliteHistory, endMs: number, rounds: number) {
  const windows = [7, 1, 1 / 24].map((days) => ({
    days,
    sinceMs: endMs - days * 86_400_000 + 1_234_567,
    untilMs: null,
  }));
  const filters = [];
  for (const { name, where } of FILTERS) {
    const samples: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const { sinceMs, untilMs } of windows) samples.push(await newest(history, { where, sinceMs, untilMs }));
    }
    filters.push({ name, samples });
  }
  // The whole week too, which has no border to look at.
  const lists = await measureLists(history, FILTERS, [{ sinceMs: null, untilMs: null }, ...windows], rounds);
  const groups = [];
  for (const { by, where } of GROUPS) {
    const [whole, cut]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      whole.push(await grouped(history, { ...EVERYTHING, where }, by));
      cut.push(await grouped(history, { where, sinceMs: windows[0]!.sinceMs, untilMs: endMs - 3_600_001 }, by));
    }
    groups.push({ by: by.join(), whole, cut });
  }
  return {
    filtersMs: {
      all: spread(filters.flatMap(({ samples }) => samples)),
      each: filters.map(({ name, samples }) => ({ name, ...spread(samples) })),
    },
    lists,
    groupsMs: {
      all: spread(groups.flatMap(({ whole, cut }) => [...whole, ...cut])),
      each: groups.map(({ by, whole, cut }) => ({ by, whole: spread(whole), cutByTime: spread(cut) })),
    },
  };
}
