/**
 * From an address to a window that can be used, in Debian's Chromium: the built console behind its own browser host, with a
 * real backend and an empty store. Cold: a profile that has never seen the console. Warm: the same profile again, as on every
 * later day, with what the browser keeps of files and of compiled code.
 *
 * The peer is the least that React can be, a page with one heading, built by the same bundler and served by the same server;
 * each of its loads is beside one of the console's. Elapsed time counts, since that is what a person waits for; the processor
 * time of the page's main thread says how much of it is the page's own.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createBackend } from "@wardline/main/backend/backend";
import { silentLogger } from "@wardline/main/backend/ports";
import { startBrowserHost } from "@wardline/main/browser/browser-host";
import { RENDERER_DIST_DIR } from "@wardline/main/browser/renderer-files";
import { type BrowserContext, chromium } from "playwright";
import { build } from "vite";
import { publish } from "./lib/publish.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const COLD_ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 7);
const WARM_PER_ROUND = 3;
/** The browser compiles ahead what it has seen twice. */
const LOADS_BEFORE_WARM = 3;
const RENDERER = fileURLToPath(new URL("../../renderer", import.meta.url));
const dist = process.env.WARDLINE_BENCH_DIST ?? RENDERER_DIST_DIR;
const directory = mkdtempSync(join(tmpdir(), "wardline-start-"));

const PEER = `
  import { createElement } from "react";
  import { createRoot } from "react-dom/client";
  createRoot(document.getElementById("root")).render(createElement("h1", { id: "ready" }, "Ready"));
`;
const PEER_PAGE =
  '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Peer</title><script type="module" src="./assets/PEER"></script></head><body><div id="root"></div></body></html>';

/** In the page, before anything of it runs: when each of these is first on the screen, and which tasks were long. */
const WATCH = `(marks) => {
  const seen = { at: {}, longTasks: [], firstPaintMs: null };
  window.seenByBench = seen;
  let finish;
  seen.finished = new Promise((resolve) => { finish = () => seen.firstPaintMs !== null && seen.at.usable > 0 && resolve(); });
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") seen.firstPaintMs = startTime;
    finish();
  }).observe({ type: "paint", buffered: true });
  new PerformanceObserver((list) => seen.longTasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask", buffered: true });
  const look = () => {
    for (const [name, selector] of Object.entries(marks)) {
      if (name in seen.at || !document.querySelector(selector)) continue;
      seen.at[name] = null;
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => {
          seen.at[name] = performance.now();
          finish();
        };
        channel.port2.postMessage(0);
      });
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
}`;

/** The frame can be clicked; the overview has the backend's first answer, and its hosts can be opened. */
const CONSOLE_MARKS = { frame: "nav button", usable: "#overview-hosts" };
const PEER_MARKS = { usable: "#ready" };

interface Load {
  readonly firstPaintMs: number;
  readonly frameMs: number;
  readonly usableMs: number;
  readonly mainThreadMs: number;
  readonly scriptBytes: number;
  readonly scriptFiles: number;
  readonly longTasks: number;
  readonly longestTaskMs: number;
}

async function load(context: BrowserContext, url: string, marks: Readonly<Record<string, string>>): Promise<Load> {
  const page = await context.newPage();
  try {
    const session = await context.newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    await page.addInitScript(`(${WATCH})(${JSON.stringify(marks)})`);
    await page.goto(url);
    await page.evaluate("seenByBench.finished");
    const { metrics } = await session.send("Performance.getMetrics");
    const seen = (await page.evaluate(`(() => {
      const scripts = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".js"));
      return {
        ...seenByBench,
        scriptBytes: scripts.reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0),
        scriptFiles: scripts.length,
      };
    })()`)) as {
      readonly at: { readonly frame?: number; readonly usable: number };
      readonly longTasks: readonly number[];
      readonly firstPaintMs: number;
      readonly scriptBytes: number;
      readonly scriptFiles: number;
    };
    return {
      firstPaintMs: seen.firstPaintMs,
      frameMs: seen.at.frame ?? seen.at.usable,
      usableMs: seen.at.usable,
      mainThreadMs: 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN),
      scriptBytes: seen.scriptBytes,
      scriptFiles: seen.scriptFiles,
      longTasks: seen.longTasks.length,
      longestTaskMs: Math.max(0, ...seen.longTasks),
    };
  } finally {
    await page.close();
  }
}

/** A new profile in a new browser process. */
async function withProfile(round: number, loginUrl: string, body: (context: BrowserContext) => Promise<void>) {
  const context = await chromium.launchPersistentContext(join(directory, `profile-${round}`), {
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
    viewport: { width: 1_440, height: 900 },
  });
  try {
    // Gives the profile its session without loading a page.
    await context.request.get(loginUrl);
    await body(context);
  } finally {
    await context.close();
  }
}

/** What is served: the console as it was built, and the peer beside it. */
async function buildPages(): Promise<string> {
  if (!existsSync(join(dist, "index.html")))
    throw new Error(`${dist} has no console: run node scripts/setup.mjs start`);
  const pages = join(directory, "pages");
  cpSync(dist, pages, { recursive: true });
  const entry = join(directory, "peer.js");
  writeFileSync(entry, PEER);
  await build({
    root: RENDERER,
    configFile: false,
    logLevel: "error",
    resolve: {
      alias: {
        react: join(RENDERER, "../node_modules/react"),
        "react-dom": join(RENDERER, "../node_modules/react-dom"),
      },
    },
    build: {
      ...{ outDir: join(directory, "peer"), target: "es2024", modulePreload: { polyfill: false } },
      rolldownOptions: { input: entry, output: { entryFileNames: "peer-[hash].js" } },
    },
  });
  const [file = ""] = readdirSync(join(directory, "peer")).filter((name) => name.endsWith(".js"));
  cpSync(join(directory, "peer", file), join(pages, "assets", file));
  writeFileSync(join(pages, "peer.html"), PEER_PAGE.replace("PEER", file));
  return pages;
}

function figures(loads: readonly Load[]) {
  const of = (key: keyof Load, digits = 0) => rounded(summarize(loads.map((entry) => entry[key])), digits);
  return {
    firstPaintMs: of("firstPaintMs"),
    frameMs: of("frameMs"),
    usableMs: of("usableMs"),
    mainThreadProcessorMs: of("mainThreadMs"),
    longTasks: of("longTasks", 1),
    longestTaskMs: of("longestTaskMs"),
    scriptFiles: loads[0]?.scriptFiles,
    scriptBytes: loads[0]?.scriptBytes,
  };
}

function ratios(console: readonly Load[], peer: readonly Load[]) {
  const of = (key: keyof Load) =>
    rounded(
      summarizeRatios(
        console.map((entry) => entry[key]),
        peer.map((entry) => entry[key]),
      ),
      2,
    );
  return { firstPaint: of("firstPaintMs"), usable: of("usableMs"), mainThreadProcessor: of("mainThreadMs") };
}

const pages = await buildPages();
const stateDir = join(directory, "state");
const backend = createBackend({
  ...{ stateDir, agentSocketPath: join(directory, "no-agent.sock"), logger: silentLogger, userName: "bench" },
  shell: { kind: "browser" as const },
  settingsFiles: { path: join(directory, "settings.yaml"), lockedPath: join(directory, "locked.yaml") },
  alerts: { delivers: false },
});
const host = await startBrowserHost({ backend, distDir: pages });
const loads = {
  cold: { console: [] as Load[], peer: [] as Load[] },
  warm: { console: [] as Load[], peer: [] as Load[] },
};
try {
  for (let round = 0; round < COLD_ROUNDS; round++) {
    await withProfile(round, host.createLoginUrl(), async (context) => {
      const openConsole = () => load(context, `${host.origin}/`, CONSOLE_MARKS);
      const openPeer = () => load(context, `${host.origin}/peer.html`, PEER_MARKS);
      // The first page of a browser pays for its processes: one time it is the one, one time the other.
      const isConsoleFirst = round % 2 === 0;
      const inTurn = async (into: { console: Load[]; peer: Load[] } | null) => {
        const first = await (isConsoleFirst ? openConsole() : openPeer());
        const second = await (isConsoleFirst ? openPeer() : openConsole());
        into?.console.push(isConsoleFirst ? first : second);
        into?.peer.push(isConsoleFirst ? second : first);
      };
      // Not measured: the browser's own start.
      const blank = await context.newPage();
      await blank.goto("about:blank");
      await inTurn(loads.cold);
      for (let count = 1; count < LOADS_BEFORE_WARM; count++) await inTurn(null);
      for (let count = 0; count < WARM_PER_ROUND; count++) await inTurn(loads.warm);
    });
  }
} finally {
  await host.close();
  await backend.close();
  rmSync(directory, { recursive: true, force: true });
}

const allScripts = readdirSync(join(dist, "assets")).filter((name) => name.endsWith(".js"));
publish("workbenchStart", {
  what: "From the address to a console that can be used, in Chromium; beside it an empty React page from the same server.",
  method: `${COLD_ROUNDS} new profiles, each one cold load and ${WARM_PER_ROUND} warm ones of both pages by turns; medians and quartiles. The ratio is of the two loads of one turn.`,
  scripts: {
    files: allScripts.length,
    bytes: allScripts.reduce((sum, name) => sum + readFileSync(join(dist, "assets", name)).length, 0),
  },
  cold: {
    console: figures(loads.cold.console),
    emptyReactPage: figures(loads.cold.peer),
    ratio: ratios(loads.cold.console, loads.cold.peer),
  },
  warm: {
    console: figures(loads.warm.console),
    emptyReactPage: figures(loads.warm.peer),
    ratio: ratios(loads.warm.console, loads.warm.peer),
  },
});
process.exit(0);
