import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { afterAll, describe, expect, it } from "vitest";
import { follow, LEASE_MS, MemberLab, states } from "../../testing/memberLab.ts";
import { memberRecord } from "../../testing/simulatedMember.ts";
import { Keys } from "../keys.ts";

const HOUR_MS = 3_600_000;
const keys = new Keys();
const ends = new AbortController();
afterAll(() => ends.abort());

const calls = ({ state }: MemberLab) => [...state.calls.values()].reduce((sum, count) => sum + count, 0);

describe("membership", () => {
  it("shows everybody healthy to everybody, and who leads", async () => {
    const lab = new MemberLab();
    const [a, b, c] = await lab.started(["a", "b", "c"]);
    for (const member of [a!, b!, c!]) {
      expect(states(member)).toEqual({ a: "HEALTHY", b: "HEALTHY", c: "HEALTHY" });
      expect(member.membership.members().filter(({ isLeader }) => isLeader)).toHaveLength(1);
      await expect(member.membership.registered(new AbortController().signal)).resolves.toBeUndefined();
    }
    expect(durationMs(lab.presence("a")!.heartbeatLatency ?? ({ seconds: 0n, nanos: 1e9 } as never))).toBeLessThan(100);
    expect(a!.membership.problems()).toEqual([]);
  });

  it("knows somebody who was let in and has not come", async () => {
    const lab = new MemberLab();
    const [a] = await lab.started(["a"]);
    lab.admit("late");
    await lab.world.advance(200);
    expect(states(a!)).toEqual({ a: "HEALTHY", late: "JOINING" });
    expect(a!.membership.members()[1]!.since).toEqual(memberRecord("x", lab.world.wallMs() - 200).admittedAt);
  });

  it("tells a clean stop from an end without a word, durably", async () => {
    const lab = new MemberLab();
    const [a, b, c] = await lab.started(["a", "b", "c"]);
    await lab.stop(b!);
    expect(states(a!)).toMatchObject({ b: "STOPPED", c: "HEALTHY" });
    lab.kill(c!);
    const stoodStillAtMs = lab.world.wallMs();
    await lab.until(() => states(a!).c === "GONE", 2 * LEASE_MS);
    await lab.world.advance(LEASE_MS);
    expect(lab.presence("c")).toMatchObject({ state: MemberState.GONE, addresses: ["10.0.0.1"] });
    const goneAtMs = timestampMs(a!.membership.members()[2]!.since!);
    expect(goneAtMs - stoodStillAtMs).toBeGreaterThan(LEASE_MS * 0.6);
    expect(goneAtMs - stoodStillAtMs).toBeLessThan(LEASE_MS + 100);
    // A node that was not there sees the same.
    lab.admit("d");
    const d = lab.start("d");
    await lab.world.advance(1_000);
    expect(states(d)).toEqual({ a: "HEALTHY", b: "STOPPED", c: "GONE", d: "HEALTHY" });
    expect(timestampMs(d.membership.members()[2]!.since!)).toBeCloseTo(goneAtMs, -1);
  });

  it("tells what happened before to whoever comes, and what happens then", async () => {
    const lab = new MemberLab();
    const [a, b] = await lab.started(["a", "b"]);
    const seen = follow(b!, ends.signal);
    await lab.world.advance(100);
    expect(seen.map(({ kind, member }) => `${member} ${kind}`).sort()).toEqual([
      "a healthy",
      "a joined",
      "a leader-elected",
      "b healthy",
      "b joined",
    ]);
    seen.length = 0;
    a!.membership.setProblems("disk", ["The disk is full."]);
    await lab.world.advance(200);
    a!.membership.setProblems("disk", []);
    await lab.world.advance(200);
    await lab.stop(a!);
    expect(seen.map(({ kind, member, detail }) => `${member} ${kind} ${detail}`.trim())).toEqual([
      "a unhealthy The disk is full.",
      "a healthy",
      "a stopped",
      "b leader-elected term 2",
    ]);
    const held = b!.leadership.held()!;
    const removed = b!.membership.remove("a", held.fence);
    await lab.world.advance(200);
    await removed;
    expect(seen.at(-1)).toMatchObject({ kind: "removed", member: "a" });
  });

  it("writes a presence when something changed, and otherwise once a minute", async () => {
    const lab = new MemberLab();
    const [a] = await lab.started(["a"]);
    await lab.world.advance(60_000);
    const before = lab.state.get(keys.presence("a"))!.version;
    await lab.world.advance(10 * 60_000);
    const heartbeats = lab.state.get(keys.presence("a"))!.version - before;
    expect(heartbeats).toBeGreaterThanOrEqual(9n);
    expect(heartbeats).toBeLessThanOrEqual(12n);
    a!.addresses = ["10.0.0.1", "fd00::1"];
    await lab.world.advance(6_000);
    expect(lab.presence("a")!.addresses).toEqual(["10.0.0.1", "fd00::1"]);
  });

  it("costs ten thousand members less than three writes a second", async () => {
    const lab = new MemberLab();
    lab.admit(...Array.from({ length: 10_000 }, (_, index) => `m${index}`));
    const a = lab.start("m0");
    await lab.world.advance(1_000);
    expect(a.membership.heartbeatIntervalMs()).toBe(3_600_000);
    expect(10_000 / (a.membership.heartbeatIntervalMs() / 1000)).toBeLessThan(3);
    await lab.stop(a);
  });

  it("is not heard from any more when only its writes fail", async () => {
    const lab = new MemberLab();
    const [a, b] = await lab.started(["a", "b"]);
    // Renewals of the lease go through, transactions do not.
    const { call } = b!.host;
    const original = call.bind(b!.host);
    b!.host.call = (run, options) =>
      String(run).includes("transact") ? new Promise(() => {}) : original(run, options);
    await lab.world.advance(170_000);
    expect(states(a!).b).toBe("UNHEALTHY");
  });

  it("keeps what it knows while the store is away, with the moment, and nobody ages", async () => {
    const lab = new MemberLab();
    const [a] = await lab.started(["a", "b"]);
    await lab.world.advance(30_000);
    const awaySinceMs = lab.world.wallMs();
    lab.service.hasMajority = false;
    await lab.world.advance(10 * 60_000);
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "HEALTHY" });
    expect(a!.membership.readAtMs()).toBeLessThanOrEqual(awaySinceMs);
    expect(a!.membership.readAtMs()).toBeGreaterThan(awaySinceMs - LEASE_MS);
    lab.service.hasMajority = true;
    lab.state.extendLeases();
    await lab.world.advance(30_000);
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "HEALTHY" });
    expect(a!.membership.readAtMs()).toBeGreaterThan(lab.world.wallMs() - LEASE_MS);
  });

  it("reads everything anew when the changes in between are compacted away", async () => {
    const lab = new MemberLab();
    const [a, b] = await lab.started(["a", "b"]);
    a!.host.isCut = true;
    await lab.world.advance(2_000);
    lab.admit("c");
    await lab.stop(b!);
    lab.state.compact(lab.state.revision);
    a!.host.isCut = false;
    await lab.world.advance(10_000);
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "STOPPED", c: "JOINING" });
  });
});

describe("admission and removal", () => {
  it("need the fence of the term that holds", async () => {
    const lab = new MemberLab();
    const [a, b] = await lab.started(["a", "b"]);
    const old = a!.leadership.held() ?? b!.leadership.held()!;
    const leader = a!.leadership.held() ? a! : b!;
    const run = async (work: Promise<void>) => {
      const settled = work.then(
        () => "done",
        (error) => ErrorCode[error.code],
      );
      await lab.world.advance(50);
      return settled;
    };
    const record = memberRecord("new", lab.world.wallMs());
    expect(await run(leader.membership.admit(record, old.fence))).toBe("done");
    expect(await run(leader.membership.admit(record, old.fence))).toBe("ALREADY_EXISTS");
    expect(await run(leader.membership.remove("nobody", old.fence))).toBe("NOT_FOUND");
    await run(leader.leadership.resign());
    await lab.world.advance(1_000);
    expect(await run(leader.membership.admit(memberRecord("other", 0), old.fence))).toBe("NOT_LEADER");
    expect(await run(leader.membership.remove("new", old.fence))).toBe("NOT_LEADER");
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "HEALTHY", new: "JOINING" });
  });

  it("leaves nothing of a removed member, which does not come back by itself", async () => {
    const lab = new MemberLab();
    const [a, b] = await lab.started(["a", "b"]);
    const [leader, other] = a!.leadership.held() ? [a!, b!] : [b!, a!];
    const then = [{ kind: "put", key: keys.report(other.name), value: new TextEncoder().encode("{}") }] as const;
    lab.state.transact({ compare: [], then });
    const removed = leader.membership.remove(other.name, leader.leadership.held()!.fence);
    await lab.world.advance(5 * 60_000);
    await removed;
    expect(lab.presence(other.name)).toBeNull();
    expect(lab.state.get(keys.report(other.name)) === null).toBe(true);
    expect(other.membership.isRegistered).toBe(false);
    expect(other.membership.refusal).toMatchObject({ code: ErrorCode.NOT_A_MEMBER });
    expect(Object.keys(states(leader))).toEqual([leader.name]);
  });
});

describe("the leader's care for members", () => {
  const retention = { goneMs: HOUR_MS, neverJoinedMs: HOUR_MS };

  it("forgets who never came, and what is known of who is long gone, but no member", async () => {
    const lab = new MemberLab();
    const [a, , c] = await lab.started(["a", "b", "c"], { retention, leaseMs: 60_000 });
    lab.admit("never");
    lab.kill(c!);
    await lab.world.advance(0.9 * HOUR_MS);
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "HEALTHY", c: "GONE", never: "JOINING" });
    expect(lab.presence("c")).not.toBeNull();
    await lab.world.advance(0.4 * HOUR_MS);
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "HEALTHY", c: "GONE" });
    expect(lab.presence("c")).toBeNull();
    // Also for a node that never saw it.
    lab.admit("d");
    const d = lab.start("d");
    await lab.world.advance(1_000);
    expect(states(d).c).toBe("GONE");
  });

  it("forgets nobody because the leader's clock was set to another day", async () => {
    const lab = new MemberLab();
    const [a] = await lab.started(["a"], { retention, leaseMs: 60_000 });
    lab.admit("late");
    a!.host.wallOffsetMs = 24 * HOUR_MS;
    await lab.world.advance(0.5 * HOUR_MS);
    expect(states(a!)).toEqual({ a: "HEALTHY", late: "JOINING" });
  });
});

describe("the clocks of members", () => {
  it("are measured against the leader's, and said to be wrong", async () => {
    const lab = new MemberLab();
    await lab.started(["a"]);
    lab.admit("b");
    const b = lab.start("b", { measureClock: async () => ({ offsetMs: 3_240, uncertaintyMs: 12 }) });
    await lab.world.advance(70_000);
    expect(lab.presence("b")!.problems).toEqual(["The clock is 3.2 s ahead of the leader's."]);
    expect(durationMs(lab.presence("b")!.clockOffset!)).toBe(3_240);
    expect(b.membership.problems()).toEqual(["b: The clock is 3.2 s ahead of the leader's."]);
  });

  it("stay wrong when one question gets no answer, and are unknown after three", async () => {
    const lab = new MemberLab();
    await lab.started(["a"]);
    lab.admit("b");
    let answers = true;
    const measureClock = async () => {
      if (!answers) throw new Error("unreachable");
      return { offsetMs: -3_240, uncertaintyMs: 12 };
    };
    lab.start("b", { measureClock });
    await lab.world.advance(70_000);
    expect(lab.presence("b")!.problems).toEqual(["The clock is 3.2 s behind the leader's."]);
    answers = false;
    await lab.world.advance(75_000);
    expect(lab.presence("b")!.problems).toHaveLength(1);
    await lab.world.advance(3 * 75_000);
    expect(lab.presence("b")!.problems).toEqual([]);
  });

  it("are not judged when the leader does not answer", async () => {
    const lab = new MemberLab();
    await lab.started(["a"]);
    lab.admit("b");
    const asked: string[] = [];
    lab.start("b", {
      measureClock: async (leader) => {
        asked.push(leader);
        throw new Error("unreachable");
      },
    });
    await lab.world.advance(10 * 60_000);
    expect(lab.presence("b")!.state).toBe(MemberState.HEALTHY);
    expect(new Set(asked)).toEqual(new Set(["a"]));
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.length).toBeLessThan(15);
  });
});

describe("a member without a store", () => {
  it("asks seldom, and is there again soon after it is back", async () => {
    const lab = new MemberLab();
    const [a] = await lab.started(["a"]);
    lab.service.hasMajority = false;
    const before = calls(lab);
    await lab.world.advance(600_000);
    const after = calls(lab);
    // Session, leadership, three lists: each at most one call in 2.5 s.
    expect(after - before).toBeLessThan(700);
    lab.service.hasMajority = true;
    await lab.until(() => a!.membership.isRegistered && a!.leadership.held() !== null, 15_000);
  });
});
