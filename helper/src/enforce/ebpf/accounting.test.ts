/**
 * Every event that the datapath makes is delivered or counted as lost, by cause, exactly. What is made is known from the
 * packets that were sent: each opens a flow of its own, so it makes one start, or one deny.
 */
import { closeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lookupElement, openPin, possibleCpuCount } from "../../linux/bpf/libbpf.ts";
import { Flooder } from "../../testing/flood.ts";
import { HAND_DECISION, handProgram } from "../../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import type { FlowEvent } from "../enforcer.ts";
import type { EbpfEnforcerConfig } from "./config.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";
import { LAYOUT_VERSION, LOSS } from "./layout.ts";

const UDP = 17;
const TCP = 6;
const OPEN_PORT = 7001;
const CLOSED_PORT = 7002;
const PER_SECOND = 40_000;
const PAGE_BYTES = 4096;
/** On a busy machine. */
const PATIENTLY = { timeout: 40_000 };
const problem = kernelLabProblem();

/** Lets {@link OPEN_PORT} in by UDP and TCP, and nothing else. */
const ONE_PORT = handProgram({
  rules: [UDP, TCP].map((protocol) => ({
    direction: "ingress" as const,
    remote: null,
    protocol,
    port: OPEN_PORT,
    verdict: "allow" as const,
  })),
  otherwise: { ingress: "deny", egress: "allow" },
});

describe.skipIf(problem !== null)(`accounting under flood${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let host: SocketPeer;
  let flooder: Flooder;
  let delivered: FlowEvent[];

  async function openEnforcer(rings: Pick<EbpfEnforcerConfig, "flowRingBytes" | "denyRingBytes">): Promise<void> {
    const { cgroupRoot, bpffsDir } = lab;
    enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: readBpfObject(), ...rings });
    await enforcer.open();
    enforcer.onEvents((events) => void delivered.push(...events));
  }

  async function start(rings: Pick<EbpfEnforcerConfig, "flowRingBytes" | "denyRingBytes">): Promise<void> {
    await openEnforcer(rings);
    enforcer.activate(await enforcer.prepare(ONE_PORT, 1), { mode: "enforce", fallbackAfterMs: null });
    delivered = [];
  }

  /** Loss counters by cause, summed over the CPUs, as the kernel holds them. */
  function losses(): Record<keyof typeof LOSS, number> {
    const fd = openPin(join(lab.bpffsDir, `layout-${LAYOUT_VERSION}`, "wl_losses"));
    if (fd === null) throw new Error("no loss counters");
    const read = (index: number): number => {
      const key = Buffer.alloc(4);
      const value = Buffer.alloc(8 * possibleCpuCount());
      key.writeUInt32LE(index);
      if (index < LOSS.count) lookupElement(fd, key, value);
      return Array.from({ length: possibleCpuCount() }, (_, cpu) => Number(value.readBigUInt64LE(cpu * 8))).reduce(
        (sum, part) => sum + part,
        0,
      );
    };
    const all = Object.entries(LOSS).map(([cause, index]) => [cause, read(index)] as const);
    closeSync(fd);
    return Object.fromEntries(all) as Record<keyof typeof LOSS, number>;
  }

  /** What readers got, by kind, for the ports of the flood. */
  function counts(): { readonly starts: number; readonly denies: number; readonly ends: number } {
    enforcer.drainEvents();
    const of = (kind: FlowEvent["kind"]) => delivered.filter((event) => event.kind === kind).length;
    return { starts: of("start"), denies: of("deny"), ends: of("end") };
  }

  const packetsOf = (decision: number) => Number(enforcer.readCounters()[decision]?.packets ?? 0n);

  beforeEach(async () => {
    delivered = [];
    lab = new KernelLab();
    host = await lab.startSocketPeer("host");
    for (const port of [OPEN_PORT, CLOSED_PORT]) {
      await host.listenUdpSilently(port);
      await host.listenTcp(port);
    }
    flooder = new Flooder(lab);
  });

  afterEach(async () => {
    await enforcer.release();
    await lab.close();
  });

  it("starts of datagrams from many ports: sent = delivered + ring full, with a ring of one page", async () => {
    await start({ flowRingBytes: PAGE_BYTES });
    const sent = await flooder.send({ kind: "udp", port: OPEN_PORT, count: 30_000, perSecond: PER_SECOND });
    const { starts, denies, ends } = counts();
    const lost = losses();
    expect({ sum: starts + lost.flowRingFull, denies, ends }).toEqual({ sum: sent, denies: 0, ends: 0 });
    expect(lost.flowRingFull).toBeGreaterThan(1_000);
    expect(starts).toBeGreaterThan(50);
    expect([lost.denyRingFull, lost.rateLimited]).toEqual([0, 0]);
    expect(packetsOf(HAND_DECISION.firstRule)).toBe(sent);
  });

  it("starts of openings from many sources, whatever becomes of their answers", async () => {
    await start({ flowRingBytes: PAGE_BYTES });
    const sent = await flooder.send({ kind: "syn", port: OPEN_PORT, count: 20_000, perSecond: PER_SECOND });
    const { starts, denies, ends } = counts();
    expect({ sum: starts + losses().flowRingFull, denies, ends }).toEqual({ sum: sent, denies: 0, ends: 0 });
    expect(new Set(delivered.map(tupleOf)).size).toBe(starts);
  });

  it("denies: packets = delivered + rate limited + ring full, with a ring of one page", async () => {
    await start({ denyRingBytes: PAGE_BYTES });
    const udp = await flooder.send({ kind: "udp", port: CLOSED_PORT, count: 20_000, perSecond: PER_SECOND });
    const syn = await flooder.send({ kind: "syn", port: CLOSED_PORT, count: 20_000, perSecond: PER_SECOND });
    const { starts, denies } = counts();
    const lost = losses();
    expect({ starts, made: denies + lost.denyRingFull + lost.rateLimited }).toEqual({ starts: 0, made: udp + syn });
    expect(packetsOf(HAND_DECISION.ingress)).toBe(udp + syn);
    expect(lost.denyRingFull).toBeGreaterThan(1_000);
    expect(lost.flowRingFull).toBe(0);
  });

  it("delivers every deny while the ring of flows overflows", async () => {
    await start({ flowRingBytes: PAGE_BYTES });
    const [allowed, denied] = await Promise.all([
      flooder.send({ kind: "udp", port: OPEN_PORT, count: 30_000, perSecond: PER_SECOND }),
      flooder.send({ kind: "udp", port: CLOSED_PORT, count: 300, perSecond: 400 }),
    ]);
    const { starts, denies } = counts();
    const lost = losses();
    expect({ starts: starts + lost.flowRingFull, denies, lostDenies: lost.denyRingFull + lost.rateLimited }).toEqual({
      starts: allowed,
      denies: denied,
      lostDenies: 0,
    });
    expect(lost.flowRingFull).toBeGreaterThan(1_000);
  });

  it("loses nothing of the account when the reader is replaced in the middle", async () => {
    const rings = { flowRingBytes: 64 * 1024, denyRingBytes: PAGE_BYTES };
    await start(rings);
    const floods = Promise.all([
      flooder.send({ kind: "udp", port: OPEN_PORT, count: 30_000, perSecond: 15_000 }),
      flooder.send({ kind: "udp", port: CLOSED_PORT, count: 30_000, perSecond: 15_000 }),
    ]);
    for (let restart = 0; restart < 3; restart += 1) {
      const before = delivered.length;
      await expect.poll(() => delivered.length, PATIENTLY).toBeGreaterThan(before + 500);
      await enforcer.close();
      await openEnforcer(rings);
    }
    const [allowed, denied] = await floods;
    const { starts, denies } = counts();
    const lost = losses();
    expect({ starts: starts + lost.flowRingFull, denies: denies + lost.denyRingFull + lost.rateLimited }).toEqual({
      starts: allowed,
      denies: denied,
    });
    // No flow twice either.
    expect(new Set(delivered.map(tupleOf)).size).toBe(delivered.length);
  });

  it("limits repeats of one denied flow on each CPU, and counts what it leaves out", async () => {
    await start({});
    const peer = await lab.startSocketPeer("peer");
    const startedMs = performance.now();
    await peer.startUdp(HOST_ADDRESS[4], CLOSED_PORT);
    await expect.poll(() => losses().rateLimited, PATIENTLY).toBeGreaterThan(500);
    const sent = await peer.stopUdp();
    const seconds = Math.ceil((performance.now() - startedMs) / 1000);
    const { denies } = counts();
    expect(denies + losses().rateLimited).toBe(sent);
    expect(denies).toBeGreaterThanOrEqual(4);
    expect(denies).toBeLessThanOrEqual((4 + seconds) * possibleCpuCount());
    await peer.close();
  });
});

function tupleOf({ kind, protocol, sourceAddress, sourcePort, destinationPort }: FlowEvent): string {
  return `${kind} ${protocol} ${sourceAddress} ${sourcePort} ${destinationPort}`;
}
