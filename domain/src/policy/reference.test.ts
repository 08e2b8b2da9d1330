import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readPolicyFiles } from "./read.ts";
import { DEFAULT_READ_LIMITS } from "./yaml/limits.ts";

const PAGE = readFileSync(new URL("../../../docs/policy-reference.md", import.meta.url), "utf8");

/** The yaml blocks of the page at their lines, so that a diagnostic points into it. */
function examples(): { readonly path: string; readonly text: string }[] {
  const found: { path: string; text: string }[] = [];
  for (const match of PAGE.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)) {
    const line = PAGE.slice(0, match.index).split("\n").length;
    found.push({ path: `policy-reference.md block at line ${line}`, text: match[1]! });
  }
  return found;
}

describe("docs/policy-reference.md", () => {
  it("has examples that read together without a word", () => {
    const result = readPolicyFiles(examples());
    const unexpected = result.diagnostics.filter(({ code }) => code !== "WL314");
    expect(unexpected).toEqual([]);
    expect(result.world.policies.map(({ key }) => key)).toEqual([
      "NetworkPolicy/storage/db-clients",
      "NetworkPolicy/web-to-db",
    ]);
    expect(result.world.inventory.endpoints).toHaveLength(4);
  });

  it("names the limits that hold", () => {
    const { maxDepth, maxDocumentsPerFile, maxNodesPerDocument, maxAliasesPerDocument, maxFiles } = DEFAULT_READ_LIMITS;
    for (const limit of [maxDepth, maxDocumentsPerFile, maxNodesPerDocument, maxAliasesPerDocument, maxFiles]) {
      expect(PAGE).toContain(limit.toLocaleString("en-US"));
    }
    expect(DEFAULT_READ_LIMITS.maxFileLength).toBe(2 ** 20);
    expect(DEFAULT_READ_LIMITS.maxTotalLength).toBe(16 * 2 ** 20);
  });
});
