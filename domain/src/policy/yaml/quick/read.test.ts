import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_READ_LIMITS } from "../limits.ts";
import type { YamlNode } from "../node.ts";
import { splitDocuments } from "../split.ts";
import { readWithLibrary } from "../testing/library.ts";
import { disturbedShapes, shapedPolicies } from "../testing/shaped-texts.ts";
import { cleaned, disturbed, fixtureTexts, grown, pieced } from "../testing/texts.ts";
import { readQuickly } from "./read.ts";

/** Compares every document that the quick reader accepts with the library's reading; returns how many those are. */
function compare(raw: string): number {
  let accepted = 0;
  for (const { text, stream, offset } of splitDocuments(cleaned(raw)) ?? []) {
    const quick = readQuickly(stream, DEFAULT_READ_LIMITS, offset, offset + text.length);
    if (quick.kind === "declined") continue;
    accepted += 1;
    const read = { text, roots: quick.root ? [inFull(quick.root)] : [], problems: [] };
    const wanted = { text, ...readWithLibrary(text) };
    if (!isDeepStrictEqual(read, wanted)) expect(read).toEqual(wanted);
  }
  return accepted;
}

/** With the entries of rules that were read at once. */
function inFull(node: YamlNode): YamlNode {
  if (node.kind === "scalar") return node;
  if (node.kind === "list") return { ...node, items: node.items.map(inFull) };
  const { kind, start, end, entries } = node;
  return { kind, start, end, entries: entries.map((entry) => ({ ...entry, value: inFull(entry.value) })) };
}

const NUM_RUNS = Number(process.env.WARDLINE_YAML_RUNS ?? 600);

describe("the quick reader gives the library's tree, or declines", { timeout: 120_000 }, () => {
  const fixtures = fixtureTexts();

  it("accepts every fixture", () => {
    expect(fixtures.length).toBeGreaterThan(20);
    for (const text of fixtures) {
      const documents = splitDocuments(text);
      expect(compare(text)).toBe(documents?.length);
    }
  });

  it("for documents by the grammar, most of which it accepts", () => {
    let accepted = 0;
    const property = fc.property(grown, (text) => {
      accepted += compare(text);
    });
    fc.assert(property, { numRuns: NUM_RUNS });
    expect(accepted).toBeGreaterThan(NUM_RUNS / 2);
  });

  it("for fixtures changed at random", () => {
    fc.assert(
      fc.property(disturbed(fixtures), (text) => void compare(text)),
      { numRuns: NUM_RUNS },
    );
  });

  it("for rules of the common shape, whole and changed at random", () => {
    fc.assert(
      fc.property(shapedPolicies, (text) => void compare(text)),
      { numRuns: NUM_RUNS },
    );
    fc.assert(
      fc.property(disturbedShapes, (text) => void compare(text)),
      { numRuns: NUM_RUNS },
    );
  });

  it("for texts from pieces", () => {
    fc.assert(
      fc.property(pieced, (text) => void compare(text)),
      { numRuns: NUM_RUNS * 4 },
    );
  });

  it.each([
    ["an anchor", "a: &x 1\n"],
    ["an alias", "a: *x\n"],
    ["a tag", "a: !x 1\n"],
    ["a tab before a key", "a:\n\tb: 1\n"],
    ["a tab in a value", "a: b\tc\n"],
    ["a repeated key", "a: 1\na: 2\n"],
    ["a repeated key among many", `${Array.from({ length: 40 }, (_, index) => `k${index}: 1\n`).join("")}k30: 2\n`],
    ["a merge key", "<<: {a: 1}\n"],
    ["a null key", "~: 1\n"],
    ["an empty key", '"": 1\n'],
    ["a plain value over two lines", "a: b\n  c\n"],
    ["a quoted value over two lines", 'a: "b\n  c"\n'],
    ["odd indentation", "a:\n    b: 1\n  c: 2\n"],
    ["an explicit key", "? a\n: 1\n"],
    ["two colons in a line", "a: b: c\n"],
    ["an unclosed bracket", "a: [b\n"],
    ["an unclosed quote", "a: 'b\n"],
    ["an indentation indicator", "a: |2\n   b\n"],
    ["kept line ends", "a: |+\n  b\n\n"],
    ["a pair in a list", "[a: b]\n"],
    ["too deep", "[".repeat(65) + "]".repeat(65)],
    ["an end of a document", "a: 1\nb\n"],
  ])("declines %s", (_name, text) => {
    expect(readQuickly(text, DEFAULT_READ_LIMITS).kind).toBe("declined");
  });

  it.each([
    ["a list at the indentation of its key", "a:\n- 1\n- 2\nb: 3\n"],
    ["lists in lists", "- - a\n  - b\n- - c\n"],
    ["a mapping behind a dash", "- a: 1\n  b:\n    - c\n-   d: 2\n"],
    ["JSON with tabs", '{\n\t"a": [1, 2.5e3, -0, "\\u00e9\\n", null],\n\t"b": {}\n}\n'],
    ["a closing bracket at the key's column", "a: [\n  1,\n  2\n]\nb: 1\n"],
    ["text blocks", "a: |\n\n  one\n    two\n\n  three\nb: >-\n  one\n  two\n\n  three\n   four\n  five\n\n\nc: 1\n"],
    ["values without text", "a:\nb: # none\nc:   \n- x\n".slice(0, -4)],
    ["empty entries", "- \n- # none\n-\n- a\n"],
    ["comments at odd places", "# one\na: # two\n      # three\n  b: 1 # four\n # five\nc: 2\n"],
    ["carriage returns", "a:\r\n  - b\r\nc: |\r\n  d\r\n  e\r\n"],
    ["a byte order mark", "\uFEFFa: 1\n"],
    ["no line end at the end", "a:\n  b: c"],
    ["a key without a value at the end", "a:"],
    ["a dash at the end", "- a\n-"],
    ["addresses", "a: ::/0\nb: [::1, fe80::/10]\nc: 10.0.0.1:80\n"],
    ["quotes that are part of the text", "a: it's\nb: x\"y\nc: 'it''s'\n"],
    ["brackets behind the mark", "--- {a: 1}\n"],
    ["only comments", "# nothing\n\n"],
  ])("reads %s", (_name, text) => {
    expect(compare(text)).toBe(1);
  });
});
