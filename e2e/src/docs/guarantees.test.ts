import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const PAGE = fileURLToPath(new URL("../../../docs/security-model.md", import.meta.url));

interface Proof {
  readonly title: string;
  readonly path: string;
}

function proofs(): readonly Proof[] {
  const text = readFileSync(PAGE, "utf8");
  const host = text.slice(text.indexOf("## Guarantees"), text.indexOf("## What stays outside"));
  const way = text.slice(text.indexOf("## Trust over SSH"));
  return [...`${host}${way}`.matchAll(/\[([^\]]+)\]\((\.\.\/[^)]+\.ts)\)/g)].map(([, title = "", path = ""]) => {
    return { title, path: join(dirname(PAGE), path) };
  });
}

describe("the table of guarantees", () => {
  it("has a proof for each line", () => {
    const text = readFileSync(PAGE, "utf8");
    const start = text.indexOf("| guarantee |");
    const rows = text
      .slice(start, text.indexOf("\n## ", start))
      .split("\n")
      .filter((line) => line.startsWith("| "));
    expect(rows.length).toBeGreaterThan(30);
    for (const row of rows.slice(1)) expect(row, row).toMatch(/\]\([^)]+\) ?(?:\([^|]*\))? ?(?:,|\|)/);
  });

  it.each(proofs())("names a test that exists: $title", ({ title, path }) => {
    expect(existsSync(path), path).toBe(true);
    // A file is named as a whole where its one test has no title of its own.
    const isWholeFile = ["differential test", "rule counters on the kernel"].includes(title);
    if (!isWholeFile) expect(readFileSync(path, "utf8")).toContain(title);
  });
});

const CLUSTER_PAGE = fileURLToPath(new URL("../../../docs/cluster.md", import.meta.url));

describe("the table of failures of a cluster", () => {
  const text = readFileSync(CLUSTER_PAGE, "utf8");
  const table = text.slice(text.indexOf("| failure |"), text.indexOf("## Discovery"));

  it("has a test for each line", () => {
    const rows = table.split("\n").filter((line) => line.startsWith("| "));
    expect(rows.length).toBeGreaterThan(15);
    for (const row of rows.slice(1)) expect(row, row).toMatch(/\]\(\.\.\/[^)]+\.test\.ts\) \|$/);
  });

  it.each(
    [...table.matchAll(/\[([^\]]+)\]\((\.\.\/[^)]+\.ts)\)/g)].map(([, title = "", path = ""]) => ({ title, path })),
  )("names a test that exists: $title", ({ title, path }) =>
    expect(readFileSync(join(dirname(CLUSTER_PAGE), path), "utf8")).toContain(title),
  );

  it("names files of tests that exist everywhere else", () => {
    const roots = ["domain/src", "helper/src", "main/src", "renderer/src", "e2e/src"];
    const root = join(dirname(CLUSTER_PAGE), "..");
    const names = new Set(
      roots.flatMap((folder) => globSync("**/*.test.ts", { cwd: join(root, folder) })).map((path) => basename(path)),
    );
    const named = [...text.matchAll(/`([A-Za-z-]+\.test\.ts)`/g)].map(([, name = ""]) => name);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !names.has(name))).toEqual([]);
  });
});
