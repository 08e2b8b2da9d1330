import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import { Keys } from "../keys.ts";
import type { HeldTerm, LeaderDuty } from "../ports.ts";
import { compactHistory, pruneTerms } from "./duties.ts";
import { DutyRunner } from "./dutyRunner.ts";
import { fenceOf } from "./election.ts";
import { waitFor } from "./waiting.ts";

const keys = new Keys();
const silent = { info: () => {}, warn: () => {} };

/** Terms that begin and end when the test says so. */
class Lead {
  #listeners = new Set<() => void>();
  #held: (HeldTerm & { readonly controller: AbortController }) | null = null;

  held(): HeldTerm | null {
    return this.#held;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  begin(number: bigint): void {
    const controller = new AbortController();
    this.#held = { number, fence: [], signal: controller.signal, controller };
    for (const listener of this.#listeners) listener();
  }

  end(): void {
    const held = this.#held;
    this.#held = null;
    held?.controller.abort();
    for (const listener of this.#listeners) listener();
  }
}

function runner(...duties: LeaderDuty[]) {
  const world = new SimulatedClock();
  const lead = new Lead();
  const runner = new DutyRunner({ leadership: lead, duties, clock: world, random: () => 0.5, log: silent });
  runner.start();
  return { world, lead, runner };
}

const untilAborted = ({ signal }: HeldTerm) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

describe("duties of the leader", () => {
  it("run once in each term, as long as it lasts", async () => {
    const log: string[] = [];
    const duty: LeaderDuty = {
      name: "d",
      async run(term) {
        log.push(`begin ${term.number}`);
        await untilAborted(term);
        log.push(`end ${term.number}`);
      },
    };
    const { world, lead } = runner(duty);
    await world.advance(1_000);
    expect(log).toEqual([]);
    lead.begin(1n);
    await world.advance(10_000);
    lead.end();
    await world.advance(10_000);
    lead.begin(2n);
    await world.advance(10);
    expect(log).toEqual(["begin 1", "end 1", "begin 2"]);
  });

  it("are started anew when they fail, with pauses that grow, and said to fail", async () => {
    const atMs: number[] = [];
    const {
      world,
      lead,
      runner: duties,
    } = runner({
      name: "d",
      async run() {
        atMs.push(world.wallMs());
        if (atMs.length < 4) throw new Error("no luck");
      },
    });
    lead.begin(1n);
    await world.advance(1_000);
    expect(duties.problems()).toEqual([`The leader's duty "d" fails: no luck`]);
    await world.advance(60_000);
    expect(atMs.slice(1).map((each, index) => each - atMs[index]!)).toEqual([750, 1_500, 3_000]);
    expect(duties.problems()).toEqual([]);
  });

  it("that end by themselves are done for this term", async () => {
    let runs = 0;
    const { world, lead } = runner({
      name: "d",
      async run() {
        runs++;
      },
    });
    lead.begin(1n);
    await world.advance(60_000);
    expect(runs).toBe(1);
  });

  it("that go on after their term are reported, and not started beside themselves", async () => {
    const finish: (() => void)[] = [];
    const {
      world,
      lead,
      runner: duties,
    } = runner({
      name: "deaf",
      run: () => new Promise<void>((resolve) => finish.push(resolve)),
    });
    lead.begin(1n);
    await world.advance(10);
    lead.end();
    lead.begin(2n);
    await world.advance(4_000);
    expect(duties.problems()).toEqual([]);
    await world.advance(2_000);
    expect(duties.problems()).toEqual([`The leader's duty "deaf" goes on although its term is over.`]);
    expect(finish).toHaveLength(1);
    finish[0]!();
    await world.advance(10);
    expect(duties.problems()).toEqual([]);
    expect(finish).toHaveLength(2);
  });

  it("are told to stop and waited for, but not for ever", async () => {
    let isEnded = false;
    const polite: LeaderDuty = {
      name: "polite",
      async run(term) {
        await untilAborted(term);
        await waitFor(world, 1_000, new AbortController().signal);
        isEnded = true;
      },
    };
    const deaf: LeaderDuty = { name: "deaf", run: () => new Promise(() => {}) };
    const { world, lead, runner: duties } = runner(polite, deaf);
    lead.begin(1n);
    await world.advance(10);
    let isStopped = false;
    void duties.stop().then(() => {
      isStopped = true;
    });
    await world.advance(4_900);
    expect([isEnded, isStopped]).toEqual([true, false]);
    await world.advance(200);
    expect(isStopped).toBe(true);
    lead.end();
    lead.begin(2n);
    await world.advance(10);
    expect(duties.problems()).toHaveLength(1);
  });
});

function storeLab() {
  const world = new SimulatedClock();
  const state = new MemoryStoreState(world);
  const store = new MemoryClusterStore(state);
  const put = (key: string) =>
    state.transact({ compare: [], then: [{ kind: "put", key, value: new TextEncoder().encode("{}") }] });
  const { revision } = put(keys.leader);
  const controller = new AbortController();
  const term: HeldTerm = { number: 1n, fence: fenceOf(keys, revision), signal: controller.signal };
  const ports = { store, keys, clock: world, random: () => 0.5 };
  return { world, state, put, term, ports, end: () => controller.abort() };
}

describe("the duty to forget old terms", () => {
  it("keeps the newest 256, in transactions that a store takes", async () => {
    const { world, state, put, term, ports, end } = storeLab();
    for (let number = 1n; number <= 700n; number++) put(keys.term(number));
    put(`${keys.terms}nonsense`);
    const run = pruneTerms(ports).run(term);
    await world.advance(100);
    end();
    await run;
    const kept = state.under(keys.terms).map(({ key }) => key);
    expect(kept).toHaveLength(256);
    expect(kept[0]).toBe(keys.term(445n));
    expect(state.calls.get("transact")).toBe(5);
  });

  it("forgets nothing any more when the term is over in the store", async () => {
    const { world, state, put, term, ports } = storeLab();
    for (let number = 1n; number <= 300n; number++) put(keys.term(number));
    state.transact({ compare: [], then: [{ kind: "delete", key: keys.leader }] });
    const failure = await Promise.race([pruneTerms(ports).run(term), world.advance(100)]).catch((error) => error);
    expect(failure).toMatchObject({ code: ErrorCode.NOT_LEADER });
    expect(state.under(keys.terms)).toHaveLength(300);
  });
});

describe("the duty to drop history", () => {
  const kept = { forMs: 600_000, revisions: 50n };

  it("keeps ten minutes, and more when little happens", async () => {
    const { world, state, put, term, ports, end } = storeLab();
    const run = compactHistory(ports, kept).run(term);
    const writeFor = async (minutes: number, perMinute: number) => {
      for (let minute = 0; minute < minutes; minute++) {
        for (let count = 0; count < perMinute; count++) put("/busy");
        await world.advance(60_000);
      }
    };
    await writeFor(9, 100);
    expect(state.compactedRevision).toBe(0n);
    await writeFor(20, 100);
    const inTenMinutes = 1_000n;
    expect(state.revision - state.compactedRevision).toBeGreaterThanOrEqual(inTenMinutes);
    expect(state.revision - state.compactedRevision).toBeLessThan(inTenMinutes + 400n);
    await writeFor(60, 1);
    expect(state.revision - state.compactedRevision).toBeGreaterThanOrEqual(50n);
    expect(state.revision - state.compactedRevision).toBeLessThan(60n);
    end();
    await run;
  });

  it("goes on when somebody else was faster", async () => {
    const { world, state, put, term, ports, end } = storeLab();
    for (let count = 0; count < 500; count++) put("/busy");
    const run = compactHistory(ports, kept).run(term);
    await world.advance(500_000);
    state.compact(state.revision);
    await world.advance(200_000);
    end();
    await run;
  });

  it("fails with what it cannot explain", async () => {
    const other = storeLab();
    for (let count = 0; count < 500; count++) other.put("/busy");
    other.ports.store.compact = refuse;
    const failing = compactHistory(other.ports, kept).run(other.term);
    const outcome = failing.catch((error) => error);
    await other.world.advance(700_000);
    expect(await outcome).toMatchObject({ code: ErrorCode.STORE_UNAVAILABLE });
  });
});

async function refuse(): Promise<void> {
  throw new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "away" });
}
