import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { HostProgram } from "@wardline/domain/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BPF_F_INNER_MAP, BPF_F_MMAPABLE, BPF_MAP_TYPE, createMap, possibleCpuCount } from "../../linux/bpf/libbpf.ts";
import { kernelLabProblem } from "../../testing/kernelLab.ts";
import { PacketProbe } from "../../testing/packetProbe.ts";
import { ProgramRunner } from "../../testing/programRunner.ts";
import { ipv4, TCP_FLAG, tcp } from "../../testing/rawPacket.ts";
import { renumberedProgram } from "../../testing/renumberedProgram.ts";
import { maxDecisions } from "./counters.ts";
import type { EbpfEnforcer } from "./ebpfEnforcer.ts";
import { LINE_SIZE } from "./layout.ts";

const PROBES = Number(process.env.WARDLINE_FLIP_PROBES ?? 1_000_000);
const KILLS = 8;
const PREPARE_LOOP = fileURLToPath(new URL("../../testing/prepareLoopMain.ts", import.meta.url));
const STALL_NS = 1_000_000;
const PACE_US = 50;
const STALL_ATTEMPTS = 12;
/** The tables of about a million rules. */
const MANY_LINES = 2 ** 21;
const LOCAL = "198.51.100.254";
const problem = kernelLabProblem();

/** As a slot's tables are when they outgrow their map: the kernel frees it behind the last program that used it. */
function createLargeMap(): number {
  const flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP;
  const shape = { type: BPF_MAP_TYPE.array, name: "wl_tables", keySize: 4, valueSize: LINE_SIZE, flags };
  return createMap({ ...shape, maxEntries: MANY_LINES });
}

describe.skipIf(problem !== null)(`generations${problem === null ? "" : ` (${problem})`}`, () => {
  let runner: ProgramRunner;
  let source = 0;
  beforeEach(async () => {
    runner = new ProgramRunner();
    await runner.open();
  });
  afterEach(() => runner.close());

  async function apply(enforcer: EbpfEnforcer, variant: number, decoys: number, generation: number): Promise<void> {
    const prepared = await enforcer.prepare(renumberedProgram(variant, decoys), generation);
    enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  }

  /** Whether the attached program lets the first packet of a new flow in. */
  function passes(network: string, port: number): boolean {
    source += 1;
    const from = `${network}.${source >> 8}.${source & 255}`;
    return runner.run("ingress", ipv4(from, LOCAL, 6, tcp(40_000, port, TCP_FLAG.syn))).returnValue === 1;
  }

  function expectOnlyTheRule(): void {
    expect(passes("10.1", 80)).toBe(true);
    expect(passes("10.1", 81)).toBe(false);
    expect(passes("172.0", 80)).toBe(false);
    expect(passes("192.0", 80)).toBe(false);
  }

  it(`are never mixed in any of ${PROBES} packets`, { timeout: 300_000 }, async () => {
    let generation = 1;
    await apply(runner.enforcer, 0, 300, generation);
    const { interfaceIndex } = runner;
    const probe = new PacketProbe({ pinPath: runner.pinPath("wardline_ingress"), interfaceIndex, count: PROBES });
    await probe.ready();
    while (probe.isRunning) {
      generation += 1;
      await apply(runner.enforcer, generation, 1 + ((generation * 97) % 700), generation);
      if (generation % 7 === 0) runner.enforcer.revert();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { sent, dropped } = await probe.finished();
    expect({ sent, dropped }).toEqual({ sent: PROBES, dropped: 0 });
    expect(generation).toBeGreaterThan(PROBES / 10_000);
  });

  it("keep deciding, and can be followed by others, when a process is killed while it prepares one", {
    timeout: 240_000,
  }, async () => {
    await apply(runner.enforcer, 3, 100, 1);
    await runner.enforcer.close();
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(
        process.execPath,
        ["--no-warnings", PREPARE_LOOP, runner.cgroupRoot, runner.bpffsDir, String(20_000 + kill)],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      await once(child.stdout, "data");
      await new Promise((resolve) => setTimeout(resolve, kill * 7));
      child.kill("SIGKILL");
      await once(child, "close");
      const next = runner.newEnforcer();
      const state = await next.open();
      expect(next.origin).toBe("adopted");
      expect(state).toMatchObject({ generation: kill + 1, mode: "enforce", attached: true });
      expect(state.programDigest).toBe(renumberedProgram(kill === 0 ? 3 : kill, kill === 0 ? 100 : 50 * kill).digest);
      expectOnlyTheRule();
      // Whatever the dead process left in the other slot, nobody can return to it.
      expect(state.previousGeneration).toBe(0);
      expect(() => next.revert()).toThrow("no earlier generation");
      await apply(next, kill + 1, 50 * (kill + 1), kill + 2);
      expectOnlyTheRule();
      await next.close();
    }
  });

  it("delay no packet by a millisecond when large ones are freed", { timeout: 240_000 }, async () => {
    await apply(runner.enforcer, 1, 100, 1);
    const { interfaceIndex } = runner;
    const pinPath = runner.pinPath("wardline_ingress");
    // Others can take this machine's CPU away; what freeing itself delays, it delays in every attempt.
    const longestNs: number[] = [];
    while (longestNs.length < STALL_ATTEMPTS && !longestNs.some((longest) => longest < STALL_NS)) {
      const fd = createLargeMap();
      const probe = new PacketProbe({ pinPath, interfaceIndex, paceUs: PACE_US });
      await probe.ready();
      closeSync(fd);
      // The kernel frees behind a grace period, in a thread of its own.
      await new Promise((resolve) => setTimeout(resolve, 100));
      const result = await probe.stop();
      expect(result.dropped).toBe(0);
      longestNs.push(result.longestNs);
    }
    expect(Math.min(...longestNs), longestNs.join(" ")).toBeLessThan(STALL_NS);
  });

  it("grow out of their maps and shrink again", async () => {
    let generation = 0;
    for (const decoys of [10, 20_000, 65_000, 10, 5, 60_000, 1]) {
      generation += 1;
      await apply(runner.enforcer, generation, decoys, generation);
      expectOnlyTheRule();
    }
  });

  it("start their counters at zero and leave those of the other slot alone", async () => {
    const { enforcer } = runner;
    const packetsOf = (slot: number): bigint => {
      const counters = enforcer.slotCounters().find(({ generation }) => generation === slot)?.counters ?? [];
      return counters.reduce((sum, { packets }) => sum + packets, 0n);
    };
    await apply(enforcer, 1, 10, 1);
    for (let packet = 0; packet < 5; packet++) passes("10.2", 80);
    await apply(enforcer, 2, 10, 2);
    for (let packet = 0; packet < 3; packet++) passes("10.2", 80);
    expect([packetsOf(1), packetsOf(2)]).toEqual([5n, 3n]);
    enforcer.revert();
    passes("10.2", 80);
    expect([packetsOf(1), packetsOf(2)]).toEqual([6n, 3n]);
    await apply(enforcer, 3, 10, 3);
    expect([packetsOf(1), packetsOf(3)]).toEqual([6n, 0n]);
    passes("10.2", 80);
    expect([packetsOf(1), packetsOf(3)]).toEqual([6n, 1n]);
  });

  it("with more decisions than the host counts are refused before anything is touched", async () => {
    const { enforcer } = runner;
    await apply(enforcer, 1, 10, 1);
    await apply(enforcer, 2, 10, 2);
    const before = enforcer.state();
    const program = renumberedProgram(3, 10);
    const [last] = program.decisions.slice(-1);
    const most = maxDecisions(possibleCpuCount());
    const decisions = Array.from({ length: most + 1 }, (_, index) => program.decisions[index] ?? { ...last, index });
    const tooMany = { ...program, decisions: decisions as HostProgram["decisions"] };
    await expect(enforcer.prepare(tooMany, 3)).rejects.toThrow(`this host counts ${most} at most`);
    expect(enforcer.state()).toEqual(before);
    enforcer.revert();
    expectOnlyTheRule();
    await enforcer.prepare({ ...tooMany, decisions: tooMany.decisions.slice(0, most) }, 3);
  });
});
