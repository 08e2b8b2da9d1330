import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { monotonicTimeNs } from "../../linux/bootClock.ts";
import { updateBatch } from "../../linux/bpf/libbpf.ts";
import { kernelLabProblem } from "../../testing/kernelLab.ts";
import { ProgramRunner } from "../../testing/programRunner.ts";
import type { FlowEvent } from "../enforcer.ts";
import { FLOW, FLOW_FLAG, FLOW_KEY } from "./layout.ts";

const UDP = 17;
const IDLE = 9_000;
const BUSY = 1_000;
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

  it("reports each flow that fell idle once, in turns, and leaves the others", async () => {
    enter(0, IDLE, 33n);
    enter(IDLE, BUSY, 20n);
    enter(IDLE + BUSY, 500, 33n, FLOW_FLAG.ended);
    runner.enforcer.sweep();
    // One turn does not take them all; the next ones come by themselves and not after five seconds.
    expect(ends.length).toBeGreaterThan(0);
    expect(ends.length).toBeLessThan(IDLE);
    await expect.poll(() => ends.length, { timeout: 20_000 }).toBe(IDLE);
    runner.enforcer.sweep();
    expect(new Set(ends.map(({ sourcePort }) => sourcePort)).size).toBe(IDLE);
  });
});
