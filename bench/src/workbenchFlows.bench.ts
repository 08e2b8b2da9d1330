/**
 * The flows of the workbench over a million records: how fast the history answers filters and orders, beside plain SQL over
 * one table; how smoothly the window scrolls through them and how soon it shows a filter, beside a table with an element for
 * each of ten thousand rows; and whether the live view holds its memory at 2,000 flows a second.
 *
 * Nothing is a double but the agent that makes the live flows: the window is the one that ships, in Debian's Chromium, its
 * console a process of its own with the real store. `WARDLINE_BENCH_PARTS=store,window,live` chooses;
 * `WARDLINE_BENCH_MINUTES` says how long the live view runs (1; the published figure is of 10); `WARDLINE_BENCH_KEEP` names a
 * directory that keeps the records for the next run.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EVERYTHING, parseFlowQuery } from "@wardline/domain/flows";
import { ROW_SORTS, type RowSort } from "@wardline/main/backend/history/flow-history";
import type { SqliteHistory } from "@wardline/main/backend/history/sqlite/sqlite-history";
import { systemClock } from "@wardline/main/backend/ports";
import type { Page } from "playwright";
import { PlainHistory } from "./lib/plainHistory.ts";
import { publish } from "./lib/publish.ts";
import { quantile, spread } from "./lib/statistics.ts";
import { fillWeek } from "./lib/weekOfFlows.ts";
import type { ConsoleReport } from "./lib/workbenchConsole.ts";
import { FlowSource } from "./lib/workbenchFlowSource.ts";
import { askInWindow, memoryOf, plainTable, scrollByWheel, withPage } from "./lib/workbenchPage.ts";

const number = (name: string, usual: number) => Number(process.env[`WARDLINE_BENCH_${name}`] ?? usual);
const PARTS = (process.env.WARDLINE_BENCH_PARTS ?? "store,window,live").split(",");
const RECORDS = number("RECORDS", 1_000_000);
const ROUNDS = number("ROUNDS", 5);
const MINUTES = number("MINUTES", 1);
const SCROLL_SECONDS = number("SCROLL_SECONDS", 10);
const FLOWS_PER_SECOND = 2_000;
const PAGE = 100;
const PEER_ROWS = 10_000;
const NEVER = new AbortController().signal;
const labels = () => ({ subjectKeys: [], addresses: [] });

const FILTERS: readonly (readonly [text: string, sql: string])[] = [
  ["host:web-1", "host = 'web-1'"],
  ["", "1"],
  ["port:5432", "port = 5432"],
  ["verdict:deny", "verdict = 2"],
  ["host:db-3 verdict:deny port:22", "host = 'db-3' AND verdict = 2 AND port = 22"],
  ["dst:10.0.7.0/24", "destination GLOB '10.0.7.*'"],
  ["name:*example.net -port:443", "observed_name GLOB '*example.net' AND port <> 443"],
  ["process:java -dst:10.0.0.0/8", "command = 'java' AND destination NOT GLOB '10.*'"],
  ["policy:web-1", "policy GLOB '*web-1'"],
  ["text:cdn-99", "(observed_name LIKE '%cdn-99%' OR summary LIKE '%cdn-99%' OR executable LIKE '%cdn-99%')"],
  ["host:app-2 bytes>10M", "host = 'app-2' AND out_bytes + in_bytes > 10e6"],
  ["bytes>40M", "out_bytes + in_bytes > 40e6"],
];

/** Elapsed, and what the process used of its processors, in milliseconds. */
interface Timed {
  readonly elapsed: number;
  readonly processor: number;
}

async function timed(body: () => unknown): Promise<Timed> {
  const before = process.cpuUsage();
  const startMs = performance.now();
  await body();
  const elapsed = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  return { elapsed, processor: (user + system) / 1_000 };
}

async function measureStore(history: SqliteHistory, plain: PlainHistory) {
  let asked = 0;
  const ask = async (text: string, sort: RowSort = "time", from = 0, isNew = true) => {
    const query = text === "" ? EVERYTHING : parseFlowQuery(text, { nowMs: Date.now() }).query;
    if (!query) throw new Error(`${text} is no query.`);
    // A moment long before the first record: the same question in other words, so that no answer is used again.
    if (isNew) asked++;
    const order = { sort, isAscending: false };
    const options = { order, from, atMs: null, limit: PAGE, snapshot: "", labels };
    const answer = await history.rows({ ...query, sinceMs: asked }, options, NEVER);
    if (!answer || answer.rows.length !== Math.min(PAGE, answer.rowCount - from)) throw new Error(`${text}: no rows.`);
    return answer.rowCount;
  };
  const cold = await timed(() => ask(""));
  const filters = [];
  const all = { own: [] as number[], ownProcessor: [] as number[], peer: [] as number[], ratios: [] as number[] };
  for (const [text, sql] of FILTERS) {
    const [own, processor, peer]: [number[], number[], number[]] = [[], [], []];
    let rowCount = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const mine = await timed(async () => {
        rowCount = await ask(text);
      });
      own.push(mine.elapsed);
      processor.push(mine.processor);
      let peerCount = 0;
      const other = await timed(() => {
        peerCount = plain.database.prepare(`SELECT count(*) FROM records WHERE ${sql}`).pluck().get() as number;
        plain.database.prepare(`SELECT * FROM records WHERE ${sql} ORDER BY first_ms DESC LIMIT ${PAGE}`).all();
      });
      if (peerCount !== rowCount) throw new Error(`${text}: ${rowCount} rows, and ${peerCount} by plain SQL.`);
      peer.push(other.elapsed);
      all.ratios.push(other.processor / Math.max(0.1, mine.processor));
    }
    all.own.push(...own);
    all.ownProcessor.push(...processor);
    all.peer.push(...peer);
    filters.push({ text, rowCount, ms: spread(own), processorMs: spread(processor), plainSqlMs: spread(peer) });
  }
  const orders = [];
  for (const sort of ROW_SORTS) {
    const runs: Timed[] = [];
    const pages: Timed[] = [];
    for (let round = 0; round < Math.min(3, ROUNDS); round++) {
      runs.push(await timed(() => ask("", sort)));
      pages.push(await timed(() => ask("", sort, RECORDS >> 1, false)));
    }
    const of = (samples: readonly Timed[]) => ({
      ms: spread(samples.map(({ elapsed }) => elapsed)),
      processorMs: spread(samples.map(({ processor }) => processor)),
    });
    orders.push({ sort, first: of(runs), pageInTheMiddle: of(pages) });
  }
  return {
    coldMs: Math.round(cold.elapsed),
    filters,
    all: {
      ...{ ms: spread(all.own), processorMs: spread(all.ownProcessor), plainSqlMs: spread(all.peer) },
      plainSqlTimesTheProcessorTime: spread(all.ratios),
    },
    orders,
    goal: "a filter in less than 100 ms, 95th percentile",
  };
}

/** The console on what was stored, and its window. */
class Workbench {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#process = child;
  }

  static async start(stateDir: string, agentSocketPath: string): Promise<Workbench> {
    const program = fileURLToPath(new URL("./lib/workbenchConsole.ts", import.meta.url));
    const options = ["--disable-warning=ExperimentalWarning", "--expose-gc"];
    const child = spawn(process.execPath, [...options, program, stateDir, agentSocketPath], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    process.once("exit", () => child.kill());
    const [{ url }] = (await once(child, "message")) as [{ url: string }];
    return new Workbench(url, child);
  }

  async report(): Promise<ConsoleReport> {
    const answer = once(this.#process, "message");
    this.#process.send("report");
    return (await answer)[0] as ConsoleReport;
  }

  async close(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill();
    await ended;
  }
}

async function measureWindow(bench: Workbench) {
  return await withPage(bench.url, async (page) => {
    await openFlows(page);
    await page.getByRole("tab", { name: "History" }).click();
    await page.locator(".record-row:not([aria-busy=true])").first().waitFor();
    const rows = Number(await page.locator(".record-grid").getAttribute("aria-rowcount")) - 1;
    const list = await scrollByWheel(page, ".record-scroll", SCROLL_SECONDS);
    await bench.report();
    const shown: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const [text] of FILTERS) shown.push(await askInWindow(page, text));
    }
    const { lists } = await bench.report();
    const peer = await plainTable(page, PEER_ROWS, SCROLL_SECONDS);
    return {
      rows,
      scroll: list,
      filters: {
        fromKeyToRowsOnScreenMs: spread(shown),
        inTheConsoleMs: spread(lists.map(({ ms }) => ms)),
        note: "The chart above the rows asks when they are drawn, and gives way to the next question.",
      },
      plainTable: peer,
      // The longest task of the table is the one that makes it.
      plainTableTimesTheLongestTask: Number(
        (Math.max(peer.builtMs, peer.longestTaskProcessorMs) / Math.max(1, list.longestTaskProcessorMs)).toFixed(1),
      ),
      goal: "no task over 50 ms while scrolling; a filter in less than 100 ms",
    };
  });
}

async function openFlows(page: Page): Promise<void> {
  await page.getByRole("navigation", { name: "Views" }).getByRole("button", { name: "Flows" }).click();
}

interface Sample {
  readonly seconds: number;
  readonly heapMiB: number;
  readonly nodes: number;
  readonly consoleHeapMiB: number;
  readonly consoleResidentMiB: number;
}

async function measureLive(bench: Workbench, source: FlowSource) {
  return await withPage(bench.url, async (page) => {
    await openFlows(page);
    await page.getByRole("tab", { name: "Live" }).click();
    source.start(FLOWS_PER_SECOND);
    await page.getByRole("grid").waitFor();
    await page.evaluate(
      "window.tasks = []; new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask' })",
    );
    const samples: Sample[] = [];
    const startMs = performance.now();
    const everyMs = Math.max(5_000, (MINUTES * 60_000) / 20);
    while (performance.now() - startMs < MINUTES * 60_000) {
      await systemClock.sleep(everyMs);
      const { heapMiB, residentMiB } = await bench.report();
      const memory = await memoryOf(page);
      const seconds = Math.round((performance.now() - startMs) / 1_000);
      samples.push({ seconds, ...memory, consoleHeapMiB: heapMiB, consoleResidentMiB: residentMiB });
    }
    source.stop();
    const seconds = (performance.now() - startMs) / 1_000;
    const tasks = (await page.evaluate("window.tasks")) as number[];
    const third = Math.max(1, Math.floor(samples.length / 3));
    const growth = (of: (sample: Sample) => number) => {
      const median = (part: readonly Sample[]) => quantile(part.map(of), 0.5);
      // What is kept is full after a while: from the second third to the last.
      return Number((median(samples.slice(-third)) - median(samples.slice(third, 2 * third))).toFixed(1));
    };
    return {
      minutes: MINUTES,
      sentPerSecond: Math.round(source.sent / seconds),
      samples,
      fromTheSecondThirdToTheLast: {
        windowHeapMiB: growth(({ heapMiB }) => heapMiB),
        windowNodes: growth(({ nodes }) => nodes),
        consoleHeapMiB: growth(({ consoleHeapMiB }) => consoleHeapMiB),
      },
      tasksOver50Ms: tasks.length,
      longestTaskMs: Math.round(Math.max(0, ...tasks)),
      note: "Among the long tasks are the forced collections of garbage, one for each sample.",
      footer: await page.locator(".flows-footer").innerText(),
      goal: "2,000 flows a second for 10 minutes with memory flat",
    };
  });
}

const ownDirectory = mkdtempSync(join(tmpdir(), "wardline-bench-list-"));
process.once("exit", () => rmSync(ownDirectory, { recursive: true, force: true }));
const directory = process.env.WARDLINE_BENCH_KEEP ?? ownDirectory;
mkdirSync(directory, { recursive: true });
const stateDir = join(directory, "state");
const result: Record<string, unknown> = { records: RECORDS };
if (PARTS.includes("store") || PARTS.includes("window")) {
  const plain = new PlainHistory(directory);
  const history = await fillWeek(join(stateDir, "history"), RECORDS, plain);
  if (PARTS.includes("store")) result.store = await measureStore(history, plain);
  await history.close();
  plain.database.close();
}
if (PARTS.includes("window") || PARTS.includes("live")) {
  const source = await FlowSource.serve(join(ownDirectory, "agent.sock"));
  // A link opens one session: each window takes a console of its own.
  if (PARTS.includes("window")) {
    const bench = await Workbench.start(stateDir, source.socketPath);
    result.window = await measureWindow(bench);
    await bench.close();
  }
  if (PARTS.includes("live")) {
    const bench = await Workbench.start(stateDir, source.socketPath);
    result.live = await measureLive(bench, source);
    await bench.close();
  }
}
publish("workbenchFlows", result);
process.exit(0);
