import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootTimeNs, monotonicTimeNs } from "../../linux/bootClock.ts";
import { updateBatch } from "../../linux/bpf/libbpf.ts";
import { kernelLabProblem } from "../../testing/kernelLab.ts";
import { ProgramRunner } from "../../testing/programRunner.ts";
import type { FlowEvent } from "../enforcer.ts";
import { FLOW, FLOW_FLAG, FLOW_KEY } from "./layout.ts";

const UDP = 17;
const IDLE = 9_000;
const BUSY = 1_000;
/** Fewer than the table has room for: it is an LRU of lists for each processor, and throws out before it is full. */
const MANY = 30_000;
const problem = kernelLabProblem();

describe.skipIf(problem !== null)(`the sweep${problem === null ? "" : ` (${problem})`}`, () => {
  let runner: ProgramRunner;
  const ends: FlowEvent[] = [];

  beforeEach(async () => {
    runner = new ProgramRunner();
    await runner.open();
    runner.enforcer.onEvents((events) => void ends.push(...events.filter(({ kind }) => kind === "end")));
  });
  afterEach(() => runner.close());

  /** Enters flows that were seen last so many seconds ago, from ports that follow from `first`. */
  function enter(first: number, count: number, silentSeconds: bigint, flags = 0): void {
    const keys = Buffer.alloc(FLOW_KEY.size * count);
    const values = Buffer.alloc(FLOW.size * count);
    const lastSeenNs = monotonicTimeNs() - silentSeconds * 1_000_000_000n;
    for (let index = 0; index < count; index++) {
      keys.writeUInt16LE(first + index, index * FLOW_KEY.size + FLOW_KEY.remotePort);
      keys.writeUInt8(UDP, index * FLOW_KEY.size + FLOW_KEY.protocol);
      values.writeBigUInt64LE(lastSeenNs, index * FLOW.size + FLOW.lastSeenNs);
      values.writeUInt32LE(flags, index * FLOW.size + FLOW.flags);
    }
    updateBatch(runner.pin("wl_flows"), keys, values, count);
  }

  it("tells of a whole table of living flows, each once, and lets others have their turn", async () => {
    enter(0, MANY, 1n);
    enter(MANY, 500, 1n, FLOW_FLAG.ended);
    const ports = new Set<number>();
    const turnsMs: number[] = [];
    const processorMs = () => process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000;
    let startedMs = processorMs();
    for await (const batch of runner.enforcer.flowProgress(0n)) {
      turnsMs.push(processorMs() - startedMs);
      for (const { sourcePort } of batch) ports.add(sourcePort);
      await new Promise((resolve) => setImmediate(resolve));
      startedMs = processorMs();
    }
    expect(ports.size).toBe(MANY);
    // Half of them: others use this machine, and the collector of garbage and the compiler work beside.
    const usualMs = turnsMs.toSorted((left, right) => left - right)[turnsMs.length >> 1] ?? Number.POSITIVE_INFINITY;
    expect(usualMs).toBeLessThan(5);
    const recently = [];
    for await (const batch of runner.enforcer.flowProgress(bootTimeNs())) recently.push(...batch);
    expect(recently).toEqual([]);
  });

  it("reports each flow that fell idle once, in turns, and leaves the others", async () => {
    enter(0, IDLE, 33n);
    enter(IDLE, BUSY, 20n);
    enter(IDLE + BUSY, 500, 33n, FLOW_FLAG.ended);
    runner.enforcer.sweep();
    // One turn does not take them all; the next ones come by themselves and not after five seconds.
    expect(ends.length).toBeGreaterThan(0);
    expect(ends.length).toBeLessThan(IDLE);
    await expect.poll(() => ends.length, { timeout: 40_000 }).toBe(IDLE);
    runner.enforcer.sweep();
    expect(new Set(ends.map(({ sourcePort }) => sourcePort)).size).toBe(IDLE);
  });
});
