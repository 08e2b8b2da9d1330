import { create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { TermEnd, TermSchema } from "@wardline/api/wardline/v1/cluster";
import { describe, expect, it } from "vitest";
import { beginTerm, checkTermHistory, endTerm, type RecordedWrite, termsToForget } from "./index.ts";

const START_MS = 1_700_000_000_000;
const LEASE_MS = 5_000;
const first = create(TermSchema, { number: 1n, leader: "a", startedAt: timestampFromMs(START_MS) });
const succession = { number: 2n, leader: "b", leaseMs: LEASE_MS, previous: first, vacantForMs: 40 };

describe("a term", () => {
  it("has no gap when it is the first", () => {
    const begun = beginTerm({ ...succession, number: 1n, previous: null, nowMs: START_MS });
    expect(begun).toMatchObject({ closed: null, term: { number: 1n, leader: "b" } });
    expect(begun.term.gap).toBeUndefined();
  });

  it("closes the one before that ended without a word, one lease before the lead became vacant", () => {
    const { term, closed } = beginTerm({ ...succession, nowMs: START_MS + 60_000 });
    expect(durationMs(term.gap!)).toBe(LEASE_MS + 40);
    expect(closed).toMatchObject({ number: 1n, leader: "a", end: TermEnd.LEASE_LOST });
    expect(timestampMs(closed!.endedAt!)).toBe(START_MS + 60_000 - LEASE_MS - 40);
    expect(first.endedAt).toBeUndefined();
  });

  it("never lets one end before it began", () => {
    const { closed } = beginTerm({ ...succession, nowMs: START_MS + 1_000 });
    expect(timestampMs(closed!.endedAt!)).toBe(START_MS);
  });

  it("counts the vacancy alone after a resignation, and leaves its record as it is", () => {
    const previous = endTerm(first, TermEnd.RESIGNED, START_MS + 10_000);
    const { term, closed } = beginTerm({ ...succession, previous, nowMs: START_MS + 10_100 });
    expect(closed).toBeNull();
    expect(durationMs(term.gap!)).toBe(40);
  });

  it("takes the record's own end when nobody saw the vacancy begin, but no negative time", () => {
    const previous = endTerm(first, TermEnd.RESIGNED, START_MS + 10_000);
    const gapAt = (nowMs: number) =>
      durationMs(beginTerm({ ...succession, previous, nowMs, vacantForMs: null }).term.gap!);
    expect(gapAt(START_MS + 70_000)).toBe(60_000);
    expect(gapAt(START_MS + 9_000)).toBe(0);
  });

  it("says nothing about a gap of which nothing is known", () => {
    const { term, closed } = beginTerm({ ...succession, nowMs: START_MS + 60_000, vacantForMs: null });
    expect(term.gap).toBeUndefined();
    expect(timestampMs(closed!.endedAt!)).toBe(START_MS + 60_000);
  });

  it("is kept as long as it is one of the newest", () => {
    expect(termsToForget([3n, 11n, 1n, 2n], 2)).toEqual([2n, 1n]);
    expect(termsToForget([3n], 2)).toEqual([]);
  });
});

describe("a history of terms", () => {
  const write = (id: string, term: bigint, fromMs: number, outcome: RecordedWrite["outcome"] = "written") => ({
    ...{ id, term, writer: "x", fromMs, untilMs: fromMs + 5, outcome },
  });
  const leads = [
    { term: 1n, leader: "a" },
    { term: 2n, leader: "b" },
  ];

  it("is good when one leader at a time explains it", () => {
    const writes = [
      write("p", 1n, 0),
      write("q", 1n, 10, "unknown"),
      write("r", 2n, 20),
      write("s", 1n, 30, "refused"),
    ];
    const stored = [
      { id: "p", term: 1n, revision: 5n },
      { id: "q", term: 1n, revision: 6n },
      { id: "r", term: 2n, revision: 9n },
    ];
    expect(checkTermHistory({ leads, writes, stored })).toEqual([]);
    // A leader that says twice that it leads is one leader.
    expect(checkTermHistory({ leads: [...leads, leads[0]!], writes, stored })).toEqual([]);
  });

  it.each([
    ["two leaders of one term", { leads: [...leads, { term: 2n, leader: "c" }] }, "Term 2 was led by b and by c."],
    ["a write that is lost", { writes: [write("p", 1n, 0)] }, "Write p was confirmed and is lost."],
    [
      "a write that was refused and happened",
      { writes: [write("p", 1n, 0, "refused")], stored: [{ id: "p", term: 1n, revision: 1n }] },
      "Write p was refused and is there.",
    ],
    ["a write of nobody", { stored: [{ id: "p", term: 1n, revision: 1n }] }, "Nobody sent the write p."],
    [
      "a write under another term than its own",
      { writes: [write("p", 1n, 0)], stored: [{ id: "p", term: 2n, revision: 1n }] },
      "Write p of term 1 was stored as one of term 2.",
    ],
    [
      "an older term after a newer one",
      {
        writes: [write("p", 1n, 0), write("q", 2n, 0)],
        stored: [
          { id: "p", term: 1n, revision: 8n },
          { id: "q", term: 2n, revision: 7n },
        ],
      },
      "Write p of term 1 came after write q of term 2.",
    ],
    [
      "a write that overtook what had ended before it began",
      {
        writes: [write("p", 1n, 0), write("q", 1n, 10)],
        stored: [
          { id: "p", term: 1n, revision: 8n },
          { id: "q", term: 1n, revision: 7n },
        ],
      },
      "Write q began after write p had ended and has the lower revision.",
    ],
  ])("is refused with %s", (_what, history, sentence) => {
    expect(checkTermHistory({ leads: [], writes: [], stored: [], ...history })).toContain(sentence);
  });
});
