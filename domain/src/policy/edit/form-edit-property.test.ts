/** Whatever the text and the change: it says just that change, and nothing else in the file is touched. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { splitDocuments } from "../yaml/split.ts";
import { disturbed, fixtureTexts, grown } from "../yaml/testing/texts.ts";
import { commentsOf } from "./comments.ts";
import { editForm } from "./form-edit.ts";
import type { FormEdit } from "./form-edits.ts";
import { readFormFile, spanAt } from "./form-file.ts";
import { applySpanEdits } from "./lines.ts";
import type { ValuePath, YamlValue } from "./value.ts";

const NUM_RUNS = Number(process.env.WARDLINE_YAML_RUNS ?? 150);
const FIXTURES = fixtureTexts().filter((text) => text.length < 4000);

type Plain = null | string | number | boolean | Plain[] | { [key: string]: Plain };

/** The value of one piece of a file as another reader has it. */
function plainOf(text: string): Plain {
  return parseAllDocuments(text, { uniqueKeys: false, logLevel: "silent" })[0]?.toJS() ?? null;
}

function pathsOf(value: Plain, path: ValuePath = []): ValuePath[] {
  if (typeof value !== "object" || value === null) return [path];
  const steps = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [path, ...steps.flatMap((step) => pathsOf((value as Record<string, Plain>)[step]!, [...path, step]))];
}

/** The change made to plain values, without any text; `undefined` when there is nothing to change. */
function modelEdit(value: Plain, edit: FormEdit): Plain | undefined {
  if (!("path" in edit)) return undefined;
  const copy = { root: structuredClone(value) };
  let holder = copy as Record<string | number, Plain>;
  let last: string | number = "root";
  for (const step of edit.path) {
    holder = holder[last] as Record<string | number, Plain>;
    last = step;
  }
  const target = holder[last] as Plain[] & Record<string, Plain>;
  if (edit.kind === "set") holder[last] = edit.value as Plain;
  else if (edit.kind === "unset") delete holder[last];
  else if (edit.kind === "insert") target.splice(edit.index, 0, edit.value as Plain);
  else if (edit.kind === "remove" || edit.kind === "disable") target.splice(edit.index, 1);
  else if (edit.kind === "duplicate") target.splice(edit.index, 0, structuredClone(target[edit.index]!));
  else if (edit.kind === "move") target.splice(edit.to, 0, ...target.splice(edit.index, 1));
  else if (edit.kind === "rename") {
    const renamed = Object.entries(target).map(([key, item]) => [key === edit.key ? edit.newKey : key, item]);
    holder[last] = Object.fromEntries(renamed) as Plain;
  } else return undefined;
  return copy.root;
}

const newValue = fc.constantFrom<YamlValue>(
  ...["web", "yes", "10.0.0.0/8", "::/0", "a: b", " x", "#", "- a", "12", "", "1:2", "é", "\u202E", "x\ny"],
  ...[null, true, 80, -1.5, [], {}, ["a", "b"], [{ port: 1 }], { app: "web", deep: { a: [1, { b: 2 }] } }],
);

interface Seeds {
  readonly part: number;
  readonly path: number;
  readonly a: number;
  readonly b: number;
  readonly value: YamlValue;
  readonly kind: number;
}
const seeds: fc.Arbitrary<Seeds> = fc.record({
  part: fc.nat(),
  path: fc.nat(),
  a: fc.nat(),
  b: fc.nat(),
  value: newValue,
  kind: fc.nat(),
});

/** A change that fits somewhere in the text. */
function someEdit(text: string, { part: partSeed, path: pathSeed, a, b, value, kind }: Seeds): FormEdit | null {
  const parts = readFormFile(text).parts.filter((part) => part.state === "document");
  const part = parts[partSeed % Math.max(1, parts.length)];
  if (!part) return null;
  const paths = pathsOf(plainOf(part.text));
  const path = paths[pathSeed % paths.length]!;
  const at = path.reduce<Plain>((held, step) => (held as Record<string, Plain>)[step]!, plainOf(part.text));
  const place = { part: part.index, path };
  if (Array.isArray(at)) {
    const index = a % Math.max(1, at.length);
    const edits: FormEdit[] = [
      { kind: "insert", ...place, index: a % (at.length + 1), value },
      { kind: "remove", ...place, index },
      { kind: "duplicate", ...place, index },
      { kind: "move", ...place, index, to: b % Math.max(1, at.length) },
      { kind: "disable", ...place, index },
    ];
    return at.length === 0 ? edits[0]! : edits[kind % edits.length]!;
  }
  if (at !== null && typeof at === "object") {
    const keys = Object.keys(at);
    const key = keys[a % Math.max(1, keys.length)];
    const added: FormEdit = {
      kind: "set",
      ...place,
      path: [...path, "new key"],
      value,
      order: [...keys, "new key"].sort(),
    };
    if (key === undefined) return added;
    const edits: FormEdit[] = [
      added,
      { kind: "rename", ...place, key, newKey: "renamed" },
      { kind: "unset", ...place, path: [...path, key] },
    ];
    return edits[kind % edits.length]!;
  }
  return { kind: "set", ...place, value };
}

/** What takes the change back, where that is promised to give the same bytes. */
function inverseOf(text: string, edit: FormEdit): FormEdit | null {
  if (!("path" in edit)) return null;
  const { part, path } = edit;
  const parts = readFormFile(text).parts;
  const found = parts[part];
  const span = found?.root && spanAt(found.root, path);
  const isBlock = span && found.text[span.start] === "-";
  switch (edit.kind) {
    case "move":
      return { kind: "move", part, path, index: edit.to, to: edit.index };
    case "duplicate":
      return isBlock ? { kind: "remove", part, path, index: edit.index + 1 } : null;
    case "insert":
      return isBlock ? { kind: "remove", part, path, index: edit.index } : null;
    case "rename":
      // A key in quotes that it does not need comes back without them.
      return /^[A-Za-z][\w./-]+$/.test(edit.key) && !/["']/.test(found?.text ?? '"')
        ? { kind: "rename", part, path, key: edit.newKey, newKey: edit.key }
        : null;
    default:
      return null;
  }
}

describe("any change of a form", { timeout: 120_000 }, () => {
  const texts = fc.oneof(fc.constantFrom(...FIXTURES), grown);

  it("says the old value with just that change; other documents, comments and lines stay", () => {
    let made = 0;
    let refused = 0;
    const property = fc.property(texts, seeds, (text, seed) => {
      const edit = someEdit(text, seed);
      if (!edit || !("path" in edit)) return;
      const before = splitDocuments(text)!;
      const expected = modelEdit(plainOf(before[edit.part]!.text), edit);
      const result = editForm(text, edit);
      if (!result.ok) {
        expect(result.reason).toMatch(/\.$/);
        refused += 1;
        return;
      }
      made += 1;
      const after = splitDocuments(result.text)!;
      expect(after).toHaveLength(before.length);
      for (const part of before.keys()) {
        if (part !== edit.part) expect(after[part]!.text).toBe(before[part]!.text);
      }
      expect(plainOf(after[edit.part]!.text)).toEqual(expected);
      expect(applySpanEdits(text, result.spans)).toBe(result.text);
      const mayDrop = edit.kind === "unset" || edit.kind === "remove";
      if (!mayDrop) {
        const kept = commentsOf(result.text).join("\n").replaceAll("#off ", "");
        for (const comment of commentsOf(text)) expect(kept).toContain(comment);
      }
      const inverse = inverseOf(text, edit);
      const back = inverse && editForm(result.text, inverse);
      if (back) expect(back).toMatchObject({ ok: true, text });
    });
    fc.assert(property, { numRuns: NUM_RUNS });
    expect(refused).toBeLessThan(made / 4);
  });

  it("switches rules and documents off and on again without a trace", () => {
    let made = 0;
    const property = fc.property(texts, seeds, fc.boolean(), (text, seed, isOfDocument) => {
      const found = someEdit(text, { ...seed, kind: 4 });
      if (!found || !("path" in found) || (!isOfDocument && found.kind !== "disable")) return;
      const { part, path } = found;
      const edit: FormEdit = isOfDocument ? { kind: "disable-document", part } : found;
      const off = editForm(text, edit);
      if (!off.ok) return;
      made += 1;
      if (isOfDocument) expect(readFormFile(off.text).parts[part]!.state).toBe("off");
      const index = text.includes("#off ") ? 99 : 0;
      const on: FormEdit = isOfDocument ? { kind: "enable-document", part } : { kind: "enable", part, path, index };
      expect(editForm(off.text, on)).toMatchObject({ ok: true, text });
    });
    fc.assert(property, { numRuns: NUM_RUNS });
    expect(made).toBeGreaterThan(NUM_RUNS / 10);
  });

  it("adds, copies and removes documents, and every other byte stays", () => {
    const property = fc.property(texts, seeds, (text, seed) => {
      const parts = readFormFile(text).parts;
      const part = seed.part % parts.length;
      const isClosed = text.endsWith("\n");
      const added = editForm(text, { kind: "add-document", after: part, text: "kind: New\n" });
      if (isClosed || part < parts.length - 1) {
        expect(added).toMatchObject({ ok: true });
        expect(editForm(added.ok ? added.text : "", { kind: "remove-document", part: part + 1 })).toMatchObject({
          text,
        });
      }
      const removed = editForm(text, { kind: "remove-document", part });
      const { offset, text: gone } = parts[part]!;
      expect(removed).toMatchObject({ text: text.slice(0, offset) + text.slice(offset + gone.length) });
    });
    fc.assert(property, { numRuns: NUM_RUNS });
  });

  it("loses nothing of half-typed text: what it cannot prove it refuses, and it never throws", () => {
    const property = fc.property(disturbed(FIXTURES), seeds, (text, seed) => {
      const file = readFormFile(text);
      for (const part of file.parts) {
        if (part.state !== "broken") continue;
        expect(part.mistake!.message).not.toBe("");
        const edit: FormEdit = { kind: "set", part: part.index, path: ["metadata", "name"], value: "x" };
        expect(editForm(text, edit)).toMatchObject({ ok: false });
      }
      const edit = someEdit(text, seed);
      const result = edit && editForm(text, edit);
      if (!edit || !result?.ok || !("path" in edit)) return;
      const after = splitDocuments(result.text)!;
      expect(plainOf(after[edit.part]!.text)).toEqual(modelEdit(plainOf(splitDocuments(text)![edit.part]!.text), edit));
    });
    fc.assert(property, { numRuns: NUM_RUNS });
  });
});
