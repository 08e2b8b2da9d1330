/**
 * What the window loads, as it ships: every script together, what comes before the first view, and what its thread shares.
 * Built here and counted in bytes, so that the same sources always give the same answer.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** All scripts, with the thread of the policy language. Who needs more finds something to leave out. */
const ALL_BYTES = 2_500_000;
/** React with its components, the wire format and the frame; no view but the overview. */
const FIRST_BYTES = 800_000;
/** Every one of them is asked for and answered before anything is seen. */
const FIRST_FILES = 6;
/** What a view brings when it is opened. */
const NOT_FIRST = /codemirror|@lezer|node_modules\/(?:yaml|sigma|uplot)\/|domain\/src\/policy\/(?:check|formats|read)/u;

describe("the window's bundle", () => {
  const directory = mkdtempSync(join(tmpdir(), "wardline-bundle-"));
  let chunks: readonly Rolldown.OutputChunk[] = [];
  let page = "";

  beforeAll(async () => {
    const environment = process.env.NODE_ENV;
    process.env.NODE_ENV = "production";
    const root = join(import.meta.dirname, "..");
    const configFile = join(root, "vite.config.ts");
    const built = await build({ root, configFile, logLevel: "error", build: { outDir: directory } }).finally(() => {
      process.env.NODE_ENV = environment;
    });
    const output = (Array.isArray(built) ? built : [built]).flatMap((each) => ("output" in each ? each.output : []));
    chunks = output.filter((file) => file.type === "chunk");
    page =
      output.flatMap((file) => (file.fileName === "index.html" && "source" in file ? String(file.source) : []))[0] ??
      "";
  }, 120_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const bytesOf = (files: readonly Rolldown.OutputChunk[]) =>
    files.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0);
  const modulesOf = (files: readonly Rolldown.OutputChunk[]) =>
    files.flatMap(({ modules }) =>
      Object.entries(modules).flatMap(([id, { renderedLength }]) =>
        renderedLength > 0 ? [id.replaceAll("\\", "/")] : [],
      ),
    );
  /** What a start loads by itself, without what it asks for later. */
  function loadedBy(isStart: (chunk: Rolldown.OutputChunk) => boolean): Rolldown.OutputChunk[] {
    const found = new Set(chunks.filter(isStart));
    for (const chunk of found)
      for (const file of chunk.imports) for (const other of chunks) if (other.fileName === file) found.add(other);
    return [...found];
  }

  it("stays within what was agreed: all of it, and what comes before the first view", () => {
    const first = loadedBy(({ fileName }) => page.includes(`src="./${fileName}"`));
    expect(first.length).toBeGreaterThan(0);
    expect(modulesOf(first).filter((id) => NOT_FIRST.test(id))).toEqual([]);
    expect({ all: bytesOf(chunks) < ALL_BYTES || bytesOf(chunks) }).toEqual({ all: true });
    expect({ first: bytesOf(first) < FIRST_BYTES || bytesOf(first) }).toEqual({ first: true });
    expect(first.length).toBeLessThanOrEqual(FIRST_FILES);
  });

  it("has one copy of everything, shared by the page and the thread, which loads nothing that draws", () => {
    const ids = modulesOf(chunks);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    const thread = modulesOf(loadedBy(({ name, isEntry }) => isEntry && name === "language-worker"));
    expect(thread.some((id) => id.includes("/domain/src/policy/"))).toBe(true);
    expect(
      thread.filter((id) =>
        /\/react(?:-dom|-aria)?|\/renderer\/src\/(?!features\/policies\/editor\/language-worker)/u.test(id),
      ),
    ).toEqual([]);
    const started = chunks.filter(({ code }) => code.includes("new Worker("));
    const [worker] = chunks.filter(({ name, isEntry }) => isEntry && name === "language-worker");
    expect(started.length).toBe(1);
    for (const { code } of started) expect(code).toContain(worker?.fileName.split("/").at(-1));
  });

  it("names React's exports, packs descriptions and speaks one language", () => {
    const text = chunks.map(({ code }) => code).join("\n");
    expect([...text.matchAll(/\(0,[\w$]+\.(?:jsxs?|useState)\)\(/gu)]).toEqual([]);
    expect(text).not.toContain("ChR3YXJkbGluZS");
    expect(
      modulesOf(chunks).filter(
        (id) => /\/intl\/.*\/?(?!en-US)[a-z]{2}-[A-Z]{2}\.mjs$/u.test(id) && !id.endsWith("en-US.mjs"),
      ),
    ).toEqual([]);
  });
});
