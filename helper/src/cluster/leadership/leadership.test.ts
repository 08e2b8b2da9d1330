import { timestampMs } from "@bufbuild/protobuf/wkt";
import { TermEnd } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { seededRandom } from "../../testing/seededRandom.ts";
import { SimulatedCandidate } from "../../testing/simulatedCandidate.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import { SimulatedHost } from "../../testing/simulatedHost.ts";
import { Keys } from "../keys.ts";

const LEASE_MS = 5_000;
const keys = new Keys();

interface ClusterOptions {
  readonly followers?: number;
  readonly mayCampaign?: () => boolean;
  readonly before?: (node: SimulatedCandidate) => void;
}

async function cluster(count: number, options: ClusterOptions = {}) {
  const world = new SimulatedClock();
  const service = { hasMajority: true };
  const state = new MemoryStoreState(world);
  const random = seededRandom(7);
  const nodes = Array.from({ length: count + (options.followers ?? 0) }, (_, index) => {
    const host = new SimulatedHost(world, service);
    const name = String.fromCharCode(97 + index);
    const { mayCampaign = () => true } = options;
    return new SimulatedCandidate({
      name,
      host,
      state,
      leaseMs: LEASE_MS,
      random,
      candidate: index < count,
      mayCampaign,
    });
  });
  for (const node of nodes) {
    options.before?.(node);
    node.start();
  }
  await world.advance(1_000);
  const leading = () => nodes.filter(({ leadership }) => leadership.held() !== null);
  const until = async (isReached: () => boolean, withinMs: number) => {
    const fromMs = world.wallMs();
    while (!isReached() && world.wallMs() - fromMs < withinMs) await world.advance(10);
    return world.wallMs() - fromMs;
  };
  return { world, service, state, nodes, leading, until };
}

const put = (key: string) => ({ kind: "put", key, value: new Uint8Array() }) as const;

describe("leadership", () => {
  it("goes to one candidate, and everybody knows it", async () => {
    const { nodes, leading } = await cluster(3, { followers: 2 });
    expect(leading()).toHaveLength(1);
    const leader = { name: leading()[0]!.name, term: 1n };
    expect(nodes.map(({ leadership }) => leadership.leader())).toEqual(Array(5).fill(leader));
    expect(nodes.map(({ leadership }) => leadership.terms().length)).toEqual(Array(5).fill(1));
    expect(nodes.slice(3).some(({ leads }) => leads.length > 0)).toBe(false);
  });

  it("lasts as long as the lease is renewed", async () => {
    const { world, leading, nodes } = await cluster(3);
    const [leader] = leading();
    await world.advance(100 * LEASE_MS);
    expect(leading()).toEqual([leader]);
    expect(nodes[0]!.leadership.terms()).toHaveLength(1);
  });

  it("passes to another within a lease and a moment when the leader is gone, with the gap in the timeline", async () => {
    const { leading, until, nodes, state } = await cluster(3);
    const [dead] = leading();
    dead!.host.isCut = true;
    dead!.host.pause();
    const others = nodes.filter((node) => node !== dead);
    const tookMs = await until(() => others.some(({ leadership }) => leadership.held()), 3 * LEASE_MS);
    expect(tookMs).toBeLessThan(LEASE_MS + 100);
    expect(dead!.leadership.held()).toBeNull();
    await until(() => others.every(({ leadership }) => leadership.terms().length === 2), LEASE_MS);
    const [now, before] = others[0]!.leadership.terms();
    expect(before).toMatchObject({ number: 1n, leader: dead!.name, end: TermEnd.LEASE_LOST });
    expect(now).toMatchObject({ number: 2n, end: TermEnd.UNSPECIFIED });
    // Since the last moment at which the leader can have renewed.
    const gapMs = Number(now!.gap!.seconds) * 1000 + now!.gap!.nanos / 1e6;
    expect(gapMs).toBeGreaterThanOrEqual(LEASE_MS);
    expect(gapMs).toBeLessThan(LEASE_MS + 100);
    expect(timestampMs(now!.startedAt!) - timestampMs(before!.endedAt!)).toBeCloseTo(gapMs, -1);
    expect(state.get(keys.newestTerm)).not.toBeNull();
  });

  it("fences the writes of a leader that stood still for longer than its lease", async () => {
    const { world, leading, state, nodes } = await cluster(3);
    const [old] = leading();
    const held = old!.leadership.held()!;
    old!.host.pause();
    await world.advance(2 * LEASE_MS);
    const [now] = leading();
    expect(now).not.toBe(old);
    expect(state.transact({ compare: held.fence, then: [put("late")] }).succeeded).toBe(false);
    expect(state.transact({ compare: now!.leadership.held()!.fence, then: [put("good")] }).succeeded).toBe(true);
    old!.host.continue();
    await world.advance(LEASE_MS);
    expect(held.signal.aborted).toBe(true);
    expect(leading()).toEqual([now]);
    expect(new Set(nodes.map(({ leadership }) => leadership.leader()?.term))).toEqual(new Set([2n]));
  });

  it("is given back by a leader that resigns, at once, and not taken again by it", async () => {
    const { leading, until, nodes, world } = await cluster(3);
    const [first] = leading();
    const held = first!.leadership.held()!;
    const resigned = first!.leadership.resign();
    expect(held.signal.aborted).toBe(true);
    const tookMs = await until(() => leading().length === 1 && leading()[0] !== first, LEASE_MS);
    await resigned;
    expect(tookMs).toBeLessThan(100);
    await world.advance(100);
    expect(nodes[0]!.leadership.terms().map(({ end }) => end)).toEqual([TermEnd.UNSPECIFIED, TermEnd.RESIGNED]);
    expect(nodes[0]!.leadership.terms()[0]!.gap).toMatchObject({ seconds: 0n });
    await world.advance(2 * LEASE_MS);
    expect(leading()).not.toContain(first);
  });

  it("comes back to a leader that resigned when nobody else can lead", async () => {
    const { leading, until, nodes, world } = await cluster(1);
    void nodes[0]!.leadership.resign();
    await world.advance(LEASE_MS / 2);
    expect(leading()).toHaveLength(0);
    expect(await until(() => leading().length === 1, 2 * LEASE_MS)).toBeLessThan(LEASE_MS);
    expect(nodes[0]!.leadership.held()!.number).toBe(2n);
  });

  it("is given back later when the store did not answer a resignation", async () => {
    const { service, leading, until, nodes, state, world } = await cluster(1);
    const [first] = leading();
    service.hasMajority = false;
    const refused = expect(first!.leadership.resign()).rejects.toMatchObject({ code: ErrorCode.STORE_UNAVAILABLE });
    await world.advance(100);
    await refused;
    expect(first!.leadership.held()).toBeNull();
    service.hasMajority = true;
    // The session never lost its lease: only the retry can have removed the key.
    expect(await until(() => state.get(keys.leader) === null, 2 * LEASE_MS)).toBeLessThan(2 * LEASE_MS);
    await until(() => leading().length === 1, 3 * LEASE_MS);
    expect(nodes[0]!.leadership.terms().at(-1)).toMatchObject({ number: 1n, end: TermEnd.RESIGNED });
  });

  it("refuses a resignation where nobody leads, and names who does", async () => {
    const { leading, nodes } = await cluster(2);
    const [leader] = leading();
    const other = nodes.find((node) => node !== leader)!;
    await expect(other.leadership.resign()).rejects.toMatchObject({
      code: ErrorCode.NOT_LEADER,
      message: `${other.name} does not lead: ${leader!.name} does.`,
    });
  });

  it("ends with a clean stop, recorded as removed when the member was", async () => {
    const { leading, nodes, world, until } = await cluster(2);
    const [first] = leading();
    const stopped = first!.leadership.stop("removed");
    await until(() => leading().length === 1 && leading()[0] !== first, LEASE_MS);
    await stopped;
    await world.advance(100);
    const other = nodes.find((node) => node !== first)!;
    expect(other.leadership.terms().at(-1)).toMatchObject({ end: TermEnd.REMOVED });
  });

  it("is kept when the store is away for less than a lease, and lost by the leader's own clock when for longer", async () => {
    const { service, leading, until, world, state } = await cluster(3);
    const [first] = leading();
    service.hasMajority = false;
    await world.advance(LEASE_MS / 2);
    expect(leading()).toEqual([first]);
    await world.advance(LEASE_MS / 2);
    expect(leading()).toEqual([]);
    await world.advance(LEASE_MS);
    service.hasMajority = true;
    state.extendLeases();
    expect(await until(() => leading().length === 1, 4 * LEASE_MS)).toBeLessThan(2 * LEASE_MS);
  });

  it("never gives a number twice, although the counter is lost", async () => {
    const { leading, until, state, world } = await cluster(2);
    const first = leading()[0]!;
    state.transact({ compare: [], then: [{ kind: "delete", key: keys.newestTerm }] });
    void first.leadership.resign();
    await until(() => leading().length === 1 && leading()[0] !== first, 3 * LEASE_MS);
    await world.advance(100);
    expect(leading()[0]!.leadership.held()!.number).toBe(2n);
  });

  it("waits with pauses when the timeline is spoilt in a way that no term can be written", async () => {
    const { leading, world, state, nodes } = await cluster(1);
    void nodes[0]!.leadership.resign();
    await world.advance(100);
    // Nobody of us writes this: the highest number there can be.
    const spoilt = new TextEncoder().encode(`{"number":"18446744073709551615"}`);
    state.transact({ compare: [], then: [{ kind: "put", key: keys.newestTerm, value: spoilt }] });
    const before = state.calls.get("transact") ?? 0;
    await world.advance(60_000);
    expect(leading()).toHaveLength(0);
    expect((state.calls.get("transact") ?? 0) - before).toBeLessThan(40);
  });

  it("is not campaigned for by somebody whose name is refused, and at once when that ends", async () => {
    let mayCampaign = false;
    const { leading, nodes, until, world } = await cluster(1, { mayCampaign: () => mayCampaign });
    await world.advance(3 * LEASE_MS);
    expect(leading()).toHaveLength(0);
    mayCampaign = true;
    nodes[0]!.leadership.reconsider();
    expect(await until(() => leading().length === 1, LEASE_MS)).toBeLessThan(100);
  });

  it("is taken over by what a campaign left whose answer got lost", async () => {
    const { leading, nodes, until, world } = await cluster(1, {
      before: ({ host }) => {
        let messages = 0;
        // The answers to the calls that the start makes come through, the one to the campaign does not.
        host.isLost = () => ++messages === 10;
      },
    });
    await until(() => leading().length === 1, 3 * LEASE_MS);
    expect(leading()).toHaveLength(1);
    expect(nodes[0]!.leads.map(({ term }) => term)).toEqual([1n]);
    await world.advance(LEASE_MS);
  });
});
