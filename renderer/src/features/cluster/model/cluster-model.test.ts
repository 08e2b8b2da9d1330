import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { DocumentChange, PlannedDocumentSchema } from "@wardline/api/wardline/console/v1/cluster";
import {
  DesiredHeadSchema,
  SetState,
  SyncReportSchema,
  SyncState,
  TermEnd,
  TermSchema,
} from "@wardline/api/wardline/v1/cluster";
import { describe, expect, it } from "vitest";
import { inOrder, undecided, writtenCount } from "./sync-plan.ts";
import { layTimeline } from "./timeline.ts";
import { isBehind, syncWords, wantedSet } from "./words.ts";

const head = (setNumber: bigint, state = SetState.CONFIRMED, confirmedSetNumber = setNumber) =>
  create(DesiredHeadSchema, { setNumber, state, confirmedSetNumber });
const report = (state: SyncState, activeSetNumber: bigint, seenSetNumber = activeSetNumber) =>
  create(SyncReportSchema, { state, activeSetNumber, seenSetNumber });

describe("what a host made of the set", () => {
  it("is right only when the wanted set is in force", () => {
    expect(syncWords(report(SyncState.ACTIVE, 4n), head(4n))).toEqual({ shape: "allow", words: "set 4" });
    expect(syncWords(report(SyncState.ACTIVE, 3n), head(4n))).toEqual({ shape: "observed", words: "set 3 of 4" });
    expect(syncWords(report(SyncState.REFUSED, 3n, 4n), head(4n))).toEqual({ shape: "deny", words: "refused set 4" });
    expect(syncWords(report(SyncState.CUT_OFF, 3n), head(4n)).shape).toBe("unknown");
  });

  it("is unknown, not fine, without a report", () => {
    expect(syncWords(undefined, head(4n))).toEqual({ shape: "unknown", words: "has not reported" });
    expect(syncWords(undefined, undefined)).toEqual({ shape: "unknown", words: "no set yet" });
    expect(isBehind(undefined, head(4n))).toBe(true);
    expect(isBehind(undefined, undefined)).toBe(false);
  });

  it("goes by the confirmed set when the newest was rolled back", () => {
    expect(wantedSet(head(5n, SetState.ROLLED_BACK, 4n))).toBe(4n);
    expect(syncWords(report(SyncState.ACTIVE, 4n), head(5n, SetState.ROLLED_BACK, 4n)).shape).toBe("allow");
    expect(isBehind(report(SyncState.ACTIVE, 5n), head(5n, SetState.ROLLED_BACK, 4n))).toBe(true);
  });
});

describe("the timeline of leaders", () => {
  const term = (number: number, leader: string, startMs: number, endMs: number | null, gapMs = 0) =>
    create(TermSchema, {
      number: BigInt(number),
      leader,
      startedAt: timestampFromMs(startMs),
      ...(endMs === null ? {} : { endedAt: timestampFromMs(endMs), end: TermEnd.LEASE_LOST }),
      gap: durationFromMs(gapMs),
    });

  it("gives every leader a lane, and shows when nobody led", () => {
    const timeline = layTimeline(
      [term(3, "a", 90_000, null, 5_000), term(2, "b", 50_000, 85_000), term(1, "a", -500_000, 50_000)],
      100_000,
      100_000,
    );
    expect(timeline.lanes.map(({ leader, bars }) => [leader, bars.map(({ start, end }) => [start, end])])).toEqual([
      [
        "a",
        [
          [0, 0.5],
          [0.9, 1],
        ],
      ],
      ["b", [[0.5, 0.85]]],
    ]);
    expect(timeline.gaps).toEqual([{ start: 0.85, end: 0.9, lengthMs: 5_000 }]);
  });

  it("leaves out what ended before it begins, and terms without a time", () => {
    const old = term(1, "a", 0, 10);
    const timeless = create(TermSchema, { number: 2n, leader: "b" });
    expect(layTimeline([timeless, old], 100_000, 1_000).lanes).toEqual([]);
  });
});

describe("a plan to sync", () => {
  const planned = (key: string, change: DocumentChange) => create(PlannedDocumentSchema, { key, change });
  const documents = [
    planned("policy/default/a", DocumentChange.UNCHANGED),
    planned("policy/default/c", DocumentChange.CHANGED),
    planned("policy/default/b", DocumentChange.CHANGED),
    planned("policy/default/d", DocumentChange.CONFLICT),
    planned("policy/default/e", DocumentChange.BEHIND),
  ];

  it("shows first what has to be decided", () => {
    expect(inOrder(documents).map(({ key }) => key.at(-1))).toEqual(["d", "b", "c", "e", "a"]);
    expect(writtenCount(documents)).toBe(3);
  });

  it("waits for a choice for every conflict", () => {
    expect(undecided(documents, new Map())).toEqual(["policy/default/d"]);
    expect(undecided(documents, new Map([["policy/default/d", "text"]]))).toEqual([]);
  });
});
