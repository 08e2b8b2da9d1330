import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readClusterDocuments } from "./documents.ts";
import type { MergeResult } from "./merge.ts";
import { mergeFile } from "./merge-file.ts";

const PATH = "policies/web.yaml";

function policy(name: string, port: number, comment = ""): string {
  const lines = [
    ...(comment === "" ? [] : [comment]),
    "apiVersion: wardline.io/v1",
    "kind: Policy",
    `metadata: {name: ${name}}`,
    "spec:",
    `  subject: {selector: {matchLabels: {app: ${name}}}}`,
    "  ingress:",
    `    - {from: [{selector: {}}], ports: [{port: ${port}}]}`,
  ];
  return `${lines.join("\n")}\n`;
}

interface Doc {
  readonly name: string;
  readonly port: number;
  readonly comment: string;
}

const file = (docs: readonly Doc[]) => docs.map(({ name, port, comment }) => policy(name, port, comment)).join("---\n");

const documents: fc.Arbitrary<readonly Doc[]> = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom("a", "b", "c", "d", "e"),
      port: fc.integer({ min: 1, max: 3 }),
      comment: fc.constantFrom("", "# why"),
    }),
    { selector: ({ name }) => name, maxLength: 5 },
  )
  .map((docs) => [...docs].sort((one, other) => (one.name < other.name ? -1 : 1)));

const summary = (result: MergeResult) =>
  result.kind === "merged"
    ? { text: result.text }
    : {
        reason: result.reason,
        conflicts: result.regions.flatMap((region) =>
          region.kind === "conflict" ? [[region.base, ...[region.ours, region.theirs].sort()]] : [],
        ),
      };

const portOf = (docs: readonly Doc[], name: string) => docs.find((doc) => doc.name === name)?.port;

describe("mergeFile", { timeout: 120_000 }, () => {
  it("says the same with the sides exchanged", () => {
    fc.assert(
      fc.property(documents, documents, documents, (base, ours, theirs) => {
        const one = summary(mergeFile(PATH, file(base), file(ours), file(theirs)));
        const other = summary(mergeFile(PATH, file(base), file(theirs), file(ours)));
        if (JSON.stringify(one) !== JSON.stringify(other)) expect(one).toEqual(other);
      }),
      { numRuns: 400 },
    );
  });

  it("does not take a line of one document for the same line of another", () => {
    const one = (name: string, port: number, comment = "") => ({ name, port, comment });
    const base = file([one("d", 2)]);
    const ours = file([one("d", 1, "# why"), one("e", 2)]);
    const theirs = file([one("d", 1)]);
    for (const [mine, other] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      expect(mergeFile(PATH, base, mine, other)).toEqual({ kind: "merged", text: ours });
    }
  });

  it("does not take a line of a document away twice, nor add it twice, because others are like it", () => {
    const rules = (name: string, count: number) =>
      `${policy(name, 1).trimEnd()}\n${"    - {from: [{selector: {}}], ports: [{port: 1}]}\n".repeat(count - 1)}`;
    const [marker, next] = ["--- # x\n", policy("next", 2)];
    const cases = [
      // Both sides took one of three equal rules away, and the document is the first one of one side only.
      [
        `${policy("first", 1)}${marker}${rules("d", 3)}`,
        `${policy("first", 1)}${marker}${rules("d", 2)}`,
        rules("d", 2),
      ],
      // Both added the same rule.
      [
        `${policy("first", 1)}---\n${rules("d", 1)}---\n${next}`,
        `${rules("d", 2)}---\n${next}`,
        `${policy("first", 1)}${marker}${rules("d", 2)}${marker}${next}`,
      ],
    ] as const;
    for (const [base, ours, theirs] of cases) {
      for (const result of [mergeFile(PATH, base, ours, theirs), mergeFile(PATH, base, theirs, ours)]) {
        if (result.kind === "conflict" || result.text === null) continue;
        const [, merged = ""] = /name: d\}\n([\s\S]*?)(?:---|$)/.exec(result.text) ?? [];
        expect(merged.match(/port: 1/g)).toHaveLength(2);
      }
    }
  });

  it("merges to what both sides meant, document by document, or says that they disagree", () => {
    fc.assert(
      fc.property(documents, documents, documents, (base, ours, theirs) => {
        const result = mergeFile(PATH, file(base), file(ours), file(theirs));
        if (result.kind === "conflict" || result.text === null) return;
        const reading = readClusterDocuments({ path: PATH, text: result.text });
        const found = new Map(
          reading.documents.map(({ key, text }) => [key.split("/").at(-1), Number(/port: (\d+)/.exec(text)?.[1])]),
        );
        for (const name of ["a", "b", "c", "d", "e"]) {
          const [before, mine, other] = [base, ours, theirs].map((docs) => portOf(docs, name));
          const wanted = mine === before ? other : other === before || mine === other ? mine : "a conflict";
          if (found.get(name) !== wanted) expect({ name, port: found.get(name) }).toEqual({ name, port: wanted });
        }
      }),
      { numRuns: 400 },
    );
  });

  it("keeps what one side alone said, or both, of documents with lines that are alike", () => {
    interface Spread {
      readonly name: string;
      readonly ports: readonly number[];
    }
    const ports = fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 4 });
    const spread = fc.uniqueArray(fc.record({ name: fc.constantFrom("a", "b", "c", "d"), ports }), {
      selector: ({ name }) => name,
      maxLength: 4,
    });
    const edits = fc.array(
      fc.record({ kind: fc.constantFrom("ports", "add", "remove", "delete", "move"), at: fc.nat(9), ports }),
      { maxLength: 3 },
    );
    type Edits = typeof edits extends fc.Arbitrary<infer Value> ? Value : never;
    const edited = (before: readonly Spread[], changes: Edits): readonly Spread[] => {
      const docs = [...before];
      for (const { kind, at, ports: next } of changes) {
        const place = at % Math.max(1, docs.length);
        const doc = docs[place];
        if (!doc) continue;
        const line = at % doc.ports.length;
        if (kind === "delete") docs.splice(place, 1);
        else if (kind === "move") docs.push(...docs.splice(place, 1));
        else if (kind === "ports") docs[place] = { ...doc, ports: next };
        else if (kind === "add") docs[place] = { ...doc, ports: doc.ports.toSpliced(line, 0, next[0] ?? 1) };
        else if (doc.ports.length > 1) docs[place] = { ...doc, ports: doc.ports.toSpliced(line, 1) };
      }
      return docs;
    };
    const textOf = (docs: readonly Spread[], marker: string) =>
      docs
        .map(({ name, ports: [first = 1, ...more] }) =>
          [
            policy(name, first),
            ...more.map((port) => `    - {from: [{selector: {}}], ports: [{port: ${port}}]}\n`),
          ].join(""),
        )
        .join(marker);
    const meaningOf = (docs: readonly Spread[], name: string) =>
      docs.find((doc) => doc.name === name)?.ports.join() ?? "none";
    const marker = fc.constantFrom("---\n", "--- # next\n");
    fc.assert(
      fc.property(spread, edits, edits, fc.tuple(marker, marker, marker), (base, mine, other, markers) => {
        const sides = [base, edited(base, mine), edited(base, other)] as const;
        const [before, ours, theirs] = sides.map((docs, side) => textOf(docs, markers[side] ?? "---\n")) as [
          string,
          string,
          string,
        ];
        const result = mergeFile(PATH, before, ours, theirs);
        if (result.kind === "conflict" || result.text === null) return;
        const found = readClusterDocuments({ path: PATH, text: result.text }).documents.map(({ key, text }) => ({
          name: key.split("/").at(-1) ?? "",
          ports: [...text.matchAll(/port: (\d)/g)].map(([, port]) => Number(port)),
        }));
        for (const name of ["a", "b", "c", "d"]) {
          const [was, our, their] = sides.map((docs) => meaningOf(docs, name));
          if (our !== their && was !== our && was !== their) continue;
          const wanted = was === our ? their : our;
          if (meaningOf(found, name) !== wanted)
            expect({ name, ports: meaningOf(found, name) }).toEqual({ name, ports: wanted });
        }
      }),
      { numRuns: 300, seed: 31 },
    );
  });

  it("brings two policies together that were both added at the end", () => {
    const base = policy("web", 80);
    const ours = `${base}---\n# mine\n${policy("shop", 81)}`;
    const theirs = `${base}---\n# theirs\n${policy("db", 82)}`;
    const wanted = `${base}---\n# theirs\n${policy("db", 82)}---\n# mine\n${policy("shop", 81)}`;
    expect(mergeFile(PATH, base, ours, theirs)).toEqual({ kind: "merged", text: wanted });
    expect(mergeFile(PATH, base, theirs, ours)).toEqual({ kind: "merged", text: wanted });
  });

  it("narrows a conflict to the document that both changed", () => {
    const base = file([
      { name: "a", port: 1, comment: "" },
      { name: "b", port: 1, comment: "" },
    ]);
    const ours = base.replace("name: b}\n", "name: b} # mine\n").replace("port: 1", "port: 2");
    const theirs = base.replace("name: b}\n", "name: b} # theirs\n");
    const result = mergeFile(PATH, base, ours, theirs);
    if (result.kind !== "conflict") throw new Error("no conflict");
    const conflicts = result.regions.filter(({ kind }) => kind === "conflict");
    expect(conflicts).toEqual([
      {
        kind: "conflict",
        base: "metadata: {name: b}\n",
        ours: "metadata: {name: b} # mine\n",
        theirs: "metadata: {name: b} # theirs\n",
      },
    ]);
    expect(result.regions.some((region) => region.kind === "agreed" && region.text.includes("port: 2"))).toBe(true);
  });

  it("does not put two documents of one name into a file", () => {
    const base = `${policy("a", 1)}---\n${policy("b", 1)}`;
    const added = policy("c", 1);
    const ours = `${added}---\n${base}`;
    const theirs = `${base}---\n${added.replace("port: 1", "port: 3")}`;
    const result = mergeFile(PATH, base, ours, theirs);
    expect(result.kind).toBe("conflict");
    expect(mergeFile(PATH, base, ours, `${base}---\n${added}`)).toEqual({ kind: "merged", text: expect.any(String) });
  });

  it("asks when one side deleted what the other changed, and takes text that is no policy line by line", () => {
    const base = policy("a", 1);
    expect(mergeFile(PATH, base, null, policy("a", 2))).toMatchObject({ kind: "conflict", reason: "deleted" });
    expect(mergeFile(PATH, base, null, base)).toEqual({ kind: "merged", text: null });
    expect(mergeFile(PATH, "one\ntwo\nthree\n", "1\ntwo\nthree\n", "one\ntwo\n3\n")).toEqual({
      kind: "merged",
      text: "1\ntwo\n3\n",
    });
  });
});
