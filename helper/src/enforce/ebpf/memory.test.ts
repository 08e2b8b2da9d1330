/** What the programs remember of earlier packets (bpf/src/memory.h) saves them work and changes no answer. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootTimeNs } from "../../linux/bootClock.ts";
import { type HandRule, handProgram } from "../../testing/handProgram.ts";
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../testing/kernelLab.ts";
import { ProgramRunner } from "../../testing/programRunner.ts";
import { ipv4, TCP_FLAG, tcp } from "../../testing/rawPacket.ts";
import type { FlowEvent } from "../enforcer.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";

const TCP = 6;
const [LOCAL, REMOTE] = ["198.51.100.1", "203.0.113.9"];
const SERVICE = 443;
const problem = kernelLabProblem();

function outgoing(verdict: HandRule["verdict"], port = SERVICE): HandRule {
  return { direction: "egress", remote: null, protocol: TCP, port, verdict };
}

describe.skipIf(problem !== null)(`the programs' memory${problem === null ? "" : ` (${problem})`}`, () => {
  let runner: ProgramRunner;
  let generation: number;
  const events: FlowEvent[] = [];

  beforeEach(async () => {
    runner = new ProgramRunner();
    generation = 0;
    await runner.open();
    runner.enforcer.onEvents((more) => void events.push(...more));
  });
  afterEach(async () => {
    await runner.close();
    events.length = 0;
  });

  async function apply(rules: readonly HandRule[], fallbackAfterMs: number | null = null): Promise<void> {
    generation += 1;
    const prepared = await runner.enforcer.prepare(handProgram({ rules }), generation);
    runner.enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs });
  }

  /** One packet from a port of ours to a port of theirs. */
  function send(from: number, flags: number, to = SERVICE): "passed" | "dropped" {
    const { returnValue } = runner.run("egress", ipv4(LOCAL, REMOTE, TCP, tcp(from, to, flags)));
    return returnValue === 1 ? "passed" : "dropped";
  }

  function kinds(): readonly string[] {
    runner.enforcer.drainEvents();
    return events.map(({ kind }) => kind);
  }

  it("does not outlive the generation that answered, nor its return", async () => {
    await apply([outgoing("allow")]);
    expect([2001, 2002, 2003].map((port) => send(port, TCP_FLAG.syn))).toEqual(["passed", "passed", "passed"]);
    await apply([outgoing("deny")]);
    expect([2004, 2005].map((port) => send(port, TCP_FLAG.syn))).toEqual(["dropped", "dropped"]);
    runner.enforcer.revert();
    expect(send(2006, TCP_FLAG.syn)).toBe("passed");
    await apply([outgoing("deny")], 300);
    expect(send(2007, TCP_FLAG.syn)).toBe("dropped");
    await expect.poll(() => send(2008, TCP_FLAG.syn), { timeout: 10_000 }).toBe("passed");
  });

  it("tells questions apart that share a place", async () => {
    const ports = Array.from({ length: 2000 }, (_, index) => 1 + index);
    await apply(ports.map((port) => outgoing(port % 3 === 0 ? "deny" : "allow", port)));
    const answers = () => ports.filter((port) => send(10_000 + port, TCP_FLAG.syn, port) === "dropped");
    const denied = ports.filter((port) => port % 3 === 0);
    expect(answers()).toEqual(denied);
    expect(answers()).toEqual(denied);
  });

  it("opens a known tuple anew, and each connection starts and ends once", async () => {
    await apply([outgoing("allow")]);
    for (let turn = 0; turn < 4; turn++) {
      // The second finds the tuple of the first, the ports between are new.
      for (const port of [3000, 3001 + turn])
        expect([send(port, TCP_FLAG.syn), send(port, TCP_FLAG.syn), send(port, TCP_FLAG.rst)]).toEqual([
          "passed",
          "passed",
          "passed",
        ]);
    }
    expect(kinds().filter((kind) => kind === "start")).toHaveLength(8);
    const ends = events.filter(({ kind }) => kind === "end");
    expect(ends.map(({ packets }) => packets)).toEqual(Array(8).fill(3n));
  });
});

describe.skipIf(problem !== null)(`the time of an event${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  const events: FlowEvent[] = [];

  beforeEach(async () => {
    lab = new KernelLab();
    enforcer = new EbpfEnforcer({ cgroupRoot: lab.cgroupRoot, bpffsDir: lab.bpffsDir, objectBytes: readBpfObject() });
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
  });
  afterEach(async () => {
    await enforcer.release();
    await lab.close();
  });

  it("is that of the packet, in the order of what happened", async () => {
    const host = await lab.startSocketPeer("host");
    const peer = await lab.startSocketPeer("peer");
    await peer.listenTcp(8001);
    const program = handProgram({ rules: [], otherwise: { ingress: "allow", egress: "allow" } });
    enforcer.activate(await enforcer.prepare(program, 1), { mode: "enforce", fallbackAfterMs: null });
    const times: bigint[] = [];
    for (let turn = 0; turn < 5; turn++) {
      times.push(bootTimeNs());
      expect(await host.connectTcp("out", PEER_ADDRESS[4], 8001)).toBe("ok");
      times.push(bootTimeNs());
      await host.disconnect("out");
      await expect
        .poll(() => {
          enforcer.drainEvents();
          return events.filter(({ kind }) => kind === "end").length;
        })
        .toBe(turn + 1);
    }
    times.push(bootTimeNs());
    const told = events.map(({ kind, bootNs }) => ({ kind, bootNs }));
    expect(told.map(({ kind }) => kind)).toEqual(Array(5).fill(["start", "end"]).flat());
    // before, start, after, end; and so on.
    const inOrder = told.flatMap(({ bootNs }, index) => [times[index] ?? 0n, bootNs]);
    expect(inOrder).toEqual(inOrder.toSorted((left, right) => (left < right ? -1 : 1)));
  });
});
