import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SourceFile } from "./model.ts";
import { createPolicyReader, readPolicyFiles } from "./read.ts";
import { readFile } from "./read-file.ts";
import { DEFAULT_READ_LIMITS, type ReadLimits } from "./yaml/limits.ts";
import { fixtureTexts } from "./yaml/testing/texts.ts";

const NUM_RUNS = Number(process.env.WARDLINE_YAML_RUNS ?? 50);

/** Small limits, so that a few edits cross them. */
const TIGHT: Partial<ReadLimits> = {
  maxDiagnostics: 5,
  maxDocumentsPerFile: 3,
  maxFullParserTokensPerFile: 150,
  maxTotalLength: 4000,
};

const INSERTED = [
  ...["---\n", "\n---\n", "...\n", "\n", "\r\n", "# note\n", "\uFEFF", "%YAML 1.2\n", " ", "x", ": ", "&a ", '"', "\t"],
  ...["\0", "kind: Host\n", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", "---\na: &x 1\n"],
];

type Edit = (files: readonly SourceFile[]) => readonly SourceFile[];

const paths = ["a.yaml", "b.yaml", "c/d.yaml"];
const place = fc.double({ min: 0, max: 1, noNaN: true });

function changeText(path: string, change: (text: string) => string): Edit {
  return (files) => files.map((file) => (file.path === path ? { path, text: change(file.text) } : file));
}

const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(...paths), place, fc.nat({ max: 12 }), fc.constantFrom("", ...INSERTED))
      .map(([path, where, removed, inserted]) =>
        changeText(path, (text) => {
          const at = Math.floor(where * (text.length + 1));
          return text.slice(0, at) + inserted + text.slice(at + removed);
        }),
      ),
  },
  fc.constantFrom(...paths).map((path) => changeText(path, (text) => text.replaceAll(/\r?\n/g, "\r\n"))),
  fc.constantFrom(...paths).map((path) => changeText(path, (text) => `# a line more\n${text}`)),
  fc.constantFrom(...paths).map((path) => changeText(path, (text) => `${text}---\n${text}`)),
  fc.constantFrom(...paths).map((path) => changeText(path, (text) => text.replace(/\n---\n/, "\n"))),
  fc.tuple(fc.constantFrom(...paths), fc.constantFrom(...paths)).map(
    ([from, to]): Edit =>
      (files) =>
        files.some((file) => file.path === to)
          ? files
          : files.map((file) => (file.path === from ? { ...file, path: to } : file)),
  ),
  fc.constantFrom(...paths).map(
    (path): Edit =>
      (files) =>
        files.filter((file) => file.path !== path),
  ),
  fc.constant<Edit>((files) => files.toReversed()),
);

describe("a reader that keeps what has not changed", { timeout: 120_000 }, () => {
  const text = fc
    .array(fc.constantFrom(...fixtureTexts().filter((fixture) => fixture.length < 3000)), {
      minLength: 1,
      maxLength: 3,
    })
    .map((texts) => texts.join("---\n"));

  it.each([
    ["usual", {}],
    ["tight", TIGHT],
  ])("gives what a fresh reading gives after every edit, with %s limits", (_name, limits) => {
    const property = fc.property(
      fc.tuple(text, text),
      fc.array(edit, { minLength: 1, maxLength: 8 }),
      ([a, b], edits) => {
        const reader = createPolicyReader({ limits });
        let files: readonly SourceFile[] = [
          { path: "a.yaml", text: a },
          { path: "b.yaml", text: b },
        ];
        reader.read(files);
        for (const apply of edits) {
          files = apply(files);
          expect(reader.read(files)).toEqual(readPolicyFiles(files, { limits }));
        }
      },
    );
    fc.assert(property, { numRuns: NUM_RUNS });
  });

  it("gives the same once more, and does not mind files with one path", () => {
    const reader = createPolicyReader();
    const files = ["kind: a\n", "kind: b\n"].map((each) => ({ path: "same.yaml", text: each }));
    const first = readPolicyFiles(files);
    expect(reader.read(files)).toEqual(first);
    expect(reader.read(files)).toEqual(first);
  });
});

describe("readFile", () => {
  const namespace = (name: string) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`;
  const before = [namespace("a"), namespace("b"), namespace("c")].join("---\n");

  it("keeps the readings of documents that stay in their line", () => {
    const earlier = readFile({ path: "a.yaml", text: before }, DEFAULT_READ_LIMITS, null);
    const text = before.replace("name: b", "name: bb");
    const later = readFile({ path: "a.yaml", text }, DEFAULT_READ_LIMITS, earlier);
    expect(later.parts.map((part, index) => part === earlier.parts[index])).toEqual([true, false, true]);
  });

  it("reads documents again that moved, so that their places are right", () => {
    const earlier = readFile({ path: "a.yaml", text: before }, DEFAULT_READ_LIMITS, null);
    const later = readFile({ path: "a.yaml", text: `# new\n${before}` }, DEFAULT_READ_LIMITS, earlier);
    expect(later.parts.map((part) => part.documents[0]?.info.source.line)).toEqual([2, 6, 10]);
    expect(later.parts.some((part) => earlier.parts.includes(part))).toBe(false);
  });
});
