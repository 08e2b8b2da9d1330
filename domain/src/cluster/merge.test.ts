import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readClusterDocument } from "./documents.ts";
import { type DocumentSide, type MergeResult, mergeDocument } from "./merge.ts";

const KEY = "policy/default/web";

function policy(rules: readonly string[], comment = ""): string {
  const lines = ["apiVersion: wardline.io/v1", "kind: Policy", "metadata: {name: web}", "spec:"];
  return `${comment}${[...lines, "  subject: {selector: {matchLabels: {app: web}}}", "  ingress:", ...rules.map((rule) => `    - ${rule}`)].join("\n")}\n`;
}

const rule = (port: number) => `{from: [{selector: {}}], ports: [{port: ${port}}]}`;

/** Policies as people edit them: rules added, removed, changed and commented. */
const side: fc.Arbitrary<DocumentSide> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(null) },
  {
    weight: 9,
    arbitrary: fc
      .record({
        ports: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }),
        comment: fc.constantFrom("", "# shop\n", "# shop, front\n"),
        isWhole: fc.boolean(),
      })
      .map(({ ports, comment, isWhole }) => {
        const text = policy(ports.map(rule), comment);
        return isWhole ? text : text.trimEnd();
      }),
  },
);

const of = (result: MergeResult) => (result.kind === "merged" ? result.text : result.reason);

describe("mergeDocument", () => {
  it("keeps the side that changed, and the same change of both once", () => {
    fc.assert(
      fc.property(side, side, (base, other) => {
        expect(mergeDocument(KEY, base, other, base)).toEqual({ kind: "merged", text: other });
        expect(mergeDocument(KEY, base, base, other)).toEqual({ kind: "merged", text: other });
        expect(mergeDocument(KEY, base, other, other)).toEqual({ kind: "merged", text: other });
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it("says the same whoever asks", () => {
    fc.assert(
      fc.property(side, side, side, (base, ours, theirs) => {
        const one = mergeDocument(KEY, base, ours, theirs);
        const other = mergeDocument(KEY, base, theirs, ours);
        expect(of(one)).toBe(of(other));
        if (one.kind !== "conflict" || other.kind !== "conflict") return;
        const turned = other.regions.map((region) =>
          region.kind === "conflict" ? { ...region, ours: region.theirs, theirs: region.ours } : region.text,
        );
        expect(one.regions.map((region) => (region.kind === "conflict" ? region : region.text))).toEqual(turned);
      }),
      { numRuns: 500, seed: 2 },
    );
  });

  it("gives a document of the same key, or a conflict; and every line of a result comes from a side", () => {
    fc.assert(
      fc.property(side, side, side, (base, ours, theirs) => {
        const result = mergeDocument(KEY, base, ours, theirs);
        if (result.kind === "conflict" || result.text === null) return;
        expect(readClusterDocument(result.text, "x").key).toBe(KEY);
        const known = new Set([base, ours, theirs].flatMap((text) => (text ?? "").split("\n")));
        for (const line of result.text.split("\n")) expect(known.has(line)).toBe(true);
      }),
      { numRuns: 500, seed: 3 },
    );
  });

  it("has each side whole in the regions of a conflict", () => {
    fc.assert(
      fc.property(side, side, side, (base, ours, theirs) => {
        const result = mergeDocument(KEY, base, ours, theirs);
        if (result.kind === "merged" || result.reason !== "lines") return;
        const { regions } = result;
        // What only the other side changed stands in "agreed"; our own text is there without it.
        const own = regions
          .filter((region) => region.kind === "conflict")
          .every((region) => (ours ?? "").includes(region.ours));
        const their = regions
          .filter((region) => region.kind === "conflict")
          .every((region) => (theirs ?? "").includes(region.theirs));
        expect([own, their]).toEqual([true, true]);
      }),
      { numRuns: 300, seed: 4 },
    );
  });

  const base = policy([rule(80), rule(81), rule(82), rule(83), rule(84)]);

  it("brings changes of different places together", () => {
    const ours = base.replace("port: 80}", "port: 8080}");
    const theirs = `${base}    - ${rule(85)}\n`;
    expect(mergeDocument(KEY, base, ours, theirs)).toEqual({ kind: "merged", text: `${ours}    - ${rule(85)}\n` });
  });

  it("marks both sides and the base where they disagree", () => {
    const ours = base.replace("port: 82}", "port: 1}");
    const theirs = base.replace("port: 82}", "port: 2}");
    const result = mergeDocument(KEY, base, ours, theirs, { ours: "your draft", theirs: "version 7 of alice" });
    if (result.kind !== "conflict") throw new Error("no conflict");
    expect(result.reason).toBe("lines");
    const marks = `<<<<<<< your draft\n    - ${rule(1)}\n||||||| base\n    - ${rule(82)}\n=======\n    - ${rule(2)}\n>>>>>>> version 7 of alice\n`;
    expect(result.marked).toContain(marks);
  });

  it("does not choose between a deletion and a change, nor between two new documents", () => {
    const changed = base.replace("port: 80}", "port: 8080}");
    expect(mergeDocument(KEY, base, null, changed)).toMatchObject({ kind: "conflict", reason: "deleted" });
    expect(mergeDocument(KEY, base, changed, null)).toMatchObject({ kind: "conflict", reason: "deleted" });
    expect(mergeDocument(KEY, null, base, changed)).toMatchObject({ kind: "conflict", reason: "added" });
    expect(mergeDocument(KEY, base, null, null)).toEqual({ kind: "merged", text: null });
  });

  it("does not hand out lines that merge into nonsense", () => {
    // Each side adds the same field at another place; the lines merge, and the field stands there twice.
    const spread = base.replace("spec:\n", "spec:\n  # who\n  # may\n  # come\n");
    const ours = spread.replace("  # who\n", "  # who\n  priority: 5\n");
    const theirs = spread.replace("  # come\n", "  # come\n  priority: 6\n");
    const result = mergeDocument(KEY, spread, ours, theirs);
    expect(result).toMatchObject({
      kind: "conflict",
      reason: "unreadable",
      regions: [{ kind: "conflict", ours, theirs }],
    });
    if (result.kind === "conflict") expect(result.diagnostics.map(({ code }) => code)).toContain("WL103");
  });

  it("does not follow a change of the name", () => {
    const renamed = base.replace("name: web", "name: api");
    const result = mergeDocument(KEY, base, renamed, `${base}    - ${rule(85)}\n`);
    expect(result).toMatchObject({ kind: "conflict", reason: "renamed" });
  });

  it("does not spend long on texts that are all alike", () => {
    const alike = (count: number) => "- x\n".repeat(count);
    const start = process.cpuUsage();
    mergeDocument(KEY, alike(20_000), `a\n${alike(20_001)}`, `${alike(20_002)}b\n`);
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000).toBeLessThan(1_000);
  });
});
