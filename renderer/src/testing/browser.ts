/**
 * The window on the fake backend, in a real Chromium, served as the browser host serves it: same strict content security
 * policy, a nonce per response.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { type Browser, chromium, type Page } from "playwright";
import { onTestFinished } from "vitest";
import { buildFakeWindow } from "./window-build.ts";

const CHROMIUM_PATH = "/usr/bin/chromium";
const CHROMIUM_ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Why browser tests cannot run here; empty when they can. */
export const browserTestObstacle = existsSync(CHROMIUM_PATH) ? "" : `no ${CHROMIUM_PATH}`;

/** Long enough for a busy machine; short enough that a test fails by itself and says where. */
const ACTION_TIMEOUT_MS = 30_000;

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

export interface FakeWindowServer {
  readonly origin: string;
  readonly browser: Browser;
  /** A page on a scenario of the fake backend. Violations of the policy and errors of the page end up in `complaints`. */
  readonly open: (options?: OpenOptions) => Promise<{ page: Page; complaints: string[] }>;
  readonly close: () => Promise<void>;
}

export interface OpenOptions {
  readonly scenario?: string;
  readonly theme?: "dark" | "light" | "contrast";
  readonly width?: number;
  readonly height?: number;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

export async function startFakeWindow(): Promise<FakeWindowServer> {
  const outDir = await buildFakeWindow();
  const answerTo = async (url: string): Promise<Answer> => {
    const path = normalize(new URL(url, "http://localhost").pathname);
    try {
      const content = await readFile(join(outDir, path));
      const nonce = randomBytes(16).toString("base64");
      const body =
        extname(path) === ".html" ? Buffer.from(content.toString("utf8").replaceAll("__CSP_NONCE__", nonce)) : content;
      const headers = {
        "content-type": CONTENT_TYPES[extname(path)] ?? "application/octet-stream",
        "content-security-policy": `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; font-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      };
      return { status: 200, headers, body };
    } catch {
      return { status: 404, headers: {}, body: Buffer.alloc(0) };
    }
  };
  const server = createServer(async (request, response) => {
    const { status, headers, body } = await answerTo(request.url ?? "/");
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: CHROMIUM_ARGUMENTS });

  const open = async ({ scenario = "normal", theme = "dark", width = 1440, height = 900 }: OpenOptions = {}) => {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: theme === "light" ? "light" : "dark",
      reducedMotion: "reduce",
    });
    // A page that a failed test leaves open would go on drawing beside all that follow.
    onTestFinished(() => context.close());
    // Chromium gives up what it loads when this machine gets another interface, and other tests give it some.
    await context.route(`${origin}/**`, async (route) => route.fulfill(await answerTo(route.request().url())));
    const page = await context.newPage();
    page.setDefaultTimeout(ACTION_TIMEOUT_MS);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("favicon")) complaints.push(message.text());
    });
    if (theme === "contrast") {
      await page.addInitScript(() =>
        localStorage.setItem("wardline.settings", JSON.stringify({ "display.theme": "contrast" })),
      );
    }
    await page.goto(`${origin}/dev.html#scenario=${scenario}`);
    await page.getByRole("navigation", { name: "Views" }).waitFor();
    return { page, complaints };
  };
  const close = async () => {
    await browser.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { origin, browser, open, close };
}
