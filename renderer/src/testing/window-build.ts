/** The window on the fake backend, built once for all test files that open it. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";

const RENDERER = join(import.meta.dirname, "../..");
const ROOT = join(RENDERER, "..");
const INPUTS = ["renderer", "domain/src", "api/gen", "package-lock.json"];
const LEFT_OUT = new Set(["node_modules", "dist"]);
const BUILDS = join(ROOT, ".cache", "fake-window");
const KEPT_MS = 60 * 60_000;

/** Builds what was not yet built of these sources; returns the directory, which nobody may change. */
export async function buildFakeWindow(): Promise<string> {
  const directory = join(BUILDS, digestOfSources());
  if (existsSync(directory)) {
    utimesSync(directory, new Date(), new Date());
    return directory;
  }
  mkdirSync(BUILDS, { recursive: true });
  removeOld();
  const own = `${directory}.${process.pid}`;
  // As it ships: the test runner's own environment would build in what only developers of components need, at many times the cost.
  const environment = process.env.NODE_ENV;
  process.env.NODE_ENV = "production";
  await build({
    root: RENDERER,
    configFile: join(RENDERER, "vite.config.ts"),
    logLevel: "error",
    build: { outDir: own, emptyOutDir: true, rolldownOptions: { input: join(RENDERER, "dev.html") } },
  }).finally(() => {
    process.env.NODE_ENV = environment;
  });
  try {
    renameSync(own, directory);
  } catch {
    // Another test file was faster, with the same.
    rmSync(own, { recursive: true, force: true });
  }
  return directory;
}

/** By place, size and time of every source: reading them all would take as long as building. */
function digestOfSources(): string {
  const hash = createHash("sha256");
  const add = (path: string): void => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  };
  const addTree = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isFile()) add(path);
      else if (entry.isDirectory() && !LEFT_OUT.has(entry.name)) addTree(path);
    }
  };
  for (const input of INPUTS) {
    const path = join(ROOT, input);
    if (statSync(path).isDirectory()) addTree(path);
    else add(path);
  }
  return hash.digest("hex").slice(0, 32);
}

function removeOld(): void {
  for (const name of readdirSync(BUILDS)) {
    const path = join(BUILDS, name);
    const usedAtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - usedAtMs > KEPT_MS) rmSync(path, { recursive: true, force: true });
  }
}
