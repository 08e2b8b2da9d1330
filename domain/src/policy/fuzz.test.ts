import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DIAGNOSTICS } from "./check/registry.ts";
import type { SourceFile } from "./model.ts";
import { readPolicyFiles } from "./read.ts";
import { readFile } from "./read-file.ts";
import { decodePolicyBytes } from "./yaml/decode.ts";
import { DEFAULT_READ_LIMITS } from "./yaml/limits.ts";

const FIXTURES = [
  "e2e/fixtures/ztap/bidirectional.yaml",
  "e2e/fixtures/ztap/deny-all.yaml",
  "e2e/fixtures/recipes/allow-range-except.yaml",
  "e2e/fixtures/recipes/multiple-selectors.yaml",
  "e2e/fixtures/recipes/inventory.yaml",
  "assets/samples/one-service.yaml",
].map((path) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8"));

/** Pieces that YAML, JSON, the schema or an address reader may stumble over. */
const FRAGMENTS = [
  ..."\t\0\r\n\uFEFF\uD800\u2028:-?[]{}#&*!|>'\"%@`,",
  "---\n",
  "...\n",
  "<<: *a",
  "&a ",
  "*a",
  "!!binary ",
  "null",
  "~",
  "[]",
  "{}",
  "0x10",
  "1e400",
  "-0",
  ".nan",
  "9".repeat(400),
  "__proto__: 1\n",
  "constructor",
  "10.0.0.0/0",
  "::ffff:1.2.3.4/96",
  "fe80::%1/10",
  "podSelector:\n",
  "metadata: {name: а}\n",
  "%YAML 1.1\n---\n",
];

const mutated = fc
  .tuple(
    fc.constantFrom(...FIXTURES),
    fc.array(
      fc.record({
        place: fc.double({ min: 0, max: 1, noNaN: true }),
        removed: fc.oneof(fc.constant(0), fc.nat({ max: 40 })),
        inserted: fc.oneof(fc.constantFrom(...FRAGMENTS), fc.string({ unit: "binary", maxLength: 8 }), fc.constant("")),
      }),
      { maxLength: 6 },
    ),
  )
  .map(([text, edits]) =>
    edits.reduce((current, { place, removed, inserted }) => {
      const at = Math.floor(place * current.length);
      return current.slice(0, at) + inserted + current.slice(at + removed);
    }, text),
  );

function check(file: SourceFile): void {
  const lines = file.text.split("\n");
  requireBoundedWork(file);
  const result = readPolicyFiles([file]);
  // Plain data, as threads get it.
  structuredClone(result.world);
  for (const { code, severity, source, fix, message } of result.diagnostics) {
    expect(DIAGNOSTICS).toHaveProperty(code);
    expect(message.length).toBeLessThan(600);
    for (const { line, column, endLine, endColumn } of [source, ...(fix?.edits ?? []).map((edit) => edit.range)]) {
      expect(column).toBeGreaterThanOrEqual(1);
      expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? -1) + 1);
      expect(endColumn).toBeLessThanOrEqual((lines[endLine - 1]?.length ?? -1) + 1);
      expect(endLine > line || (endLine === line && endColumn >= column)).toBe(true);
    }
    if (severity === "error") expect(result.ok).toBe(false);
  }
  expect(result.ok).toBe(!result.diagnostics.some(({ severity }) => severity === "error"));
}

describe("hostile input", { timeout: 120_000 }, () => {
  it("mutations of valid documents never throw, and every range lies in the text", () => {
    fc.assert(
      fc.property(mutated, (text) => check({ path: "mutated.yaml", text })),
      { numRuns: 300 },
    );
  });

  it("random text never throws", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc
        .array(fc.constantFrom(...FRAGMENTS, " ", "  ", "a", "kind: NetworkPolicy\n"), { maxLength: 60 })
        .map((list) => list.join("")),
    );
    fc.assert(
      fc.property(text, (random) => check({ path: "random.yaml", text: random })),
      { numRuns: 800 },
    );
  });

  it("random bytes give a text or a diagnostic", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const decoded = decodePolicyBytes(bytes, "dropped");
        if ("text" in decoded) check({ path: "dropped", text: decoded.text });
        else expect(decoded.diagnostic.severity).toBe("error");
      }),
      { numRuns: 500 },
    );
  });

  // Each would take seconds, minutes, gigabytes or the stack if it were not bounded.
  it.each([
    [
      "an exponential bomb",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghij".replace(/./g, (name, at: number) => `${name}: &${name} [${`*${"abcdefghi"[at]},`.repeat(9)}]\n`)}`,
      "WL107",
    ],
    ["deep brackets", "[".repeat(40_000), "WL108"],
    ["very deep brackets", "[".repeat(400_000), "WL108"],
    ["deep dashes", "- ".repeat(20_000), "WL108"],
    ["deep question marks", "? ".repeat(20_000), "WL108"],
    ["many keys", Array.from({ length: 20_000 }, (_, index) => `key${index}: 1\n`).join(""), "WL202"],
    ["duplicates", "a: 1\n".repeat(5_000), "WL103"],
    ["many duplicates", "a: 1\n".repeat(40_000), "WL119"],
    ["many quotes", '"'.repeat(40_000), "WL101"],
    ["many documents", "--- {a: b}\n".repeat(20_000), "WL111"],
    ["many odd documents", "--- &a {}\n".repeat(9_000) + "--- &a [x]".repeat(10_000), "WL202"],
    ["anchors", Array.from({ length: 5_000 }, (_, index) => `- &a${index} *a${index}\n`).join(""), "WL106"],
    ["many anchors", Array.from({ length: 50_000 }, (_, index) => `- &a${index} x\n`).join(""), "WL119"],
    ["many aliases", `- &a x\n${"- *a\n".repeat(7_000)}`, "WL107"],
    ["an alias inside its anchor", "a: &a\n  b: *a\n", "WL106"],
    ["an alias with a huge name", `<<: *a${"9".repeat(100_000)}`, "WL106"],
    ["a huge name inside its anchor", `a: &${"9".repeat(100_000)}\n  b: *${"9".repeat(100_000)}\n`, "WL106"],
    ["a huge YAML version", `%YAML a${"9".repeat(100_000)}\n---\na: 1\n`, "WL112"],
    ["a huge block header", `a: |${"9".repeat(100_000)}\n`, "WL101"],
    ["a huge key", `"${"a".repeat(500_000)}": 1`, "WL101"],
    ["a huge file", "a".repeat(1024 * 1024 + 1), "WL109"],
    ["many NUL bytes", "\0".repeat(40_000), "WL105"],
    ["many values", `[${"1,".repeat(500_000)}]`, "WL119"],
    ["many colons", ": ".repeat(500_000), "WL119"],
    ["many errors", "a b: c: d\n".repeat(90_000), "WL119"],
    ["many tabs", `${"\t".repeat(500_000)}a: 1`, "WL102"],
    ["many directives", "%A\n".repeat(200_000), "WL119"],
    ["many end markers", "...\n".repeat(200_000), "WL119"],
    ["many open quotes", "a: \"x\nb: 'y\n".repeat(60_000), "WL119"],
    ["many bad escapes", `a: "${"\\q".repeat(400_000)}"`, "WL119"],
    ["many backslashes", `a: "${"\\".repeat(900_001)}"`, "WL119"],
    ["many blank lines before a mistake", `a:\n${"\n".repeat(900_000)}\t- b`, "WL119"],
  ])("%s is refused with bounded work", (_name, text, code) => {
    const file = { path: "bomb.yaml", text };
    const result = readPolicyFiles([file]);
    expect(result.diagnostics.map((diagnostic) => diagnostic.code)).toContain(code);
    expect(result.ok).toBe(false);
    expect(result.diagnostics.length).toBeLessThanOrEqual(1001);
    requireBoundedWork(file);
  });
});

/** Work is counted, because clocks say something about the machine: tokens of the library, values, problems. */
function requireBoundedWork(file: SourceFile): void {
  const { maxFullParserTokensPerFile, maxDocumentsPerFile, maxDiagnostics } = DEFAULT_READ_LIMITS;
  const { parts } = readFile(file, DEFAULT_READ_LIMITS, null);
  const tokens = parts.reduce((sum, part) => sum + part.fullParserTokens, 0);
  // A document that is refused has cost the one token that was too many; it may be a text full of escapes.
  const allowed = maxFullParserTokensPerFile + parts.length + file.text.split("\\").length;
  expect(tokens).toBeLessThanOrEqual(allowed);
  expect(parts.length).toBeLessThanOrEqual(maxDocumentsPerFile);
  expect(parts.flatMap((part) => part.documents).length).toBeLessThanOrEqual(file.text.length / 4);
  for (const part of parts) expect(part.problems.finish(new Map()).length).toBeLessThanOrEqual(maxDiagnostics + 1);
}
