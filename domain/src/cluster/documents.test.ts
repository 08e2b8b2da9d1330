import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPolicyFiles } from "../policy/index.ts";
import {
  documentPath,
  isDocumentKey,
  joinDocuments,
  keyOfPath,
  readClusterDocument,
  readClusterDocuments,
  toSourceFiles,
} from "./documents.ts";

const SPECS: readonly (readonly [key: string, head: string, spec: string])[] = [
  ["networkpolicy/default/NAME", "networking.k8s.io/v1\nkind: NetworkPolicy", "spec: {podSelector: {}}"],
  ["networkpolicy/shop/NAME", "networking.k8s.io/v1\nkind: NetworkPolicy", "spec: {podSelector: {}}"],
  ["host/-/NAME", "wardline.io/v1\nkind: Host", "spec: {addresses: [10.0.0.1]}"],
  ["workload/shop/NAME", "wardline.io/v1\nkind: Workload", "spec: {host: a, match: {systemdUnit: db.service}}"],
  ["namespace/-/NAME", "v1\nkind: Namespace", ""],
  [
    "policy/default/NAME",
    "wardline.io/v1\nkind: Policy",
    "spec: {subject: {selector: {}}, ingress: [{from: [{selector: {}}]}]}",
  ],
];

function textOf(kind: number, name: string, lineBreak: string): { key: string; text: string } {
  const [key = "", head = "", spec = ""] = SPECS[kind] ?? [];
  const namespace = key.includes("/shop/") ? ", namespace: shop" : "";
  const lines = [`apiVersion: ${head}`, `metadata: {name: ${name}${namespace}}`, spec, ""];
  return { key: key.replace("NAME", name), text: lines.join("\n").replaceAll("\n", lineBreak) };
}

const COMMENTS = ["", "# who may reach the shop\n", "\n\n", "  # indented, ünïcödé — and long\n\n# two\n"];

/** A file of documents with comments before, between and after them, and what it should be cut into. */
const files = fc
  .record({
    lineBreak: fc.constantFrom("\n", "\r\n"),
    marker: fc.constantFrom("---", "--- ", "--- # next"),
    startsWithMarker: fc.boolean(),
    parts: fc.array(
      fc.record({
        kind: fc.nat(SPECS.length - 1),
        before: fc.constantFrom(...COMMENTS),
        isCommentAlone: fc.boolean(),
        after: fc.constantFrom(...COMMENTS),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    end: fc.constantFrom("", "---\n", "---\n# the end\n"),
    endsInLine: fc.boolean(),
  })
  .map(({ lineBreak, marker, startsWithMarker, parts, end, endsInLine }) => {
    const keys: string[] = [];
    const texts = parts.map(({ kind, before, isCommentAlone, after }, index) => {
      const document = textOf(kind, `n${index}`, "\n");
      keys.push(document.key);
      return `${before}${isCommentAlone && before.startsWith("#") ? `${marker}\n` : ""}${document.text}${after}`;
    });
    const whole = `${startsWithMarker ? `${marker}\n` : ""}${texts.join(`${marker}\n`)}${end}`;
    const text = endsInLine ? whole.trimEnd() : whole;
    return { keys, text: text.replaceAll("\n", lineBreak) };
  });

describe("readClusterDocuments", () => {
  it("cuts a file into documents that make the file again, each readable alone under its key", () => {
    fc.assert(
      fc.property(files, ({ keys, text }) => {
        const { documents, ok } = readClusterDocuments({ path: "all.yaml", text });
        expect(ok).toBe(true);
        expect(documents.map(({ key }) => key)).toEqual(keys);
        expect(joinDocuments(documents)).toBe(text);
        for (const { key, text: own, firstLine } of documents) {
          expect(readClusterDocument(own, "one.yaml")).toMatchObject({ key, documentCount: 1 });
          expect(isDocumentKey(key)).toBe(true);
          const offset =
            text
              .split("\n")
              .slice(0, firstLine - 1)
              .join("\n").length + (firstLine > 1 ? 1 : 0);
          expect(text.startsWith(own, offset)).toBe(true);
        }
      }),
      { numRuns: 300, seed: 5 },
    );
  });

  it("gives the engine the same documents as the file does", () => {
    fc.assert(
      fc.property(files, ({ text }) => {
        const whole = readPolicyFiles([{ path: "all.yaml", text }]);
        const { documents } = readClusterDocuments({ path: "all.yaml", text });
        const parts = readPolicyFiles(toSourceFiles(documents));
        const keysOf = ({ documents: infos }: typeof whole) => infos.map(({ key }) => key).sort();
        expect(keysOf(parts)).toEqual(keysOf(whole));
      }),
      { numRuns: 100, seed: 6 },
    );
  });

  it("never throws and never loses text, whatever it is given", () => {
    const pieces = fc.constantFrom(
      "---",
      "\n",
      "...",
      "%YAML 1.2",
      "a: b",
      "kind: List",
      "- x",
      " ",
      "# c",
      "\r\n",
      "{",
      "\uFEFF",
      "&a",
      "*a",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
        const text = parts.join("");
        const { documents, ok } = readClusterDocuments({ path: "x.yaml", text });
        if (ok && documents.length > 0) expect(joinDocuments(documents)).toBe(text);
      }),
      { numRuns: 1_000, seed: 7 },
    );
  });

  const codesOf = (text: string) => readClusterDocuments({ path: "x.yaml", text }).diagnostics.map(({ code }) => code);
  const { text: web } = textOf(0, "web", "\n");

  it("refuses what has no key of its own: lists, documents without a name, two of one name", () => {
    const list = "apiVersion: v1\nkind: List\nitems: []\n";
    expect(codesOf(list)).toEqual(["WL213"]);
    expect(codesOf("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems: []\n")).toEqual(["WL213"]);
    expect(codesOf("apiVersion: v1\nkind: Namespace\nmetadata: {}\n")).toEqual(["WL202"]);
    expect(codesOf(`${web}---\n${web}`)).toEqual(["WL303"]);
    const host = textOf(2, "a", "\n").text;
    const namespace = textOf(4, "a", "\n").text;
    expect(codesOf(`${host}---\n${namespace}---\n${host}---\n${namespace}`)).toEqual(["WL304", "WL305"]);
    expect(codesOf("# nothing\n")).toEqual(["WL319"]);
    expect(codesOf(`%YAML 1.2\n---\n${web}`)).toEqual([]);
    expect(codesOf(`%YAML 1.2\n---\n${web}...\n---\n${textOf(0, "api", "\n").text}`)).toEqual(["WL112"]);
  });

  it("names the line of the second of two documents", () => {
    const [twice] = readClusterDocuments({ path: "x.yaml", text: `${web}---\n${web}` }).diagnostics;
    expect(twice?.message).toBe(
      "networkpolicy/default/web is already defined in line 1; one of the two would be lost.",
    );
    expect(twice?.source).toMatchObject({ file: "x.yaml", line: 8 });
  });

  it("keeps what is right beside what is wrong", () => {
    const { documents, ok } = readClusterDocuments({ path: "x.yaml", text: `${web}---\n: : :\n---\nkind: Nothing\n` });
    expect(ok).toBe(false);
    expect(documents.map(({ key }) => key)).toEqual(["networkpolicy/default/web"]);
  });

  it("takes a text for one document only when it is exactly one", () => {
    expect(readClusterDocument(`${web}---\n${textOf(0, "api", "\n").text}`, "x").key).toBeNull();
    expect(readClusterDocument("", "x").key).toBeNull();
    expect(readClusterDocument(web, "x").key).toBe("networkpolicy/default/web");
  });
});

describe("keys", () => {
  it("lead to a file name and back", () => {
    expect(documentPath("policy/default/web")).toBe("cluster/policy/default/web.yaml");
    expect(keyOfPath("cluster/policy/default/web.yaml")).toBe("policy/default/web");
    expect(keyOfPath("policies/web.yaml")).toBeNull();
  });

  it("are told from everything else", () => {
    for (const text of [
      "policy/default",
      "Policy/default/web",
      "policy/default/web/x",
      "policy//web",
      "policy/../web",
      "",
      "a/-/b\n",
    ])
      expect(isDocumentKey(text)).toBe(false);
    for (const text of ["host/-/web-1", "policy/default/web.example.com"]) expect(isDocumentKey(text)).toBe(true);
  });
});
