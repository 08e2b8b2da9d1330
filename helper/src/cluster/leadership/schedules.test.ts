import { checkTermHistory } from "@wardline/domain/cluster";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { seededRandom } from "../../testing/seededRandom.ts";
import { SimulatedCandidate, WRITES } from "../../testing/simulatedCandidate.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import { SimulatedHost } from "../../testing/simulatedHost.ts";
import { Keys } from "../keys.ts";

const LEASE_MS = 2_000;
const NODES = 3;
const keys = new Keys();

const FAULTS = ["pause", "cut", "slow", "lossy", "jump", "resign", "outage", "compact", "revoke"] as const;
interface Fault {
  readonly kind: (typeof FAULTS)[number];
  readonly node: number;
  readonly lastsMs: number;
  readonly afterMs: number;
}

const fault = fc.record({
  kind: fc.constantFrom(...FAULTS),
  node: fc.nat(NODES - 1),
  lastsMs: fc.integer({ min: 50, max: 3 * LEASE_MS }),
  afterMs: fc.integer({ min: 0, max: 2 * LEASE_MS }),
});

/** The machines of one schedule, its faults, and what can be seen of it from outside. */
class Run {
  readonly world = new SimulatedClock();
  readonly service = { hasMajority: true };
  readonly state = new MemoryStoreState(this.world);
  readonly nodes: SimulatedCandidate[];
  readonly believers: string[] = [];
  readonly #random: () => number;
  #wasRevoked = false;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.nodes = Array.from({ length: NODES }, (_, index) => this.#node(`n${index}`));
  }

  #node(name: string): SimulatedCandidate {
    const random = this.#random;
    const host = new SimulatedHost(this.world, this.service);
    host.delayMs = () => 1 + random() * 4;
    const node = new SimulatedCandidate({ name, host, state: this.state, leaseMs: LEASE_MS, random });
    node.leadership.onChange(() => this.#watchBeliefs());
    return node;
  }

  /** As long as nobody takes leases away, no two may believe in their leases at the same moment, not even one that stands still. */
  #watchBeliefs(): void {
    const held = this.nodes?.filter(({ leadership }) => leadership.held() !== null);
    if (held && held.length > 1 && !this.#wasRevoked) this.believers.push(held.map(({ name }) => name).join(" and "));
  }

  begin({ kind, node: index }: Fault): void {
    const node = this.nodes[index]!;
    const { host } = node;
    if (kind === "pause") host.pause();
    else if (kind === "cut") host.isCut = true;
    else if (kind === "slow") host.delayMs = () => this.#random() * LEASE_MS;
    else if (kind === "lossy") host.isLost = () => this.#random() < 0.4;
    else if (kind === "jump") host.wallOffsetMs += (this.#random() - 0.5) * 7_200_000;
    else if (kind === "resign") void node.leadership.resign().catch(() => {});
    else if (kind === "outage") this.service.hasMajority = false;
    else if (kind === "compact") this.#compact();
    else this.#revoke(node);
  }

  end({ kind, node: index }: Fault): void {
    const { host } = this.nodes[index]!;
    if (kind === "pause") host.continue();
    else if (kind === "cut") host.isCut = false;
    else if (kind === "slow") host.delayMs = () => 1 + this.#random() * 4;
    else if (kind === "lossy") host.isLost = () => false;
    else if (kind === "outage") {
      this.service.hasMajority = true;
      this.state.extendLeases();
    }
  }

  #compact(): void {
    if (this.state.revision > this.state.compactedRevision) this.state.compact(this.state.revision);
  }

  #revoke(node: SimulatedCandidate): void {
    const leaseId = node.session.current()?.id;
    if (leaseId === undefined) return;
    this.#wasRevoked = true;
    this.state.revoke(leaseId);
  }

  async play(faults: readonly Fault[]): Promise<void> {
    for (const node of this.nodes) {
      node.start();
      node.writeEvery(150);
    }
    await this.world.advance(1_000);
    for (const one of faults) {
      this.begin(one);
      this.world.schedule(one.lastsMs, () => this.end(one));
      await this.world.advance(one.afterMs);
    }
    for (const one of faults) this.end(one);
    await this.world.advance(3 * LEASE_MS);
  }

  /** What is wrong with it. */
  judge(): string[] {
    const stored = this.state.under(WRITES).map(({ key, value, modRevision }) => ({
      id: key.slice(WRITES.length),
      term: BigInt(new TextDecoder().decode(value)),
      revision: modRevision,
    }));
    const leads = this.nodes.flatMap((node) => node.leads);
    const done = this.nodes.flatMap((node) => node.writes);
    const known = new Set(done.map(({ id }) => id));
    // A write whose sender still waits was neither confirmed nor refused.
    const waiting = stored
      .filter(({ id }) => !known.has(id))
      .map(({ id, term }) => ({ id, term, writer: "", fromMs: 0, untilMs: 0, outcome: "unknown" as const }));
    const leaders = this.nodes.filter(({ leadership }) => leadership.held() !== null);
    return [
      ...checkTermHistory({
        leads,
        writes: [...done, ...waiting],
        stored,
      }),
      ...this.believers.map((names) => `${names} believed to lead at the same moment.`),
      ...(leaders.length === 1 ? [] : [`${leaders.length} lead in the end.`]),
      ...this.#gapsInNumbers(),
    ];
  }

  /** Every number from the first to the newest was given to somebody. */
  #gapsInNumbers(): string[] {
    const records = this.state.under(keys.terms).length;
    const newest = this.nodes
      .map(({ leadership }) => leadership.terms()[0]?.number ?? 0n)
      .sort((a, b) => Number(b - a))[0];
    return BigInt(records) === newest ? [] : [`${records} terms have records, the newest has the number ${newest}.`];
  }

  async stop(): Promise<void> {
    const stopped = Promise.all(this.nodes.map((node) => node.stop()));
    await this.world.advance(10_000);
    await stopped;
  }
}

describe("leadership under random schedules", () => {
  it("has one leader a term, writes in the order of terms, and one leader in the end", {
    timeout: 240_000,
  }, async () => {
    let confirmed = 0;
    let refused = 0;
    let terms = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 8 }), fc.nat(), async (faults, seed) => {
        const run = new Run(seed);
        await run.play(faults);
        const problems = run.judge();
        const writes = run.nodes.flatMap((node) => node.writes);
        confirmed += writes.filter(({ outcome }) => outcome === "written").length;
        refused += writes.filter(({ outcome }) => outcome === "refused").length;
        terms += run.nodes.flatMap(({ leads }) => leads).length;
        await run.stop();
        expect(problems).toEqual([]);
      }),
      { numRuns: Number(process.env.WARDLINE_SCHEDULES ?? 100), seed: 20261121 },
    );
    // The schedules have to reach what they are about.
    expect(terms).toBeGreaterThan(120);
    expect(confirmed).toBeGreaterThan(700);
    expect(refused).toBeGreaterThan(60);
  });
});
