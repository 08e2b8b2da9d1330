/** Opens the console in a Chromium window of its own, where there is a Chromium and a desktop to show it on. */

import { spawn } from "node:child_process";
import { accessSync, constants, realpathSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { makeDirectory } from "../backend/files/directory.ts";

const NAMES = [
  "chromium",
  "chromium-browser",
  "google-chrome-stable",
  "google-chrome",
  "microsoft-edge",
  "brave-browser",
];
const MAC_PATHS = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
];
const LINK_LIFETIME_MS = 60_000;

export interface OpenBrowserOptions {
  readonly url: string;
  /** For the browser profile of the console's own window. */
  readonly stateDir: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Who starts it; the process's own user unless given. */
  readonly userId?: number | undefined;
}

export type OpenBrowserResult = { readonly opened: true } | { readonly opened: false; readonly reason: string };

/** Path of a Chromium on this machine, or `null`. */
export function findChromium(environment: NodeJS.ProcessEnv = process.env): string | null {
  const directories = (environment.PATH ?? "").split(delimiter).filter((directory) => directory.startsWith("/"));
  const candidates = [
    ...directories.flatMap((directory) => NAMES.map((name) => join(directory, name))),
    ...(process.platform === "darwin" ? MAC_PATHS : []),
  ];
  for (const path of candidates) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return null;
}

/** Why no window can be shown; `null` when one can. */
export function obstacleToWindow(environment: NodeJS.ProcessEnv, userId: number | undefined): string | null {
  if (userId === 0) return "Chromium does not run as root";
  const hasDesktop = environment.DISPLAY || environment.WAYLAND_DISPLAY;
  if (process.platform === "linux" && !hasDesktop) return "there is no desktop session here";
  return null;
}

/** Resolves once the browser was started, or says why it was not; then the person opens the printed URL. */
export async function openBrowser(options: OpenBrowserOptions): Promise<OpenBrowserResult> {
  const { url, stateDir, environment = process.env, userId = process.getuid?.() } = options;
  const obstacle = obstacleToWindow(environment, userId);
  if (obstacle) return { opened: false, reason: obstacle };
  const chromium = findChromium(environment);
  if (!chromium) return { opened: false, reason: "no Chromium was found" };
  const profileDir = join(stateDir, "browser");
  makeDirectory(profileDir, 0o700);
  const child = spawn(
    chromium,
    [
      `--app=${privateLink(url, chromium, stateDir)}`,
      `--user-data-dir=${profileDir}`,
      "--no-first-run",
      "--no-default-browser-check",
    ],
    { detached: true, stdio: "ignore" },
  );
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ opened: false, reason: error.message }));
    child.once("spawn", () => {
      child.unref();
      resolve({ opened: true });
    });
  });
}

/**
 * Arguments of a process can be read by every user, and the URL holds a token: it goes through a file that only its
 * owner can read. A snap's Chromium cannot read that file; there the token is exposed for the moment until it is used.
 */
function privateLink(url: string, chromium: string, stateDir: string): string {
  if (realpathSync(chromium).includes("/snap")) return url;
  const path = join(stateDir, `open-${process.pid}.html`);
  rmSync(path, { force: true });
  writeFileSync(path, `<!doctype html><meta http-equiv="refresh" content="0;url=${url}">`, { mode: 0o600, flag: "wx" });
  setTimeout(() => rmSync(path, { force: true }), LINK_LIFETIME_MS).unref();
  return pathToFileURL(path).href;
}
