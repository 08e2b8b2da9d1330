/** YAML for property tests: the manifests of the repository, changed at random, and texts put together from pieces. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";

const ROOT = new URL("../../../../../", import.meta.url);
const FOLDERS = ["e2e/fixtures/ztap/", "e2e/fixtures/recipes/", "assets/samples/", "e2e/conformance/fixtures/"];

/** Every YAML file of the repository's fixtures and samples. */
export function fixtureTexts(): readonly string[] {
  return FOLDERS.map((folder) => new URL(folder, ROOT))
    .filter((directory) => existsSync(directory))
    .flatMap((directory) =>
      readdirSync(directory)
        .filter((name) => /\.(ya?ml|json)$/.test(name))
        .map((name) => readFileSync(new URL(name, directory), "utf8")),
    );
}

/** Pieces that change how what stands around them is read. */
const DISTURBANCES = [
  ...["\t", " ", "  ", "\n", "\r\n", "\n\n", "\n  \n", ":", ": ", "- ", "-", ", ", ",", "#", " #", '"', "'", "[", "]"],
  ...[
    "{",
    "}",
    "|",
    "|-\n",
    "|2\n",
    ">\n",
    ">-",
    ">+\n",
    "&a ",
    "*a",
    "!t ",
    "? ",
    "a: b\n",
    "\\",
    "\\u0041",
    "%",
    "@",
  ],
  ...["`", "---\n", "--- ", "...\n", "%YAML 1.2\n", "<<: 1\n", "null", "~", "0x1F", "1e3", "012", ".inf", "0o7", "-0"],
];

/** A text with one to four places changed: something put in, something taken out, or both. */
export function disturbed(texts: readonly string[]): fc.Arbitrary<string> {
  const change = fc.record({
    place: fc.double({ min: 0, max: 1, noNaN: true }),
    removed: fc.oneof(fc.constant(0), fc.nat({ max: 10 })),
    inserted: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...DISTURBANCES) }, fc.constant("")),
  });
  return fc
    .tuple(fc.constantFrom(...texts), fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([text, changes, usesCarriageReturns]) =>
      changes.reduce(
        (current, { place, removed, inserted }) => {
          const at = Math.floor(place * current.length);
          return current.slice(0, at) + inserted + current.slice(at + removed);
        },
        usesCarriageReturns ? text.replaceAll("\n", "\r\n") : text,
      ),
    );
}

const PIECES = [
  ...[
    "a",
    "b",
    "key",
    "x y",
    "1",
    "null",
    "::/0",
    "- ",
    "- ",
    "-",
    ": ",
    ": ",
    ":",
    ":\n",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
  ],
  ...["  ", " ", "[", "]", "{", "}", ",", ", ", '"q"', "'s'", "# c", "\n# c\n", " # c\n", "|\n", "|-\n", ">\n", ">-\n"],
  ...["\n\n", "\r\n", "a: b\n", "- a\n", "a:\n", "  - b\n", "---\n", "   \n", "\t"],
];

/** Texts from pieces, mostly nonsense: what is accepted must be accepted for the right reason. */
export const pieced: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 16 })
  .map((pieces) => pieces.join(""));

const plain = fc.constantFrom(
  ...["web", "10.0.0.0/8", "::/0", "a b", "it's", "80", "-1", "+5", "0x1F", "0o17", "012", "1e3", "1.", ".5", ".inf"],
  ...[
    "-.INF",
    ".nan",
    "true",
    "False",
    "no",
    "~",
    "null",
    "Null",
    "-x",
    "a#b",
    "a:b",
    "2001:db8::1",
    "2024-01-01",
    "=",
    "é",
  ],
);
const quoted = fc
  .string({ unit: "grapheme-ascii", maxLength: 8 })
  .map((text) => (text.length % 2 === 0 ? JSON.stringify(text) : `'${text.replaceAll("'", "''")}'`));
const scalar = fc.oneof({ weight: 4, arbitrary: plain }, quoted);
const key = fc.oneof(fc.constantFrom("a", "b", "c", "name", "x-y", "a b", "1", "kubernetes.io/name", "-k"), quoted);
const comment = fc.constantFrom("", "", "", " # why", "   #");
const between = fc.constantFrom("", "", "", "\n", "# note\n", "      # far\n", "  \n");

const flow: fc.Memo<string> = fc.memo((depth) => {
  if (depth <= 1) return fc.constantFrom("{}", "[]", "[ ]", "[a, 1]", "{a: b}", '{"a":1}');
  const value = fc.oneof(
    scalar.filter((text) => !/[,[\]{}]/.test(text)),
    flow(depth - 1),
  );
  const gap = fc.constantFrom("", " ", " ", "\n        ", " # c\n        ");
  return fc.oneof(
    fc.tuple(fc.array(value, { maxLength: 3 }), gap).map(([items, space]) => `[${items.join(`,${space}`)}${space}]`),
    fc
      .tuple(fc.array(fc.tuple(key, value), { maxLength: 3 }), gap)
      .map(([pairs, space]) => `{${pairs.map(([name, text]) => `${name}: ${text}`).join(`,${space}`)}${space}}`),
  );
});

const textBlock = fc
  .tuple(
    fc.constantFrom("|", "|-", ">", ">-"),
    fc.array(fc.constantFrom("one", "two words", "", "  deeper", "# no comment", "a: b", "- c"), { maxLength: 4 }),
  )
  .map(([header, lines]) => ({ header, lines: ["first", ...lines] }));

/** The lines of a block mapping or list, without the indentation of the whole. */
const block: fc.Memo<string> = fc.memo((depth) => {
  const inline = fc
    .tuple(fc.oneof(scalar, flow(2), fc.constant("")), comment)
    .map(([text, note]) => ` ${text}${note}\n`);
  const nested =
    depth <= 1
      ? inline
      : fc.oneof(
          inline,
          fc
            .tuple(comment, between, fc.constantFrom("  ", "    ", " "), block(depth - 1))
            .map(([note, gap, indent, body]) => `${note}\n${gap}${indented(body, indent)}`),
          textBlock.map(({ header, lines }) => ` ${header}\n${indented(`${lines.join("\n")}\n`, "  ")}`),
        );
  const map = fc
    .uniqueArray(fc.tuple(key, nested, between), { minLength: 1, maxLength: 4, selector: ([name]) => name })
    .map((entries) => entries.map(([name, value, gap]) => `${name}:${value}${gap}`).join(""));
  const item =
    depth <= 1
      ? inline
      : fc.oneof(
          inline,
          nested,
          block(depth - 1).map((body) => ` ${hanging(body)}`),
        );
  const list = fc
    .array(fc.tuple(item, between), { minLength: 1, maxLength: 3 })
    .map((items) => items.map(([value, gap]) => `-${value}${gap}`).join(""));
  return fc.oneof({ weight: 2, arbitrary: map }, list);
});

function indented(body: string, indent: string): string {
  return body.replace(/^(?=[^\n])/gm, indent);
}

/** A block whose first line stands behind a dash. */
function hanging(body: string): string {
  return indented(body, "  ").slice(2);
}

/** Documents by the grammar: what people write, with every kind of value, comments and empty lines. */
export const grown: fc.Arbitrary<string> = fc
  .tuple(fc.array(block(4), { minLength: 1, maxLength: 3 }), fc.boolean(), fc.boolean())
  .map(([documents, usesCarriageReturns, startsWithMarker]) => {
    const text = (startsWithMarker ? "---\n" : "") + documents.join("---\n");
    return usesCarriageReturns ? text.replaceAll("\n", "\r\n") : text;
  });

/** As reading file by file has replaced it before anything is parsed. */
export function cleaned(text: string): string {
  return text.replace(/(?<!^)\uFEFF|\r(?!\n)/g, "\uFFFD");
}
