/**
 * The picture of the policy in Debian's Chromium: 500 groups and 5,000 connections from the click until every group has
 * its place, then moved, filtered and arranged anew. Processor time of the page's main thread: in all, and of its longest
 * task, which is how long a key or the pointer may wait.
 *
 * The peer is sigma as it comes with the same nodes and lines: a textbook layout of forces (every pair repels, linked ones
 * attract, as many rounds as ours), then the graph drawn, both at once.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { processorTimeOfTasks } from "@wardline/renderer/testing/task-times";
import { buildFakeWindow } from "@wardline/renderer/testing/window-build";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright";
import { publish } from "./lib/publish.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const CHROMIUM = "/usr/bin/chromium";
const ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 5);
const NODES = 500;
const EDGES = 5_000;
const PLACED = "Object.keys(localStorage).some((key) => key.startsWith('wardline.picture.places'))";
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

const PLAIN = `
  import { Sigma } from "sigma";
  import { DrawnGraph } from "./src/graph/drawn-graph.ts";
  const ROUNDS = 90, LENGTH = 100;
  function layOut(ids, links) {
    const x = ids.map((_, i) => Math.cos(i * 2.4) * 10 * Math.sqrt(i)), y = ids.map((_, i) => Math.sin(i * 2.4) * 10 * Math.sqrt(i));
    for (let round = 0; round < ROUNDS; round++) {
      const dx = ids.map(() => 0), dy = ids.map(() => 0);
      for (let a = 0; a < ids.length; a++) for (let b = 0; b < a; b++) {
        const fx = x[a] - x[b] || 0.01, fy = y[a] - y[b] || 0.01, push = (LENGTH * LENGTH) / (fx * fx + fy * fy);
        dx[a] += fx * push; dy[a] += fy * push; dx[b] -= fx * push; dy[b] -= fy * push;
      }
      for (const [a, b] of links) {
        const fx = x[b] - x[a], fy = y[b] - y[a], pull = Math.hypot(fx, fy) / LENGTH;
        dx[a] += fx * pull; dy[a] += fy * pull; dx[b] -= fx * pull; dy[b] -= fy * pull;
      }
      const heat = LENGTH * (1 - round / ROUNDS);
      for (let a = 0; a < ids.length; a++) {
        const length = Math.hypot(dx[a], dy[a]) || 1, scale = Math.min(heat, length) / length;
        x[a] += dx[a] * scale; y[a] += dy[a] * scale;
      }
    }
    return { x, y };
  }
  window.startPlain = (links, count) => {
    const ids = Array.from({ length: count }, (_, i) => "n" + i), { x, y } = layOut(ids, links), graph = new DrawnGraph();
    ids.forEach((id, i) => graph.addNode(id, { x: x[i], y: y[i], size: 5, label: id, color: "#0a7" }));
    links.forEach(([a, b], i) => graph.addUndirectedEdgeWithKey("e" + i, ids[a], ids[b], { size: 1, color: "#999" }));
    window.plain = new Sigma(graph, document.querySelector("div"));
  };
`;

async function bundlePlain(): Promise<string> {
  const resolveDir = fileURLToPath(new URL("../../renderer", import.meta.url));
  const options = { bundle: true, minify: true, write: false, format: "iife" } as const;
  const { outputFiles } = await build({ stdin: { contents: PLAIN, resolveDir, loader: "ts" }, ...options });
  return outputFiles[0]?.text ?? "";
}

async function serve(directory: string, plain: string) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    try {
      response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
      if (path === "/plain.js") return void response.end(plain);
      if (path === "/plain.html") {
        const style = "position:fixed;inset:0";
        return void response.end(`<!doctype html><body><div style="${style}"></div><script src="plain.js"></script>`);
      }
      const content = await readFile(join(directory, path));
      const nonce = randomBytes(16).toString("base64");
      response.end(path.endsWith(".html") ? content.toString("utf8").replaceAll("__CSP_NONCE__", nonce) : content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const samples = new Map<string, number[]>();
const longest = new Map<string, number[]>();
const elapsed = new Map<string, number[]>();
const add = (to: Map<string, number[]>, name: string, value: number) => to.set(name, [...(to.get(name) ?? []), value]);

async function measure(page: Page, name: string, act: () => Promise<void>): Promise<void> {
  let tookMs = 0;
  const tasks = await processorTimeOfTasks(page, async () => {
    const before = performance.now();
    await act();
    tookMs = performance.now() - before;
    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))");
  });
  add(elapsed, name, tookMs);
  add(longest, name, Math.max(0, ...tasks));
  add(
    samples,
    name,
    tasks.reduce((sum, ms) => sum + ms, 0),
  );
}

async function round(browser: Browser, origin: string): Promise<void> {
  const options = { viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" } as const;
  const page = await browser.newPage(options);
  await page.goto(`${origin}/dev.html#scenario=picture-large`);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  await page.keyboard.press("Alt+2");
  const open = page.getByRole("button", { name: "Picture of all policies" });
  await open.waitFor();
  const all = page.getByRole("img", { name: /500 groups and 5,000 connections/ });
  await measure(page, "open", async () => {
    await open.press("Enter");
    await all.waitFor();
    await page.waitForFunction(PLACED);
  });
  const box = await page.locator(".picture-canvas").boundingBox();
  if (!box) throw new Error("The picture has no place.");
  const drag = async () => {
    await page.mouse.move(box.x + box.width / 2, box.y + 12);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 160, box.y + 120, { steps: 20 });
    await page.mouse.up();
  };
  await measure(page, "move", drag);
  await measure(page, "filter", async () => {
    const search = page.getByRole("textbox", { name: "Name, member or address" });
    await search.pressSequentially("svc-12");
    await page.getByRole("img", { name: /and \d{1,3} connections/ }).waitFor();
    await search.fill("");
    await all.waitFor();
  });
  await measure(page, "arrange anew", async () => {
    await page.evaluate("localStorage.clear()");
    await page.getByRole("button", { name: "Arrange anew" }).click();
    await page.waitForFunction(PLACED);
  });
  await page.close();
  const plainPage = await browser.newPage(options);
  await plainPage.goto(`${origin}/plain.html`);
  await measure(plainPage, "peer: open", async () => {
    await plainPage.evaluate(`startPlain(${JSON.stringify(links())}, ${NODES})`);
  });
  await measure(plainPage, "peer: move", async () => {
    await plainPage.mouse.move(700, 12);
    await plainPage.mouse.down();
    await plainPage.mouse.move(860, 120, { steps: 20 });
    await plainPage.mouse.up();
  });
  await plainPage.close();
}

/** As many as the window's picture has, spread in the same way. */
function links(): (readonly [number, number])[] {
  const found = new Map<string, readonly [number, number]>();
  for (let step = 1; found.size < EDGES; step++) {
    const from = (step * 7_919) % NODES;
    const to = (from + 1 + ((step * step) % 37)) % NODES;
    if (from !== to) found.set(`${from} ${to}`, [from, to]);
  }
  return [...found.values()];
}

if (!existsSync(CHROMIUM)) {
  console.log(`workbenchPictureWindow is left out: no ${CHROMIUM}`);
  process.exit(0);
}
const { server, origin } = await serve(await buildFakeWindow(), await bundlePlain());
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
try {
  for (let count = 0; count < ROUNDS; count++) await round(browser, origin);
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
const shown = (of: Map<string, number[]>) =>
  Object.fromEntries([...of].map(([name, values]) => [name, rounded(summarize(values), 1)]));
const of = (from: Map<string, number[]>, name: string) => from.get(name) ?? [];
publish("workbenchPictureWindow", {
  what: "The picture of the policy in the window, in ms of processor time of the page's main thread; ratios are peer to picture.",
  method: `${ROUNDS} rounds, each in a new page without kept places. The picture comes from a fake console in the page.`,
  picture: { nodes: NODES, edges: EDGES },
  longestTaskMs: shown(longest),
  processorMs: shown(samples),
  elapsedMs: shown(elapsed),
  ratioOfLongestTasks: rounded(summarizeRatios(of(longest, "peer: open"), of(longest, "open")), 1),
  ratioOfProcessorTimeToMove: rounded(summarizeRatios(of(samples, "peer: move"), of(samples, "move")), 2),
});
