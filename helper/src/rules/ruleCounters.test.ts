import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostProgram } from "@wardline/domain/policy";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { decisionIds } from "../generations/contexts.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { FakeEnforcer, FakeKernel } from "../testing/fakeEnforcer.ts";
import { fakeProgram } from "../testing/fakeEngine.ts";
import { PERSIST_EVERY_MS, RuleCounters, type RuleCountersPorts } from "./ruleCounters.ts";

/** A program whose decisions have these stable ids, in this order. */
function programOf(name: string, ids: readonly string[]): HostProgram {
  const program = fakeProgram(name);
  const [first] = program.decisions;
  if (!first) throw new Error("a program without decisions");
  return { ...program, decisions: ids.map((id, index) => ({ ...first, index, id })) };
}

/** The same numbers from the same seed, so that a failure can be looked at. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A host: its kernel, its disk and the agent that runs on it at the moment. */
class Host {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-rules-"));
  readonly path = join(this.directory, "counters.json");
  readonly clock = new FakeClock();
  readonly warn = vi.fn();
  readonly programs = new Map<number, HostProgram>();
  kernel = new FakeKernel();
  bootId = "boot-1";
  enforcer = new FakeEnforcer(this.clock, this.kernel);
  counters!: RuleCounters;
  #generation = 0;
  #process = { isAlive: true };
  /** What a new process knows by itself: only the program that is in force. */
  #known = new Map<number, HostProgram>();

  async startAgent(over: Partial<RuleCountersPorts> = {}): Promise<void> {
    this.enforcer = new FakeEnforcer(this.clock, this.kernel);
    await this.enforcer.open();
    this.#known = new Map();
    const active = this.enforcer.state().generation;
    const program = this.programs.get(active);
    if (program) this.#known.set(active, program);
    const own = { isAlive: true };
    this.#process = own;
    const { clock } = this;
    this.counters = await RuleCounters.open({
      enforcer: this.enforcer,
      idsOf: (generation, digest) => decisionIds(this.#known.get(generation), digest),
      // Timers end with their process.
      clock: {
        bootNs: () => clock.bootNs(),
        wallMs: () => clock.wallMs(),
        schedule: (delayMs, run) => clock.schedule(delayMs, () => void (own.isAlive && run())),
      },
      bootId: this.bootId,
      path: this.path,
      log: { warn: this.warn },
      ...over,
    });
  }

  async apply(program: HostProgram): Promise<void> {
    this.#generation += 1;
    this.programs.set(this.#generation, program);
    this.#known.set(this.#generation, program);
    const prepared = await this.enforcer.prepare(program, this.#generation);
    this.enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
    // As the agent does after each change.
    void this.counters.persist();
  }

  /** The process ends without a word; what it has begun to write is written. */
  async kill(): Promise<void> {
    await this.counters.settled();
    this.#process.isAlive = false;
    await this.enforcer.close();
  }

  reboot(): void {
    this.kernel = new FakeKernel();
    this.bootId = `${this.bootId}+`;
  }

  packets(ids: readonly string[]): Record<string, number> {
    const totals = this.counters.totals(ids);
    return Object.fromEntries(ids.map((id) => [id, Number(totals.get(id)?.packets ?? 0n)]));
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
  }
}

const IDS = ["a", "b", "c", "d", "e"];
const PROGRAMS = [["a", "b", "c"], ["c", "a"], ["d", "b", "e", "a"], ["e"]].map((ids, index) =>
  programOf(`program ${index}`, ids),
);

describe("RuleCounters", () => {
  let host: Host;

  beforeEach(() => {
    host = new Host();
  });
  afterEach(() => host.close());

  it("counts every packet exactly once over random swaps, restarts, crashes and reboots", async () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      host.close();
      host = new Host();
      const random = randomOf(seed);
      const expected = new Map<string, number>(IDS.map((id) => [id, 0]));
      let onDisk = new Map(expected);
      let current: HostProgram | null = null;
      await host.startAgent();
      const steps: string[] = [];
      for (let step = 0; step < 80; step += 1) {
        const action = random(12);
        const program = PROGRAMS[random(PROGRAMS.length)];
        if (program === undefined) throw new Error("no program");
        if (action < 5 && current !== null) {
          const decision = random(current.decisions.length);
          const id = current.decisions[decision]?.id ?? "";
          const count = 1 + random(50);
          host.enforcer.count(decision, count);
          expected.set(id, (expected.get(id) ?? 0) + count);
          steps.push(`count ${id} ${count}`);
        } else if (action < 8) {
          await host.apply(program);
          await host.counters.settled();
          onDisk = new Map(expected);
          current = program;
          steps.push("apply");
        } else if (action === 8 && host.enforcer.state().previousGeneration > 0) {
          current = host.programs.get(host.enforcer.revert().generation) ?? null;
          steps.push("revert");
        } else if (action === 9) {
          await host.clock.advance(PERSIST_EVERY_MS);
          await host.counters.settled();
          onDisk = new Map(expected);
          steps.push("a minute");
        } else if (action === 10) {
          const isOrderly = random(2) === 0;
          if (isOrderly) {
            await host.counters.close();
            onDisk = new Map(expected);
          }
          await host.kill();
          await host.startAgent();
          steps.push(isOrderly ? "restart" : "crash");
        } else if (action === 11) {
          await host.kill();
          host.reboot();
          // What was counted after the last write went with the kernel.
          for (const [id, count] of onDisk) expected.set(id, count);
          current = null;
          await host.startAgent();
          steps.push("reboot");
        }
        expect(host.packets(IDS), `seed ${seed}: ${steps.join(", ")}`).toEqual(Object.fromEntries(expected));
      }
    }
  });

  it("begins anew with the counters of another tree and goes on with the history", async () => {
    const [program] = PROGRAMS;
    if (!program) throw new Error("no program");
    await host.startAgent();
    await host.apply(program);
    host.enforcer.count(0, 7);
    await host.counters.close();
    await host.kill();
    // Another layout: the same generation in storage that never counted.
    const { slots, active } = host.kernel;
    host.kernel = Object.assign(new FakeKernel(), { slots, active });
    await host.startAgent();
    host.enforcer.count(0, 3);
    expect(host.packets(["a"])).toEqual({ a: 10 });
  });

  it("says when a rule was last hit, by the wall clock, also after a reboot", async () => {
    await host.startAgent();
    await host.apply(programOf("one", ["a"]));
    host.enforcer.count(0, 1);
    const hitAtMs = host.clock.wallMs();
    await host.counters.close();
    await host.kill();
    host.reboot();
    await host.clock.advance(3_600_000);
    await host.startAgent();
    expect(host.counters.totals(["a"])).toEqual(new Map([["a", { packets: 1n, bytes: 100n, lastSeenMs: hitAtMs }]]));
  });

  it("drops the ids that were hit longest ago and that nothing names, and says how many", async () => {
    await host.startAgent({ maxHistory: 3 });
    for (const id of ["a", "b", "c", "d", "e"]) {
      await host.apply(programOf(id, [id]));
      host.enforcer.count(0, 1);
      await host.clock.advance(1_000);
    }
    await host.counters.close();
    // The present and the previous program name d and e.
    expect(host.packets(IDS)).toEqual({ a: 0, b: 0, c: 1, d: 1, e: 1 });
    expect(host.counters.dropped).toBe(2);
    await host.kill();
    await host.startAgent({ maxHistory: 3 });
    expect(host.counters.dropped).toBe(2);
  });

  it("begins anew with a damaged file, says so, and writes a good one", async () => {
    for (const text of ["", "{}", '{"format":2}', '{"format":1,"dropped":0,"totals":[["a","-1","1",0]],"slots":[]}']) {
      writeFileSync(host.path, text);
      host.warn.mockClear();
      await host.startAgent();
      expect(host.warn).toHaveBeenCalledOnce();
      await host.apply(programOf(text, ["a"]));
      host.enforcer.count(0, 2);
      await host.counters.close();
      expect(JSON.parse(readFileSync(host.path, "utf8"))).toMatchObject({ format: 1 });
      await host.kill();
      host.reboot();
    }
  });

  it("goes on counting when the disk cannot be written, says so once, and catches up", async () => {
    await host.startAgent({ path: join(host.directory, "missing/counters.json") });
    await host.apply(programOf("one", ["a"]));
    host.enforcer.count(0, 5);
    for (let minute = 0; minute < 3; minute += 1) {
      await host.clock.advance(PERSIST_EVERY_MS);
      await host.counters.settled();
    }
    expect(host.warn).toHaveBeenCalledOnce();
    await host.apply(programOf("two", ["b", "a"]));
    host.enforcer.count(1, 1);
    expect(host.packets(["a", "b"])).toEqual({ a: 6, b: 0 });
  });

  it("writes a second after a slot was given up or a change was announced, once", async () => {
    await host.startAgent();
    await host.enforcer.prepare(programOf("one", ["a"]), 1);
    host.counters.persistSoon();
    host.counters.persistSoon();
    await host.clock.advance(999);
    await host.counters.settled();
    expect(() => readFileSync(host.path)).toThrow(/ENOENT/);
    await host.clock.advance(1);
    await host.counters.settled();
    expect(JSON.parse(readFileSync(host.path, "utf8"))).toMatchObject({ totals: [] });
  });

  it("leaves the disk alone while nothing is counted", async () => {
    await host.startAgent();
    await host.apply(programOf("one", ["a"]));
    host.enforcer.count(0, 1);
    await host.clock.advance(PERSIST_EVERY_MS);
    await host.counters.settled();
    rmSync(host.path);
    await host.clock.advance(2 * PERSIST_EVERY_MS);
    await host.counters.settled();
    expect(() => readFileSync(host.path)).toThrow(/ENOENT/);
  });
});
