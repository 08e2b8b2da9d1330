import { describe, expect, it } from "vitest";
import { DOCUMENT_READERS } from "../formats/registry.ts";
import type { ObjectShape, Shape } from "../formats/schema/shape.ts";
import { readPolicyFiles } from "../read.ts";
import { complete } from "./complete.ts";
import { NO_FACTS } from "./facts.ts";
import type { Step } from "./place.ts";
import { documentFields } from "./shapes.ts";
import { plainSnippet, SNIPPETS } from "./snippets.ts";
import { collectVocabulary } from "./vocabulary.ts";

const EMPTY = collectVocabulary(readPolicyFiles([]), NO_FACTS);
const UNKNOWN = new Set(["WL201", "WL223", "WL228", "WL250"]);

interface ObjectPlace {
  readonly path: readonly Step[];
  readonly shape: ObjectShape;
}

/** Every mapping of a kind, by the way to it. */
function objectPlaces(shape: Shape, path: readonly Step[]): readonly ObjectPlace[] {
  switch (shape.type) {
    case "object":
      return [
        { path, shape },
        ...Object.entries(shape.fields).flatMap(([name, field]) => objectPlaces(field.shape, [...path, name])),
      ];
    case "list":
      return objectPlaces(shape.items, [...path, 0]);
    case "either":
      return shape.options.flatMap((option) => objectPlaces(option, path));
    default:
      return [];
  }
}

interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
}

function placesOf({ apiVersion, kind }: Kind): readonly ObjectPlace[] {
  return Object.entries(documentFields(apiVersion, kind)).flatMap(([name, field]) => objectPlaces(field.shape, [name]));
}

/** What a reader refuses before it looks at the other keys. */
const ENDS_READING = new Set(["domainNames", "toFQDNs"]);
const ALL_NAMES = [
  ...new Set(DOCUMENT_READERS.flatMap((kind) => placesOf(kind).flatMap(({ shape }) => Object.keys(shape.fields)))),
];

function shapeAt(kind: Kind, path: readonly Step[]): ObjectShape | null {
  const wanted = JSON.stringify(path);
  return placesOf(kind).find((place) => JSON.stringify(place.path) === wanted)?.shape ?? null;
}

function someValue(shape: Shape): string {
  if (shape.type === "object" || shape.type === "map") return "{}";
  if (shape.type === "choice") return shape.words[0] ?? "x";
  return shape.type === "list" ? "[]" : shape.type === "integer" ? String(shape.minimum) : "x";
}

/** A document in block style with these keys at the end of a path; the cursor's place is returned as well. */
function documentWith(kind: Kind, path: readonly Step[], keys: readonly string[]): string {
  const lines = [`apiVersion: ${kind.apiVersion}`, `kind: ${kind.kind}`];
  if (path[0] !== "metadata") lines.push("metadata:", "  name: default");
  let indent = "";
  let pending = "";
  path.forEach((step, depth) => {
    if (typeof step === "number") {
      pending += "- ";
      return;
    }
    const owner = shapeAt(kind, path.slice(0, depth));
    // Without what is required beside it, some readers do not come so far.
    for (const [name, { required, shape }] of Object.entries(owner?.fields ?? {})) {
      if (name === step || !(required || (name === "endpointSelector" && step !== "nodeSelector"))) continue;
      lines.push(`${indent}${pending}${name}: ${someValue(shape)}`);
      pending = " ".repeat(pending.length);
    }
    if (step === "icmp") lines.push(`${indent}${pending}protocol: ICMP`);
    lines.push(`${indent}${pending}${step}:`);
    indent += " ".repeat(pending.length + 2);
    pending = "";
  });
  keys.forEach((key, index) => {
    lines.push(`${indent}${index === 0 ? pending : " ".repeat(pending.length)}${key}: x`);
  });
  if (keys.length === 0) lines.push(`${indent}${pending}`);
  return lines.join("\n");
}

function offeredKeys(text: string): readonly string[] {
  const items = complete(text, text.length, EMPTY)?.items ?? [];
  return items.filter(({ kind }) => kind === "key").map(({ label }) => label);
}

/** Of the keys of the last lines, those that the reader does not know there. */
function refusedKeys(text: string, keyCount: number): readonly string[] {
  const lines = text.split("\n");
  const firstLine = lines.length - keyCount + 1;
  return readPolicyFiles([{ path: "a.yaml", text }], { limits: { maxDiagnostics: 5_000 } })
    .diagnostics.filter(({ code, source }) => UNKNOWN.has(code) && source.line >= firstLine)
    .map(({ source }) =>
      (lines[source.line - 1] ?? "")
        .trim()
        .replace(/^(- )+/, "")
        .slice(0, -": x".length),
    );
}

describe("completion and the readers", () => {
  const kinds = DOCUMENT_READERS.map(
    ({ apiVersion, kind }) => [`${apiVersion} ${kind}`, { apiVersion, kind }] as const,
  );

  it.each(kinds)("know the same keys everywhere in %s", (_name, kind) => {
    const isChecked = kind.kind !== "Pod" && kind.kind !== "Node";
    for (const { path, shape } of placesOf(kind)) {
      const where = path.join(".");
      const offered = offeredKeys(documentWith(kind, path, []));
      const { ignored } = shape.known;
      const candidates = [...new Set([...ALL_NAMES, ...offered])].filter((name) => !ignored.includes(name));
      const refused = new Set(
        [candidates.filter((name) => !ENDS_READING.has(name)), ...[...ENDS_READING].map((name) => [name])].flatMap(
          (names) => refusedKeys(documentWith(kind, path, names), names.length),
        ),
      );
      const accepted = candidates.filter((name) => !refused.has(name));
      // Pods and nodes are the API server's documents: any field of theirs is accepted.
      const isOpen = !isChecked && path[0] !== "metadata";
      if (isOpen) expect(Object.keys(shape.fields), where).toEqual(expect.arrayContaining([...offered]));
      else expect([...offered].sort(), where).toEqual([...accepted].sort());
    }
  });

  it("have a whole document for every kind, that is read without an error", () => {
    expect(new Set(SNIPPETS.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`))).toEqual(
      new Set(DOCUMENT_READERS.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)),
    );
    for (const { apiVersion, kind, text } of SNIPPETS) {
      const { diagnostics, documents } = readPolicyFiles([{ path: "a.yaml", text: plainSnippet(text) }]);
      const errors = diagnostics.filter(({ severity, code }) => severity === "error" && code !== "WL309");
      expect(errors, `${apiVersion} ${kind}`).toEqual([]);
      expect(documents, kind).not.toEqual([]);
    }
  });
});
