import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
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
    const rows = text
      .slice(text.indexOf("| guarantee |"), text.indexOf("## What stays outside"))
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
