import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { readPolicyFiles } from "../read.ts";
import { fixtureTexts, grown } from "../yaml/testing/texts.ts";
import { deleteFromDocument, type EditResult, editDocument, insertIntoList } from "./edit-document.ts";
import type { ValuePath, YamlValue } from "./value.ts";

const NUM_RUNS = Number(process.env.WARDLINE_YAML_RUNS ?? 300);

const POLICY = `# Who may reach the shop.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: 'shop'   # quoted on purpose
  labels: {team: web, "stage": live}
spec:
  podSelector: {}

  ingress:
  # first the office
  - from:
      - ipBlock:
          cidr: 10.0.0.0/8   # all of it
          except: [10.1.0.0/16, 10.2.0.0/16]
    ports:
      - port: 443
      # and the old one
      - port: 8443
  - from: []   # nobody else
  policyTypes:
`;

function edited(result: EditResult): string {
  if (!result.ok) throw new Error(result.reason);
  return result.text;
}

function set(path: ValuePath, value: YamlValue, text = POLICY): string {
  return edited(editDocument({ path: "a.yaml", text }, 0, path, value));
}

function insert(path: ValuePath, index: number, value: YamlValue, text = POLICY): string {
  return edited(insertIntoList({ path: "a.yaml", text }, 0, path, index, value));
}

function remove(path: ValuePath, text = POLICY): string {
  return edited(deleteFromDocument({ path: "a.yaml", text }, 0, path));
}

describe("one change leaves the rest as it is", () => {
  it.each<[string, string, string, string]>([
    ["a plain value", set(["spec", "ingress", 0, "ports", 0, "port"], 8080), "port: 443\n", "port: 8080\n"],
    ["a quoted one", set(["metadata", "name"], "it's"), "'shop'   #", "'it''s'   #"],
    ["text that would mean something else", set(["metadata", "labels", "team"], "yes"), "team: web", 'team: "yes"'],
    ["an empty value", set(["spec", "policyTypes"], ["Ingress"]), "policyTypes:\n", "policyTypes: [Ingress]\n"],
    [
      "brackets",
      set(["spec", "podSelector"], { matchLabels: { app: "a" } }),
      "Selector: {}",
      "Selector: {matchLabels: {app: a}}",
    ],
    ["a new key", set(["metadata", "namespace"], "shop"), "live}\n", "live}\n  namespace: shop\n"],
    ["a new key in brackets", set(["metadata", "labels", "x"], 1), "live}", "live, x: 1}"],
    [
      "a new key of a list entry",
      set(["spec", "ingress", 1, "ports"], [{ port: 1 }]),
      "nobody else\n",
      "nobody else\n    ports:\n      - port: 1\n",
    ],
    [
      "an item more at the end",
      insert(["spec", "ingress", 0, "ports"], 2, { port: 1, protocol: "TCP" }),
      "8443\n",
      "8443\n      - port: 1\n        protocol: TCP\n",
    ],
    [
      "an item more at the start",
      insert(["spec", "ingress"], 0, { from: [] }),
      "  - from:\n      - ipBlock",
      "  - from: []\n  - from:\n      - ipBlock",
    ],
    [
      "an item between others",
      insert(["spec", "ingress", 0, "ports"], 1, { port: 1 }),
      "      - port: 8443",
      "      - port: 1\n      - port: 8443",
    ],
    [
      "an item in brackets",
      insert(["spec", "ingress", 0, "from", 0, "ipBlock", "except"], 1, "10.9.0.0/16"),
      "[10.1.0.0/16, ",
      "[10.1.0.0/16, 10.9.0.0/16, ",
    ],
    ["an item of an empty list", insert(["spec", "ingress", 1, "from"], 0, 1), "[]   #", "[1]   #"],
    ["an item less", remove(["spec", "ingress", 0, "ports", 1]), "      - port: 8443\n", ""],
    [
      "an item less in brackets",
      remove(["spec", "ingress", 0, "from", 0, "ipBlock", "except", 0]),
      "10.1.0.0/16, ",
      "",
    ],
    [
      "the last item in brackets",
      remove(["spec", "ingress", 0, "from", 0, "ipBlock", "except", 1]),
      ", 10.2.0.0/16",
      "",
    ],
    ["a key less", remove(["spec", "podSelector"]), "  podSelector: {}\n", ""],
    [
      "the first key of an entry",
      remove(["spec", "ingress", 0, "from", 0, "ipBlock", "cidr"]),
      "          cidr: 10.0.0.0/8   # all of it\n",
      "",
    ],
    [
      "the only item",
      remove(["spec", "ingress", 0, "from", 0]),
      POLICY.slice(POLICY.indexOf("from:") + 5, POLICY.indexOf("\n    ports")),
      " []",
    ],
  ])("%s", (_name, text, before, after) => {
    expect(text).toBe(POLICY.replace(before, () => after));
  });

  it("keeps carriage returns, and JSON stays JSON", () => {
    expect(set(["a", "c"], { d: { e: 1 } }, "a:\r\n  b: 1\r\n")).toBe(
      "a:\r\n  b: 1\r\n  c:\r\n    d:\r\n      e: 1\r\n",
    );
    const json = '{\n  "a": [\n    1\n  ],\n  "b": null\n}\n';
    expect(set(["b"], { c: "d" }, json)).toBe(json.replace("null", '{"c": "d"}'));
    expect(insert(["a"], 1, "x", json)).toBe(json.replace("1\n", '1, "x"\n'));
    expect(set(["c"], "y", json)).toBe(json.replace("null\n", 'null, "c": "y"\n'));
  });

  it("changes the document that is meant, and says where", () => {
    const text = "# one\na: 1\n---\n# two\na: 1\n";
    const result = editDocument({ path: "a.yaml", text }, 1, ["a"], 2);
    expect(result).toEqual({
      ok: true,
      edits: [{ range: { file: "a.yaml", line: 5, column: 4, endLine: 5, endColumn: 5 }, newText: "2" }],
      text: "# one\na: 1\n---\n# two\na: 2\n",
    });
  });

  it("works on a text without a line end, and on blocks of text", () => {
    expect(set(["b"], [{ c: 1 }], "a: 1")).toBe("a: 1\nb:\n  - c: 1");
    expect(set(["a"], "short", "a: |\n  one\n  two\nb: 1\n")).toBe("a: short\nb: 1\n");
  });

  it.each<[string, EditResult]>([
    ["a path that leads nowhere", editDocument({ path: "a", text: "a: 1\n" }, 0, ["b", "c"], 1)],
    ["a document that is not there", editDocument({ path: "a", text: "a: 1\n" }, 1, ["a"], 1)],
    ["a file with mistakes", editDocument({ path: "a", text: "a: [\n" }, 0, ["a"], 1)],
    ["a value that an alias shares", editDocument({ path: "a", text: "a: &x [1]\nb: *x\n" }, 0, ["a", 0], 2)],
    ["directives", editDocument({ path: "a", text: "%YAML 1.2\n---\na: 1\n" }, 0, ["a"], 1)],
    ["an item out of range", insertIntoList({ path: "a", text: "a: [1]\n" }, 0, ["a"], 3, 1)],
    ["an entry that is not there", deleteFromDocument({ path: "a", text: "a: 1\n" }, 0, ["b"])],
    ["the root", deleteFromDocument({ path: "a", text: "a: 1\n" }, 0, [])],
  ])("refuses %s", (_name, result) => {
    expect(result).toMatchObject({ ok: false, reason: expect.stringMatching(/\.$/) });
  });
});

function isFlawless(text: string): boolean {
  return readPolicyFiles([{ path: "a.yaml", text }]).diagnostics.every(({ code }) => !code.startsWith("WL1"));
}

/** The documents as another reader has them, those without a value left out. */
function valuesOf(text: string): unknown[] {
  return parseAllDocuments(text, { uniqueKeys: false, logLevel: "silent" })
    .filter((document) => document.contents !== null && document.toJS() !== null)
    .map((document) => document.toJS({ mapAsMap: false }));
}

function pathsOf(value: unknown, path: ValuePath = []): ValuePath[] {
  if (typeof value !== "object" || value === null) return [path];
  const steps = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [
    path,
    ...steps.flatMap((step) => pathsOf((value as Record<string | number, unknown>)[step], [...path, step])),
  ];
}

/** The value with one place changed by plain JavaScript. */
function changed(value: unknown, path: ValuePath, change: (holder: never, step: never) => void): unknown {
  const copy = structuredClone(value);
  let holder = copy as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) holder = holder[step] as Record<string | number, unknown>;
  change(holder as never, path.at(-1) as never);
  return copy;
}

const newValue: fc.Arbitrary<YamlValue> = fc.letrec<{ value: YamlValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom<YamlValue>(
      "web",
      "yes",
      "10.0.0.0/8",
      "::/0",
      "a: b",
      " x",
      "#",
      "- a",
      "12",
      "",
      "1:2",
      null,
      true,
      80,
      1.5,
    ),
    fc.string({ unit: "grapheme", maxLength: 6 }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "app", "x y", "no"), tie("value"), { maxKeys: 3 }),
  ),
})).value;

describe("any change of any value", { timeout: 120_000 }, () => {
  const texts = fc.oneof(fc.constantFrom(...fixtureTexts().filter((text) => text.length < 4000)), grown);

  it("reads as the old value with that change, and every other byte is as it was", () => {
    let made = 0;
    let refused = 0;
    const property = fc.property(
      texts,
      fc.nat(),
      fc.nat(),
      newValue,
      fc.constantFrom("set", "insert", "delete"),
      (text, a, b, value, kind) => {
        const documents = valuesOf(text);
        fc.pre(documents.length > 0 && isFlawless(text));
        const index = a % documents.length;
        const paths = pathsOf(documents[index]).filter((path) => path.length > 0);
        fc.pre(paths.length > 0);
        const path = paths[b % paths.length]!;
        const file = { path: "a.yaml", text };
        const last = path.at(-1)!;
        if (kind === "insert" && typeof last !== "number") return;
        const result =
          kind === "set"
            ? editDocument(file, index, path, value)
            : kind === "delete"
              ? deleteFromDocument(file, index, path)
              : insertIntoList(file, index, path.slice(0, -1), last as number, value);
        if (!result.ok) {
          refused += 1;
          return;
        }
        made += 1;
        const expected = documents.with(
          index,
          changed(documents[index], path, (holder: never, step: never) => {
            const target = holder as Record<string | number, unknown>;
            if (kind === "set") target[step] = value;
            else if (!Array.isArray(target)) delete target[step];
            else if (kind === "insert") target.splice(step, 0, value);
            else target.splice(step, 1);
          }),
        );
        expect(valuesOf(result.text)).toEqual(expected);
        expect(result.edits).toHaveLength(1);
        expect(bytesOutside(text, result)).toBe(true);
      },
    );
    fc.assert(property, { numRuns: NUM_RUNS });
    expect(refused).toBeLessThan(made / 50);
  });
});

/** The edit that the range describes, made by hand, gives the text. */
function bytesOutside(text: string, result: EditResult & { ok: true }): boolean {
  const { range, newText } = result.edits[0]!;
  const lines = text.split("\n");
  const offset = (line: number, column: number) =>
    lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
  const start = offset(range.line, range.column);
  const end = offset(range.endLine, range.endColumn);
  return result.text === text.slice(0, start) + newText + text.slice(end);
}
