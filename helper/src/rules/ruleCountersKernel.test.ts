import { join } from "node:path";
import type { HostProgram } from "@wardline/domain/policy";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { EbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { decisionIds } from "../generations/contexts.ts";
import { HAND_DECISION, handProgram } from "../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, readBpfObject } from "../testing/kernelLab.ts";
import { RuleCounters } from "./ruleCounters.ts";

const UDP = 17;
const PORT = 7001;
const GENERATIONS = 10;
/** On a busy machine. */
const PATIENTLY = { timeout: 20_000 };
const problem = kernelLabProblem();

/** Allows UDP to {@link PORT} under one stable id, at another index in each generation. */
function programOf(generation: number): HostProgram {
  const others = Array.from({ length: generation % 4 }, (_, index) => 9_000 + generation * 10 + index);
  const rules = [...others, PORT].map((port) => ({
    direction: "ingress" as const,
    remote: null,
    protocol: UDP,
    port,
    verdict: "allow" as const,
  }));
  const program = handProgram({ rules, otherwise: { ingress: "allow", egress: "allow" } });
  const decisions = program.decisions.map((decision) => {
    const port = rules[decision.index - HAND_DECISION.firstRule]?.port;
    return port === undefined ? decision : { ...decision, id: `udp-${port}` };
  });
  return { ...program, decisions };
}

describe.skipIf(problem !== null)(`rule counters of the kernel${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let counters: RuleCounters;
  let programs = new Map<number, HostProgram>();

  async function startAgent(): Promise<void> {
    enforcer = new EbpfEnforcer({ cgroupRoot: lab.cgroupRoot, bpffsDir: lab.bpffsDir, objectBytes: readBpfObject() });
    const { generation } = await enforcer.open();
    programs = new Map([...programs].filter(([number]) => number === generation));
    counters = await RuleCounters.open({
      enforcer,
      idsOf: (number, digest) => decisionIds(programs.get(number), digest),
      clock: systemClock,
      bootId: "this boot",
      path: join(lab.directory, "counters.json"),
      log: { warn: () => {} },
    });
  }

  async function stopAgent(): Promise<void> {
    await counters.close();
    await enforcer.close();
  }

  beforeAll(async () => {
    lab = new KernelLab();
    await startAgent();
  });

  afterAll(async () => {
    await stopAgent();
    await enforcer.release();
    await lab.close();
  });

  it(`counts each packet of a stream once over ${GENERATIONS} generations, a return to the one before, and a restart`, async () => {
    const host = await lab.startSocketPeer("host");
    const peer = await lab.startSocketPeer("peer");
    await host.listenUdp(PORT);
    for (let generation = 1; generation <= GENERATIONS; generation += 1) {
      const program = programOf(generation);
      programs.set(generation, program);
      const prepared = await enforcer.prepare(program, generation);
      enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
      void counters.persist();
      if (generation === 1) await peer.startUdp(HOST_ADDRESS[4], PORT);
      const arrived = await host.countUdp(PORT);
      await expect.poll(() => host.countUdp(PORT), PATIENTLY).toBeGreaterThan(arrived + 20);
      if (generation === 6) {
        enforcer.revert();
        await expect.poll(() => host.countUdp(PORT), PATIENTLY).toBeGreaterThan(arrived + 60);
        enforcer.revert();
      }
      if (generation === 8) {
        await stopAgent();
        await startAgent();
      }
    }
    const sent = await peer.stopUdp();
    await expect.poll(() => host.countUdp(PORT), PATIENTLY).toBe(sent);
    // Each was echoed, and the echo belongs to its flow.
    const total = counters.totals([`udp-${PORT}`]).get(`udp-${PORT}`);
    expect(sent).toBeGreaterThan(GENERATIONS * 20);
    expect(total?.packets).toBe(2n * BigInt(sent));
    expect(total?.bytes).toBe(2n * BigInt(sent) * BigInt(20 + 8 + "probe".length));
    expect(Math.abs((total?.lastSeenMs ?? 0) - Date.now())).toBeLessThan(10_000);
    await peer.close();
    await host.close();
  });
});
