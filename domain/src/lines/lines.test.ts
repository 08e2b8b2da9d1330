import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { diffLines, LineBlame, type MergeRegion, mergeLines, resolveRegions, splitLines } from "./index.ts";

const word = fc.constantFrom("a", "b", "c", "d", "e");
const lines = fc.array(word, { maxLength: 24 }).map((words) => words.map((each) => `${each}\n`));

/** Length of the longest common subsequence, by the textbook. */
function commonLength(one: readonly string[], other: readonly string[]): number {
  let row = new Array<number>(other.length + 1).fill(0);
  for (const line of one) {
    const next = [0];
    for (const [index, each] of other.entries()) {
      next.push(line === each ? (row[index] ?? 0) + 1 : Math.max(row[index + 1] ?? 0, next[index] ?? 0));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

function apply(old: readonly string[], next: readonly string[], maxSteps?: number): { text: string; kept: number } {
  const out: string[] = [];
  let at = 0;
  for (const { oldStart, oldEnd, newStart, newEnd } of diffLines(old, next, maxSteps)) {
    out.push(...old.slice(at, oldStart), ...next.slice(newStart, newEnd));
    at = oldEnd;
  }
  out.push(...old.slice(at));
  const removed = diffLines(old, next, maxSteps).reduce((sum, change) => sum + change.oldEnd - change.oldStart, 0);
  return { text: out.join(""), kept: old.length - removed };
}

describe("diffLines", () => {
  it("gives the new text, by the shortest way", () => {
    fc.assert(
      fc.property(lines, lines, (old, next) => {
        const { text, kept } = apply(old, next);
        if (text !== next.join("") || kept !== commonLength(old, next)) expect({ text, kept }).toBe("the shortest way");
      }),
      { numRuns: 3_000 },
    );
  });

  it("gives the new text when it may not search for long", () => {
    fc.assert(
      fc.property(lines, lines, fc.nat(60), (old, next, maxSteps) => {
        if (apply(old, next, maxSteps).text !== next.join("")) expect("another text").toBe("the new text");
      }),
      { numRuns: 1_000 },
    );
  });

  it("is bounded on texts that have nothing in common, and on long ones that are alike", () => {
    const old = Array.from({ length: 60_000 }, (_, index) => `old ${index}\n`);
    const next = Array.from({ length: 60_000 }, (_, index) => (index % 10 === 0 ? `old ${index}\n` : `new ${index}\n`));
    const before = process.cpuUsage();
    const changes = diffLines(old, next);
    const { user } = process.cpuUsage(before);
    expect(apply(old, next).text).toBe(next.join(""));
    // Unique lines hold it together once the search has become too long.
    expect(changes.length).toBeGreaterThan(5_000);
    expect(user).toBeLessThan(5_000_000);
  });
});

describe("LineBlame", () => {
  it("names the edit that brought each line of a text that known edits made", () => {
    const edit = fc.record({ at: fc.nat(), removed: fc.nat(4), added: fc.nat(4) });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 30 }), (edits) => {
        const blame = new LineBlame<number>();
        let known: { text: string; number: number }[] = [];
        let serial = 0;
        for (const [number, { at, removed, added }] of edits.entries()) {
          const start = known.length === 0 ? 0 : at % (known.length + 1);
          const fresh = Array.from({ length: added }, () => ({ text: `line ${serial++}\n`, number }));
          known = [...known.slice(0, start), ...fresh, ...known.slice(start + removed)];
          blame.add(known.map(({ text }) => text).join(""), number);
        }
        const wanted = known.map(({ number }) => number);
        if (String(blame.marks) !== String(wanted)) expect(blame.marks).toEqual(wanted);
        const lineCount = blame.runs().reduce((sum, run) => sum + run.lineCount, 0);
        if (lineCount !== known.length) expect(lineCount).toBe(known.length);
      }),
      { numRuns: 1_000 },
    );
  });

  it("never says that a line came with a revision that has it not", () => {
    fc.assert(
      fc.property(fc.array(lines, { minLength: 1, maxLength: 6 }), (revisions) => {
        const blame = new LineBlame<number>();
        for (const [number, revision] of revisions.entries()) blame.add(revision.join(""), number);
        const last = revisions.at(-1) ?? [];
        for (const [index, line] of last.entries()) {
          const mark = blame.marks[index] ?? -1;
          if (!revisions[mark]?.includes(line)) expect(`line ${index} of ${mark}`).toBe("there");
        }
      }),
      { numRuns: 500 },
    );
  });

  it("puts neighbouring lines of one revision into one run", () => {
    const blame = new LineBlame<string>();
    blame.add("a\nb\nc\n", "first");
    blame.add("a\nx\ny\nc", "second");
    expect(blame.runs()).toEqual([
      { firstLine: 1, lineCount: 1, mark: "first" },
      { firstLine: 2, lineCount: 3, mark: "second" },
    ]);
  });
});

const turned = (regions: readonly MergeRegion[]): MergeRegion[] =>
  regions.map((region) =>
    region.kind === "conflict"
      ? { ...region, ours: region.theirs, theirs: region.ours }
      : { ...region, from: region.from === "ours" ? "theirs" : region.from === "theirs" ? "ours" : region.from },
  );

describe("mergeLines", () => {
  const text = lines.map((all) => all.join(""));

  it("keeps the change of one side, and the same change of both once", () => {
    fc.assert(
      fc.property(text, text, (base, changed) => {
        const results = [
          mergeLines(base, changed, base),
          mergeLines(base, base, changed),
          mergeLines(base, changed, changed),
        ].map((regions) => resolveRegions(regions, []));
        if (results.some((result) => result !== changed)) expect(results).toEqual([changed, changed, changed]);
      }),
      { numRuns: 1_000 },
    );
  });

  it("says the same with the sides exchanged, and has each side whole when it is chosen everywhere", () => {
    fc.assert(
      fc.property(text, text, text, (base, ours, theirs) => {
        const regions = mergeLines(base, ours, theirs);
        expect(turned(mergeLines(base, theirs, ours))).toEqual(regions);
        const whole = (side: "ours" | "theirs") =>
          regions
            .filter((region) => region.kind === "conflict" || region.from === side || region.from === "both")
            .map((region) => (region.kind === "conflict" ? region[side] : region.text));
        for (const part of whole("ours")) if (!ours.includes(part)) expect(ours).toContain(part);
        for (const part of whole("theirs")) if (!theirs.includes(part)) expect(theirs).toContain(part);
      }),
      { numRuns: 1_000 },
    );
  });

  it("never loses a line that one side alone brought or took away", () => {
    const edit = fc.record({ at: fc.nat(11), removed: fc.nat(2), added: fc.nat(2) });
    const base = Array.from({ length: 12 }, (_, index) => `base ${index}\n`);
    const make = (name: string, { at, removed, added }: { at: number; removed: number; added: number }) => [
      ...base.slice(0, at),
      ...Array.from({ length: added }, (_, index) => `${name} ${index}\n`),
      ...base.slice(at + removed),
    ];
    fc.assert(
      fc.property(edit, edit, (one, other) => {
        const [ours, theirs] = [make("ours", one), make("theirs", other)];
        const merged = resolveRegions(mergeLines(base.join(""), ours.join(""), theirs.join("")), []);
        const apart = one.at + one.removed < other.at || other.at + other.removed < one.at;
        if (merged === null) {
          if (apart) expect("a conflict").toBe("changes of different places come together");
          return;
        }
        const result = splitLines(merged);
        const wanted = [...ours, ...theirs].filter((line) => !line.startsWith("base"));
        const gone = base.filter((line) => !ours.includes(line) || !theirs.includes(line));
        if (wanted.some((line) => !result.includes(line)) || gone.some((line) => result.includes(line))) {
          expect(result).toBe("with both changes");
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("marks what both changed, without the lines that they wrote alike", () => {
    const regions = mergeLines("a\nb\nc\n", "a\nsame\nmine\nc\n", "a\nsame\nyours\nc\n");
    expect(regions).toEqual([
      { kind: "agreed", from: "base", text: "a\n" },
      { kind: "agreed", from: "both", text: "same\n" },
      { kind: "conflict", base: "b\n", ours: "mine\n", theirs: "yours\n" },
      { kind: "agreed", from: "base", text: "c\n" },
    ]);
    expect(resolveRegions(regions, ["both"])).toBe("a\nsame\nmine\nyours\nc\n");
    expect(resolveRegions(regions, [{ text: "own" }])).toBe("a\nsame\nown\nc\n");
    expect(resolveRegions(regions, [])).toBeNull();
  });
});
