/**
 * The list of flows over a million records: how fast a filter and an order are answered by the store, beside plain SQL over
 * one table; how smoothly the window scrolls through, beside a table with a row for each of ten thousand; and whether the
 * live view holds its memory at 2,000 flows a second.
 *
 * `WARDLINE_BENCH_PARTS=store,scroll,live` chooses; `WARDLINE_BENCH_MINUTES` how long the live view runs (10). The window
 * runs on the double of the backend, in Debian's Chromium: its rows come from memory, so that only the window is measured.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { EVERYTHING, parseFlowQuery } from "@wardline/domain/flows";
import { ROW_SORTS, type RowSort, USUAL_RETENTION_LIMITS } from "@wardline/main/backend/history/flow-history";
import { SqliteHistory } from "@wardline/main/backend/history/sqlite/sqlite-history";
import { silentLogger, systemClock } from "@wardline/main/backend/ports";
import { buildFakeWindow } from "@wardline/renderer/testing/window-build";
import { chromium, type Page } from "playwright";
import { FleetTraffic, WINDOW_MS } from "./lib/historyTraffic.ts";
import { PlainHistory } from "./lib/plainHistory.ts";
import { publish } from "./lib/publish.ts";
import { quantile } from "./lib/statistics.ts";

const number = (name: string, usual: number) => Number(process.env[`WARDLINE_BENCH_${name}`] ?? usual);
const PARTS = (process.env.WARDLINE_BENCH_PARTS ?? "store,scroll,live").split(",");
const RECORDS = number("RECORDS", 1_000_000);
const ROUNDS = number("ROUNDS", 5);
const MINUTES = number("MINUTES", 10);
const HOSTS = 200;
const PAGE = 100;
const NEVER = new AbortController().signal;
const labels = () => ({ subjectKeys: [], addresses: [] });

const FILTERS: readonly (readonly [text: string, sql: string])[] = [
  ["", "1"],
  ["host:web-1", "host = 'web-1'"],
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

function spread(samples: readonly number[]) {
  const of = (fraction: number) => Number(quantile(samples, fraction).toFixed(1));
  return { runs: samples.length, p50: of(0.5), p95: of(0.95), max: of(1) };
}

/** Elapsed, and what the process used of its processors, in milliseconds. */
async function timed(body: () => unknown): Promise<{ readonly elapsed: number; readonly processor: number }> {
  const before = process.cpuUsage();
  const startMs = performance.now();
  await body();
  const elapsed = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  return { elapsed, processor: (user + system) / 1_000 };
}

async function measureStore() {
  const directory = mkdtempSync(join(tmpdir(), "wardline-bench-list-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const clock = { now: Date.now(), nowMs: () => clock.now, sleep: systemClock.sleep };
  const retention = () => ({ ...USUAL_RETENTION_LIMITS, maxBytes: 64 * 1024 ** 3, maxRecords: 1e9 });
  const history = new SqliteHistory({ directory: join(directory, "h"), retention, clock, logger: silentLogger });
  const plain = new PlainHistory(directory);
  const traffic = new FleetTraffic(HOSTS);
  const perBatch = 50;
  const windows = Math.ceil(RECORDS / (HOSTS * perBatch));
  const startMs = Math.floor((clock.now - 7 * 86_400_000) / WINDOW_MS) * WINDOW_MS;
  const stepMs = Math.max(1, Math.floor((7 * 86_400_000) / windows / WINDOW_MS)) * WINDOW_MS;
  for (let window = 0; window < windows; window++) {
    const batches = traffic.hosts.map((host) => traffic.batch(host, startMs + window * stepMs, perBatch));
    await history.ingest(batches);
    plain.ingest(batches);
  }
  const ask = (text: string, sort: RowSort = "time", from = 0) => {
    const order = { sort, isAscending: false };
    const query = parseFlowQuery(text, { nowMs: clock.now }).query ?? EVERYTHING;
    return history.rows(query, { order, from, atMs: null, limit: PAGE, snapshot: "", labels }, NEVER);
  };
  const cold = await timed(() => ask(""));
  const filters = [];
  const all = { own: [] as number[], ownProcessor: [] as number[], peer: [] as number[] };
  for (const [text, sql] of FILTERS) {
    const own: number[] = [];
    const processor: number[] = [];
    const peer: number[] = [];
    let rowCount = 0;
    for (let round = 0; round < ROUNDS; round++) {
      // Another text of the same meaning: what was answered before is not asked again.
      const asked = await timed(async () => {
        rowCount = (await ask(`${text} packets>=${-round}`.trim().replace(/ packets>=-?0$/, "")))?.rowCount ?? 0;
      });
      own.push(asked.elapsed);
      processor.push(asked.processor);
      const other = await timed(() => {
        plain.database.prepare(`SELECT count(*) FROM records WHERE ${sql}`).get();
        plain.database.prepare(`SELECT * FROM records WHERE ${sql} ORDER BY first_ms DESC LIMIT ${PAGE}`).all();
      });
      peer.push(other.elapsed);
    }
    all.own.push(...own);
    all.ownProcessor.push(...processor);
    all.peer.push(...peer);
    filters.push({ text, rowCount, ms: spread(own), processorMs: spread(processor), plainSqlMs: spread(peer) });
  }
  const orders = [];
  for (const sort of ROW_SORTS) {
    const first = await timed(() => ask("", sort));
    const middle = await timed(() => ask("", sort, RECORDS >> 1));
    orders.push({ sort, ms: Math.round(first.elapsed), pageMs: Math.round(middle.elapsed) });
  }
  const { records } = await history.state();
  await history.close();
  plain.database.close();
  return {
    records,
    coldMs: Math.round(cold.elapsed),
    filters,
    all: { ms: spread(all.own), processorMs: spread(all.ownProcessor), plainSqlMs: spread(all.peer) },
    orders,
    goal: "a filter in less than 100 ms, 95th percentile",
  };
}

const TYPES: Readonly<Record<string, string>> = {
  ...{ ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" },
  ...{ ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".woff2": "font/woff2" },
};

async function withWindow<Result>(scenario: string, body: (page: Page) => Promise<Result>): Promise<Result> {
  const directory = await buildFakeWindow();
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    try {
      response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
      response.end(await readFile(join(directory, path)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--js-flags=--expose-gc", "--enable-precise-memory-info"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } });
    await page.goto(`http://127.0.0.1:${port}/dev.html#scenario=${scenario}`);
    await page.getByRole("navigation", { name: "Views" }).waitFor();
    return await body(page);
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}

/** Moves a box by the wheel's way for some seconds, and notes every task and frame that took long. */
const SCROLL = `async (selector) => {
  const box = document.querySelector(selector);
  const tasks = [];
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)));
  observer.observe({ type: "longtask" });
  const frames = [];
  const steps = 240;
  let last = performance.now();
  for (let step = 0; step <= steps; step++) {
    box.scrollTop = ((box.scrollHeight - box.clientHeight) * step) / steps;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  observer.disconnect();
  frames.sort((a, b) => a - b);
  return {
    steps,
    longestTaskMs: Math.round(Math.max(0, ...tasks)),
    tasksOver50Ms: tasks.length,
    frameMsP95: Math.round(frames[Math.floor(frames.length * 0.95)]),
    droppedFrames: frames.filter((each) => each > 34).length,
  };
}`;

async function measureScroll() {
  return await withWindow("normal", async (page) => {
    await page.evaluate("windowStore.getState().openHistory('')");
    await page.locator(".record-row:not([aria-busy=true])").first().waitFor();
    const rows = Number(await page.locator(".record-grid").getAttribute("aria-rowcount")) - 1;
    const list = await page.evaluate(`(${SCROLL})(".record-scroll")`);
    const peer = await page.evaluate(`(async () => {
      const started = performance.now();
      const rows = Array.from({ length: 10000 }, (_, row) =>
        "<tr>" + Array.from({ length: 11 }, (_, cell) => "<td>" + row + " " + cell + "</td>").join("") + "</tr>");
      document.body.insertAdjacentHTML("beforeend", "<div id=peer style='position:fixed;inset:0;overflow:auto;background:#fff'><table>" + rows.join("") + "</table></div>");
      document.querySelector("#peer").getBoundingClientRect();
      const builtMs = Math.round(performance.now() - started);
      return { rows: 10000, builtMs, ...(await (${SCROLL})("#peer")) };
    })()`);
    return { rows, list, peer, goal: "no task over 50 ms" };
  });
}

async function measureLive() {
  return await withWindow("flood", async (page) => {
    await page.evaluate("windowStore.getState().goTo('flows')");
    await page.getByRole("grid").waitFor();
    const heapMiB: number[] = [];
    const read = "(() => { gc(); return performance.memory.usedJSHeapSize; })()";
    await page.evaluate(
      "window.tasks = []; new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask' })",
    );
    const untilMs = Date.now() + MINUTES * 60_000;
    const everyMs = Math.max(5_000, (MINUTES * 60_000) / 20);
    while (Date.now() < untilMs) {
      await systemClock.sleep(everyMs);
      heapMiB.push(Math.round(Number(await page.evaluate(read)) / 1024 ** 2));
    }
    const longest = Number(await page.evaluate("Math.max(0, ...window.tasks)"));
    const text = await page.locator(".flows-footer").innerText();
    return { minutes: MINUTES, flowsPerSecond: 2_000, heapMiB, longestTaskMs: Math.round(longest), footer: text };
  });
}

const result: Record<string, unknown> = {};
if (PARTS.includes("store")) result.store = await measureStore();
if (PARTS.includes("scroll")) result.scroll = await measureScroll();
if (PARTS.includes("live")) result.live = await measureLive();
publish("workbenchFlows", result);
