/**
 * From a key to the problems shown, in a file of 2,000 lines in Debian's Chromium: the whole check of the workspace with the
 * inventory, in the window's thread of the language. Beside it plain CodeMirror with a lint of the syntax alone and no delay.
 * Elapsed time counts; the processor time of the page's main thread says how much of it typing could feel.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildFakeWindow } from "@wardline/renderer/testing/window-build";
import { build } from "esbuild";
import { type CDPSession, chromium, type Page } from "playwright";
import { makePolicyFiles } from "./lib/policyDocuments.ts";
import { publish } from "./lib/publish.ts";
import { quantile } from "./lib/statistics.ts";

const CHROMIUM = "/usr/bin/chromium";
const KEYSTROKES = Number(process.env.WARDLINE_BENCH_KEYSTROKES ?? 60);
/** Of 32 lines each with the line between them. */
const POLICIES_IN_2000_LINES = 63;
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** The peer: an editor that only knows the grammar. */
const PLAIN = `
  import { EditorView, basicSetup } from "./plain-setup";
  window.startPlain = (doc) => { window.view = new EditorView({ doc, parent: document.body, extensions: basicSetup }); };
`;
const PLAIN_SETUP = `
  import { EditorView, lineNumbers } from "@codemirror/view";
  import { yaml } from "@codemirror/lang-yaml";
  import { ensureSyntaxTree } from "@codemirror/language";
  import { linter, lintGutter } from "@codemirror/lint";
  export { EditorView };
  const syntax = linter((view) => {
    const found = [];
    ensureSyntaxTree(view.state, view.state.doc.length, 5000)?.iterate({
      enter: (node) => { if (node.type.isError) found.push({ from: node.from, to: Math.min(node.to + 1, view.state.doc.length), severity: "error", message: "syntax" }); },
    });
    return found;
  }, { delay: 0 });
  export const basicSetup = [yaml(), lineNumbers(), lintGutter(), syntax];
`;

async function bundlePlain(): Promise<string> {
  const resolveDir = fileURLToPath(new URL("../../renderer", import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents: PLAIN, resolveDir },
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    plugins: [
      {
        name: "setup",
        setup(plugin) {
          plugin.onResolve({ filter: /^\.\/plain-setup$/ }, () => ({ path: "setup", namespace: "plain" }));
          plugin.onLoad({ filter: /.*/, namespace: "plain" }, () => ({ contents: PLAIN_SETUP, resolveDir }));
        },
      },
    ],
  });
  return outputFiles[0]?.text ?? "";
}

async function serve(directory: string, plain: string) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    try {
      response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
      if (path === "/plain.html") return void response.end("<!doctype html><body><script src='plain.js'></script>");
      if (path === "/plain.js") return void response.end(plain);
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

/** In the page: time from each key to the change of the marks that it makes. */
const WATCH = `
  window.shownAfterMs = [];
  let pressed = 0;
  const marks = () => document.querySelectorAll(".cm-lintRange-error, .cm-lintPoint-error").length;
  let before = marks();
  addEventListener("keydown", () => { pressed = performance.now(); before = marks(); }, { capture: true });
  new MutationObserver(() => {
    if (pressed === 0 || marks() === before) return;
    window.shownAfterMs.push(performance.now() - pressed);
    pressed = 0;
  }).observe(document.querySelector(".cm-content"), { subtree: true, childList: true, attributes: true });
`;

async function mainThreadMs(session: CDPSession): Promise<number> {
  const { metrics } = await session.send("Performance.getMetrics");
  return 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0);
}

/** Types a bracket that breaks a line for every reader and takes it back, again and again. */
async function measure(page: Page, lineText: string) {
  const session = await page.context().newCDPSession(page);
  // Processor time of the thread, not elapsed time.
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.locator(".cm-line", { hasText: lineText }).first().click();
  await page.keyboard.press("Home");
  await page.evaluate(WATCH);
  const startMs = await mainThreadMs(session);
  for (let count = 0; count < KEYSTROKES; count += 1) {
    await page.keyboard.press(count % 2 === 0 ? "]" : "Backspace");
    await page
      .waitForFunction(`window.shownAfterMs.length > ${count}`, undefined, { timeout: 5_000, polling: 20 })
      .catch(() => page.evaluate(`window.shownAfterMs.push(5000)`));
  }
  const taskMs = (await mainThreadMs(session)) - startMs;
  const samples = await page.evaluate<number[]>("window.shownAfterMs");
  const warm = samples.slice(6);
  return {
    keystrokes: samples.length,
    medianMs: Number(quantile(warm, 0.5).toFixed(1)),
    p95Ms: Number(quantile(warm, 0.95).toFixed(1)),
    mainThreadMsPerKeystroke: Number((taskMs / samples.length).toFixed(1)),
  };
}

if (!existsSync(CHROMIUM)) {
  console.log(`workbenchEditor is left out: no ${CHROMIUM}`);
  process.exit(0);
}
const files = makePolicyFiles({ policies: POLICIES_IN_2000_LINES, hosts: 300 });
const [edited] = files;
if (!edited) throw new Error("there is a file to edit");
const { server, origin } = await serve(await buildFakeWindow(), await bundlePlain());
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(`${origin}/dev.html#scenario=empty`);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  await page.evaluate(
    `for (const { path, text } of ${JSON.stringify(files)}) fake.files.set(path, { text, revision: 1n, modifiedMs: 0 }); fake.notify();`,
  );
  await page.evaluate(`windowStore.getState().openFile(${JSON.stringify(edited.path)}, 900, 1)`);
  await page.locator(".cm-content").waitFor();
  await page
    .getByText(/no problems in this file|\d+ problems?$/)
    .first()
    .waitFor();
  const console_ = await measure(page, "protocol: TCP");
  const plainPage = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await plainPage.goto(`${origin}/plain.html`);
  await plainPage.evaluate(`startPlain(${JSON.stringify(edited.text)})`);
  await plainPage.evaluate(
    `view.dispatch({ selection: { anchor: view.state.doc.line(900).from }, scrollIntoView: true })`,
  );
  const plain = await measure(plainPage, "protocol: TCP");
  publish("workbenchEditor", {
    lines: edited.text.split("\n").length,
    hosts: 300,
    wholeCheck: console_,
    plainSyntaxOnly: plain,
  });
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
