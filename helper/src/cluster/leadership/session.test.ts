import { describe, expect, it } from "vitest";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { SimulatedClock, settle } from "../../testing/simulatedClock.ts";
import { SimulatedHost } from "../../testing/simulatedHost.ts";
import { Session } from "./session.ts";

const LEASE_MS = 5_000;
const silent = { info: () => {}, warn: () => {} };

async function start(leaseMs = LEASE_MS) {
  const world = new SimulatedClock();
  const service = { hasMajority: true };
  const host = new SimulatedHost(world, service);
  const state = new MemoryStoreState(world);
  const store = new MemoryClusterStore(state, host);
  const session = new Session({ store, clock: host, leaseMs, random: () => 0.5, log: silent });
  session.start();
  await world.advance(100);
  const put = (key: string) =>
    state.transact({
      compare: [],
      then: [{ kind: "put", key, value: new Uint8Array(), leaseId: session.current()!.id }],
    });
  return { world, service, host, state, session, put };
}

describe("a session", () => {
  it("keeps its lease as long as the store answers", async () => {
    const { world, session, state, put } = await start();
    const lease = session.current();
    put("mine");
    await world.advance(60 * LEASE_MS);
    expect(session.current()).toBe(lease);
    expect(state.get("mine")).not.toBeNull();
    expect(session.latencyMs).toBeCloseTo(2, 0);
    expect(session.problem).toBeNull();
  });

  it("renews three times a lease, in one loop, however often it is started", async () => {
    const { world, session, state } = await start();
    session.start();
    session.start();
    await world.advance(30 * LEASE_MS);
    expect(state.calls.get("renewLease")).toBeGreaterThanOrEqual(88);
    expect(state.calls.get("renewLease")).toBeLessThanOrEqual(91);
    expect(state.calls.get("grantLease")).toBe(1);
  });

  it("ends the lease by its own clock before the store does", async () => {
    const { world, host, session, state, put } = await start();
    const { signal } = session.current()!;
    put("mine");
    const endedAtMs: number[] = [];
    signal.addEventListener("abort", () => endedAtMs.push(host.wallMs()));
    host.isCut = true;
    for (let waitedMs = 0; state.get("mine") !== null && waitedMs < 2 * LEASE_MS; waitedMs += 10) {
      await world.advance(10);
      if (session.current() !== null) expect(state.get("mine")).not.toBeNull();
    }
    expect(state.get("mine")).toBeNull();
    expect(signal.aborted).toBe(true);
    expect(host.wallMs() - endedAtMs[0]!).toBeGreaterThanOrEqual(LEASE_MS / 10 - 50);
  });

  it("does not believe in a lease that ended while the process stood still, before any timer ran", async () => {
    const { world, host, session, state } = await start();
    const lease = session.current()!;
    host.pause();
    await world.advance(3 * LEASE_MS);
    // No timer and no answer has reached this process yet.
    expect(lease.signal.aborted).toBe(false);
    expect(session.current()).toBeNull();
    expect(lease.signal.aborted).toBe(true);
    host.continue();
    await world.advance(500);
    expect(session.current()?.id).not.toBe(lease.id);
    expect(session.current()).not.toBeNull();
    expect(state.calls.get("grantLease")).toBe(2);
  });

  it("counts a lease from when the renewal was sent, not from when its answer came", async () => {
    const { world, host, session } = await start();
    await world.advance(LEASE_MS / 3 - 200);
    host.delayMs = () => 550;
    await world.advance(1_250);
    expect(session.current()).not.toBeNull();
    host.isCut = true;
    // Sent at a third of the lease, answered 1.1 s later: 4.5 s after the sending it is over.
    await world.advance(LEASE_MS * 0.9 - 1_000);
    expect(session.current()).toBeNull();
  });

  it("is not moved by jumps of the wall clock", async () => {
    const { world, host, session } = await start();
    const lease = session.current();
    host.wallOffsetMs = 3_600_000;
    await world.advance(LEASE_MS);
    host.wallOffsetMs = -3_600_000;
    await world.advance(LEASE_MS);
    expect(session.current()).toBe(lease);
  });

  it("gets another lease when the store ended the one it had", async () => {
    const { world, session, state } = await start();
    const lease = session.current()!;
    state.revoke(lease.id);
    await world.advance(LEASE_MS / 3 + 300);
    expect(lease.signal.aborted).toBe(true);
    expect(session.current()?.id).toBeGreaterThan(lease.id);
  });

  it("takes back what a lease held that it gave up", async () => {
    const { world, host, session, state, put } = await start();
    put("mine");
    host.isLost = () => true;
    await world.advance(LEASE_MS * 0.95);
    expect(session.current()).toBeNull();
    host.isLost = () => false;
    state.extendLeases();
    await world.advance(LEASE_MS * 0.6);
    expect(session.current()).not.toBeNull();
    expect(state.get("mine")).toBeNull();
  });

  it("asks seldom while the store is away, and is there again soon after it is back", async () => {
    const { world, service, state, session } = await start();
    await world.advance(LEASE_MS);
    const before = [...state.calls.values()].reduce((sum, count) => sum + count, 0);
    service.hasMajority = false;
    await world.advance(600_000);
    const calls = [...state.calls.values()].reduce((sum, count) => sum + count, 0) - before;
    // One attempt in about 3.75 s: the pause of up to five seconds, spread over its upper half.
    expect(calls).toBeLessThan(200);
    expect(session.current()).toBeNull();
    expect(session.problem).toMatch(/No lease from the store/);
    service.hasMajority = true;
    await world.advance(5_100);
    expect(session.current()).not.toBeNull();
    expect(session.problem).toBeNull();
  });

  it("survives an outage that is shorter than its lease", async () => {
    const { world, service, session } = await start();
    const lease = session.current();
    await world.advance(LEASE_MS / 3 - 200);
    service.hasMajority = false;
    await world.advance(LEASE_MS / 2);
    service.hasMajority = true;
    await world.advance(LEASE_MS);
    expect(session.current()).toBe(lease);
  });

  it("gives its lease back when it stops, and takes none afterwards", async () => {
    const { world, session, state, put } = await start();
    put("mine");
    const stopped = session.stop();
    await world.advance(100);
    await stopped;
    expect(state.get("mine")).toBeNull();
    session.start();
    await settle();
    await world.advance(LEASE_MS);
    expect(session.current()).toBeNull();
    expect(state.calls.get("grantLease")).toBe(1);
  });

  it("stops although the store does not answer", async () => {
    const { world, host, session } = await start();
    host.isCut = true;
    let isStopped = false;
    void session.stop().then(() => {
      isStopped = true;
    });
    await world.advance(2_100);
    expect(isStopped).toBe(true);
  });
});
