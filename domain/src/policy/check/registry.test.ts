import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checkExample, EXAMPLE_FILE, fixedExample, runExample, unmark } from "./examples.ts";
import { renderDiagnosticsPage } from "./page.ts";
import { DIAGNOSTICS } from "./registry.ts";

const PAGE = new URL("../../../../docs/diagnostics.md", import.meta.url);

describe("diagnostics registry", () => {
  it.each(Object.entries(DIAGNOSTICS))(
    "%s: the example triggers it, and nothing else, where it says",
    (code, definition) => {
      const { example, severity } = definition;
      const diagnostics = runExample(example);
      expect(diagnostics.map((diagnostic) => `${diagnostic.code} ${diagnostic.message}`)).toEqual([
        expect.stringContaining(code),
      ]);
      const [diagnostic] = diagnostics;
      expect(diagnostic?.severity).toBe(severity);
      const range = "bytes" in example ? unmark("").range : unmark(example.text).range;
      if ("bytes" in example) expect(diagnostic?.source).toMatchObject({ file: EXAMPLE_FILE, line: 1, column: 1 });
      else expect(diagnostic?.source).toEqual(range);
      expect(diagnostic?.message).toMatch(/^\S.*[.?]$/);
    },
  );

  const fixable = Object.entries(DIAGNOSTICS).filter(([, { example }]) => fixedExample(example) !== null);

  it.each(fixable)("%s: its fix takes it away and brings no error", (code, { example }) => {
    if ("bytes" in example) throw new Error("bytes have no fix");
    const fixed = fixedExample(example)!;
    expect(fixed.after).not.toEqual(fixed.before);
    const left = checkExample(example, fixed.after);
    expect(left.map((diagnostic) => diagnostic.code)).not.toContain(code);
    expect(left.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  it("is what docs/diagnostics.md shows (UPDATE_DOCS=1 writes it)", () => {
    const page = renderDiagnosticsPage(DIAGNOSTICS);
    if (process.env.UPDATE_DOCS) writeFileSync(PAGE, page);
    expect(readFileSync(PAGE, "utf8")).toBe(page);
  });
});
