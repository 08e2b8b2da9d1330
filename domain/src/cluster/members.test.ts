import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Member,
  MemberPresenceSchema,
  MemberRecordSchema,
  MemberState,
  SyncReportSchema,
  TermSchema,
} from "@wardline/api/wardline/v1/cluster";
import { describe, expect, it } from "vitest";
import {
  clockProblem,
  describeMember,
  electionsAfter,
  heartbeatIntervalMs,
  type MemberEvidence,
  memberEvents,
} from "./index.ts";

const NOW_MS = 1_700_000_000_000;
const record = create(MemberRecordSchema, {
  name: "a",
  admittedAt: timestampFromMs(NOW_MS - 10_000),
  admittedBy: "alice",
});
const presence = (state: MemberState) =>
  create(MemberPresenceSchema, { name: "a", state, stateSince: timestampFromMs(NOW_MS - 5_000) });

function evidence(changes: Partial<MemberEvidence> = {}): MemberEvidence {
  return {
    ...{ record, presence: presence(MemberState.HEALTHY), lastPresence: null, report: null, isLeader: false },
    ...{ silentForMs: 0, heartbeatIntervalMs: 60_000, nowMs: NOW_MS, vanishedAtMs: null },
    ...changes,
  };
}
const judged = (changes: Partial<MemberEvidence>) => {
  const { state, since } = describeMember(evidence(changes));
  return [MemberState[state], since ? timestampMs(since) - NOW_MS : null];
};

describe("the state of a member", () => {
  it.each([
    ["what it says itself", {}, ["HEALTHY", -5_000]],
    ["that it has problems", { presence: presence(MemberState.UNHEALTHY) }, ["UNHEALTHY", -5_000]],
    ["that it stopped", { presence: presence(MemberState.STOPPED) }, ["STOPPED", -5_000]],
    ["gone as the leader wrote it", { presence: presence(MemberState.GONE) }, ["GONE", -5_000]],
    ["two heartbeats of silence are not enough", { silentForMs: 125_000 }, ["HEALTHY", -5_000]],
    ["more silence is", { silentForMs: 142_000 }, ["UNHEALTHY", -10_000]],
    [
      "silence after a stop is no news",
      { presence: presence(MemberState.STOPPED), silentForMs: 1e9 },
      ["STOPPED", -5_000],
    ],
    ["never heard from", { presence: null }, ["JOINING", -10_000]],
    [
      "vanished before our eyes",
      { presence: null, lastPresence: presence(MemberState.HEALTHY), vanishedAtMs: NOW_MS - 300 },
      ["GONE", -300],
    ],
    ["a report is a sign of an earlier life", { presence: null, report: create(SyncReportSchema) }, ["GONE", null]],
    [
      "and so is the record",
      { presence: null, record: create(MemberRecordSchema, { name: "a", firstHeardAt: timestampFromMs(NOW_MS) }) },
      ["GONE", null],
    ],
    ["a state of a later version", { presence: presence(0 as MemberState) }, ["HEALTHY", -5_000]],
  ])("%s", (_what, changes, expected) => {
    expect(judged(changes)).toEqual(expected);
  });
});

describe("events between two looks", () => {
  const look = (...members: [string, Partial<MemberEvidence>][]): Map<string, Member> =>
    new Map(members.map(([name, changes]) => [name, describeMember(evidence(changes))]));
  const told = (before: Map<string, Member>, after: Map<string, Member>) =>
    memberEvents(before, after, NOW_MS).map(({ kind, member, atMs, detail }) => [kind, member, atMs - NOW_MS, detail]);

  it("are the past when nothing was seen before", () => {
    expect(told(look(), look(["a", {}], ["b", { presence: null }]))).toEqual([
      ["joined", "a", -10_000, "let in by alice"],
      ["joined", "b", -10_000, "let in by alice"],
      ["healthy", "a", -5_000, ""],
    ]);
  });

  it("are the changes of states, and none where nothing changed", () => {
    const before = look(["a", {}], ["b", {}], ["c", {}]);
    expect(told(before, look(["a", {}], ["b", {}], ["c", {}]))).toEqual([]);
    const after = look(["a", { silentForMs: 1e6 }], ["b", { presence: presence(MemberState.STOPPED) }]);
    expect(told(before, after).map(([kind, member, , detail]) => [kind, member, detail])).toEqual([
      ["unhealthy", "a", "It has not been heard from for a while."],
      ["stopped", "b", ""],
      ["removed", "c", ""],
    ]);
  });

  it("are elections after the last that was told, oldest first", () => {
    const terms = [3n, 2n, 1n].map((number) =>
      create(TermSchema, { number, leader: `l${number}`, startedAt: timestampFromMs(NOW_MS + Number(number)) }),
    );
    expect(electionsAfter(1n, terms).map(({ member, detail }) => `${member} ${detail}`)).toEqual([
      "l2 term 2",
      "l3 term 3",
    ]);
  });
});

describe("clocks", () => {
  it.each([
    [3_240, 12, "The clock is 3.2 s ahead of the leader's."],
    [-90_000, 12, "The clock is 90.0 s behind the leader's."],
    [900, 12, null],
    // It may as well be the way to the leader.
    [1_500, 600, null],
  ])("of %d ms, give or take %d", (offsetMs, uncertaintyMs, expected) => {
    expect(clockProblem(offsetMs, uncertaintyMs)).toBe(expected);
  });
});

describe("heartbeats", () => {
  it.each([1, 100, 1_000, 2_000, 5_000, 8_000])("of %d members are told less than 20,001 times a second", (count) => {
    const writesPerSecond = count / (heartbeatIntervalMs(count) / 1000);
    expect(writesPerSecond * count).toBeLessThan(20_001);
    expect(heartbeatIntervalMs(count)).toBeGreaterThanOrEqual(60_000);
  });

  it("are written once an hour at least, of ten thousand members less than three a second", () => {
    expect(heartbeatIntervalMs(10_000)).toBe(3_600_000);
    expect(heartbeatIntervalMs(1_000_000)).toBe(3_600_000);
  });
});
