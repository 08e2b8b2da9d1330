import { ErrorCode } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { LEASE_MS, MemberLab, states } from "../../testing/memberLab.ts";
import { Keys } from "../keys.ts";

const keys = new Keys();

describe("a presence that nobody of us wrote", () => {
  it.each([
    ["no JSON", "nonsense"],
    ["far too long", `{"name":"b","problems":["${"x".repeat(70_000)}"]}`],
    ["about somebody else", `{"name":"a","state":"MEMBER_STATE_STOPPED"}`],
    ["of a time that there is not", `{"name":"b","startedAt":"yesterday"}`],
  ])("does no harm: %s", async (_what, text) => {
    const lab = new MemberLab();
    const [a] = await lab.started(["a"]);
    lab.admit("b");
    const value = new TextEncoder().encode(text);
    lab.state.transact({ compare: [], then: [{ kind: "put", key: keys.presence("b"), value }] });
    await lab.world.advance(500);
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "JOINING" });
    // The member itself, when it comes, takes its key.
    const b = lab.start("b");
    await lab.until(() => b.membership.isRegistered, 2 * LEASE_MS);
    await lab.world.advance(100);
    expect(states(a!)).toEqual({ a: "HEALTHY", b: "HEALTHY" });
  });

  it("is shown in bounds, with fields of a later version left out", async () => {
    const lab = new MemberLab();
    const [a] = await lab.started(["a"]);
    lab.admit("b");
    const problems = Array.from({ length: 900 }, () => "x".repeat(60));
    const text = JSON.stringify({ name: "b", state: "MEMBER_STATE_UNHEALTHY", problems, later: { field: 1 } });
    const value = new TextEncoder().encode(text);
    lab.state.transact({ compare: [], then: [{ kind: "put", key: keys.presence("b"), value }] });
    await lab.world.advance(500);
    expect(a!.membership.members()[1]!.presence!.problems).toHaveLength(16);
    expect(states(a!).b).toBe("UNHEALTHY");
  });
});

describe("a name that two processes want", () => {
  it("stays with the first; both say so, with addresses and sessions", async () => {
    const lab = new MemberLab();
    const [first] = await lab.started(["a"]);
    const second = lab.start("a", { address: "10.0.0.9" });
    await lab.world.advance(3 * LEASE_MS);
    expect(first!.membership.isRegistered).toBe(true);
    expect(second.membership.isRegistered).toBe(false);
    const failure = await second.membership.registered(new AbortController().signal).catch((error) => error);
    expect(failure).toMatchObject({ code: ErrorCode.ALREADY_EXISTS });
    for (const part of ["10.0.0.1", first!.membership.sessionId, "10.0.0.9", second.membership.sessionId]) {
      expect(failure.message).toContain(part);
    }
    expect(second.leadership.held()).toBeNull();
    expect(states(first!)).toEqual({ a: "UNHEALTHY" });
    const said = `Another process wants to be a as well: 10.0.0.9 (session ${second.membership.sessionId}). It was refused.`;
    expect(lab.presence("a")!.problems).toEqual([said]);
    expect(first!.membership.problems()).toEqual([said]);
    // It goes on being said while it is so, and is taken back when it is over.
    await lab.world.advance(10 * 60_000);
    expect(first!.membership.problems()).toEqual([said]);
    await lab.stop(second);
    await lab.world.advance(100_000);
    expect(states(first!)).toEqual({ a: "HEALTHY" });
    expect(lab.presence("a")!.sessionId).toBe(first!.membership.sessionId);
  });

  it("goes to the second when the first stops", async () => {
    const lab = new MemberLab();
    const [first] = await lab.started(["a"]);
    const second = lab.start("a", { address: "10.0.0.9" });
    await lab.world.advance(3 * LEASE_MS);
    await lab.stop(first!);
    await lab.until(() => second.membership.isRegistered, LEASE_MS);
    expect(second.membership.refusal).toBeNull();
    expect(states(second)).toEqual({ a: "HEALTHY" });
  });

  it("is given to a process that is started again after a crash, without a complaint", async () => {
    const lab = new MemberLab();
    const [first] = await lab.started(["a"]);
    lab.kill(first!);
    const again = lab.start("a");
    const refusals: unknown[] = [];
    again.membership.onChange(() => refusals.push(again.membership.refusal));
    await lab.until(() => again.membership.isRegistered, 2 * LEASE_MS);
    expect(refusals.filter((refusal) => refusal !== null)).toEqual([]);
  });

  it("stays with the second when the first stood still for too long", async () => {
    const lab = new MemberLab();
    const [first] = await lab.started(["a"]);
    first!.host.pause();
    await lab.world.advance(2 * LEASE_MS);
    const second = lab.start("a", { address: "10.0.0.9" });
    await lab.world.advance(1_000);
    expect(second.membership.isRegistered).toBe(true);
    first!.host.continue();
    await lab.world.advance(3 * LEASE_MS);
    expect(first!.membership.isRegistered).toBe(false);
    expect(first!.membership.refusal).toMatchObject({ code: ErrorCode.ALREADY_EXISTS });
    expect(lab.presence("a")!.sessionId).toBe(second.membership.sessionId);
  });
});
