/**
 * Bytes of each end of a flow against what was really sent: payload of known sizes, and what the interface itself counted.
 */
import { execFileSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { monotonicTimeNs } from "../../linux/bootClock.ts";
import { EdgeLab, FAR_ADDRESS, PEER_ADDRESS as NEAR_ADDRESS } from "../../testing/edgeLab.ts";
import { handProgram } from "../../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import type { FlowEvent, FlowProgress } from "../enforcer.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";

const TCP = 6;
const UDP = 17;
const PORT = 7300;
const ETHERNET_BYTES = 14;
const IP_HEADER_BYTES = { 4: 20, 6: 40 } as const;
const UDP_HEADER_BYTES = 8;
/** Address resolution, and acknowledgements after the second FIN, which come when the end was told. */
const NOISE_BYTES = 2_000;
/** What a flow table may not know of one direction: FOLD_AFTER_PACKETS, and the last packet is one of up to 64 KiB. */
const MOST_PENDING_BYTES = 1024 * 1500 + 65_536;
const LARGE = { sent: 9_000_000, received: 4_000_000 } as const;
const SMALL = { sent: 2_000, received: 700 } as const;
const PATIENTLY = { timeout: 40_000 };
const problem = kernelLabProblem();
const because = problem === null ? "" : ` (${problem})`;

const EVERYTHING = handProgram({ rules: [], otherwise: { ingress: "allow", egress: "allow" } });
const NOTHING = handProgram({ rules: [] });

class Followed {
  readonly #enforcer: EbpfEnforcer;
  readonly #events: FlowEvent[] = [];
  #generation = 0;

  constructor(enforcer: EbpfEnforcer) {
    this.#enforcer = enforcer;
    enforcer.onEvents((events) => void this.#events.push(...events));
  }

  async apply(program: typeof EVERYTHING): Promise<void> {
    this.#generation += 1;
    const prepared = await this.#enforcer.prepare(program, this.#generation);
    this.#enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  }

  /** Every living flow to the service. */
  async living(protocol: number, since = 0n): Promise<readonly FlowProgress[]> {
    const found: FlowProgress[] = [];
    for await (const batch of this.#enforcer.flowProgress(since)) found.push(...batch);
    return found.filter((flow) => flow.protocol === protocol && flow.destinationPort === PORT);
  }

  async only(protocol: number): Promise<FlowProgress> {
    const [flow, ...more] = await this.living(protocol);
    if (!flow || more.length > 0) throw new Error(`${more.length + (flow ? 1 : 0)} flows`);
    return flow;
  }

  events(kind: FlowEvent["kind"], protocol: number): readonly FlowEvent[] {
    this.#enforcer.drainEvents();
    return this.#events.filter((event) => event.kind === kind && event.protocol === protocol);
  }

  async end(protocol: number): Promise<FlowEvent> {
    await expect.poll(() => this.events("end", protocol).length, PATIENTLY).toBe(1);
    const [end] = this.events("end", protocol);
    if (!end) throw new Error("no end");
    return end;
  }

  forget(): void {
    this.#enforcer.drainEvents();
    this.#events.length = 0;
  }
}

describe.skipIf(problem !== null)(`bytes of each end of a flow${because}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let flows: Followed;
  let host: SocketPeer;
  let peer: SocketPeer;
  let skewNs = 0n;

  /** Bytes of IP packets that passed the host's interface, as the interface counts. */
  function onTheWire(): { readonly out: number; readonly into: number } {
    const text = execFileSync("ip", ["-n", `${lab.name}-host`, "-j", "-s", "link", "show", "eth0"]).toString();
    const [link] = JSON.parse(text) as [{ stats64: Record<"rx" | "tx", { bytes: number; packets: number }> }];
    const ipBytes = ({ bytes, packets }: { bytes: number; packets: number }) => bytes - packets * ETHERNET_BYTES;
    return { out: ipBytes(link.stats64.tx), into: ipBytes(link.stats64.rx) };
  }

  beforeAll(async () => {
    lab = new KernelLab();
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.cgroupRoot,
      bpffsDir: lab.bpffsDir,
      objectBytes: readBpfObject(),
      monotonicNs: () => monotonicTimeNs() + skewNs,
    });
    await enforcer.open();
    flows = new Followed(enforcer);
    [host, peer] = await Promise.all([lab.startSocketPeer("host"), lab.startSocketPeer("peer")]);
    await Promise.all([host.serveTransfers(PORT), peer.serveTransfers(PORT)]);
    await flows.apply(EVERYTHING);
  });

  afterEach(() => {
    // Nothing of one test is alive in the next.
    skewNs = 6n * 86_400n * 1_000_000_000n;
    enforcer.sweep();
    skewNs = 0n;
    flows.forget();
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  describe.each([4, 6] as const)("IPv%i", (family) => {
    it.each(["egress", "ingress"] as const)(
      "of a TCP connection, %s: while it lasts, and at its end",
      async (direction) => {
        const client = direction === "egress" ? host : peer;
        const address = (direction === "egress" ? PEER_ADDRESS : HOST_ADDRESS)[family];
        const source = (direction === "egress" ? HOST_ADDRESS : PEER_ADDRESS)[family];
        const to = { address, port: PORT };
        const before = onTheWire();

        expect(await client.transferTcp("lasting", to, SMALL)).toBe("ok");
        const [start] = flows.events("start", TCP);
        expect(start).toMatchObject({ direction, packets: 1n, responderBytes: 0n, sourceAddress: source });
        const first = await flows.only(TCP);
        expect(first).toMatchObject({ direction, hook: "socket", verdict: "allow", enforced: "allow", generation: 1 });
        expect(first).toMatchObject({
          sourceAddress: source,
          sourcePort: start?.sourcePort,
          cgroupId: start?.cgroupId,
        });

        expect(await client.transferTcp("lasting", to, LARGE)).toBe("ok");
        const second = await flows.only(TCP);
        expect(second.originatorBytes).toBeGreaterThan(LARGE.sent - MOST_PENDING_BYTES);
        expect(second.responderBytes).toBeGreaterThan(LARGE.received - MOST_PENDING_BYTES);
        expect(second.lastSeenBootNs).toBeGreaterThan(first.lastSeenBootNs - 1n);
        // What is silent is not read again.
        expect(await flows.living(TCP, second.lastSeenBootNs + 1_000_000_000n)).toEqual([]);

        await client.disconnect("lasting");
        const end = await flows.end(TCP);
        const after = onTheWire();
        const [out, into] = [after.out - before.out, after.into - before.into];
        const wire = direction === "egress" ? [out, into] : [into, out];
        const sent = BigInt(SMALL.sent + LARGE.sent);
        const received = BigInt(SMALL.received + LARGE.received);
        expect(end.bytes).toBe(end.originatorBytes + end.responderBytes);
        expect(end.originatorBytes).toBeGreaterThan(sent);
        expect(end.responderBytes).toBeGreaterThan(received);
        for (const [counted, onWire = 0] of [
          [end.originatorBytes, wire[0]],
          [end.responderBytes, wire[1]],
        ] as const)
          expect(Math.abs(Number(counted) - onWire), `${counted} of ${onWire}`).toBeLessThan(NOISE_BYTES);
        for (const key of ["packets", "originatorBytes", "responderBytes"] as const)
          expect(end[key] - second[key] >= 0n && second[key] - first[key] >= 0n, key).toBe(true);
        expect(await flows.living(TCP)).toEqual([]);
      },
    );

    it("of datagrams and their answers, to the byte, from the moment their socket is closed", async () => {
      const headers = IP_HEADER_BYTES[family] + UDP_HEADER_BYTES;
      for (const [client, address, count] of [
        [host, PEER_ADDRESS[family], 60],
        [peer, HOST_ADDRESS[family], 5],
        [host, PEER_ADDRESS[family], 3],
      ] as const) {
        const sizes = { sent: 700, received: 90 };
        expect(await client.transferUdp({ address, port: PORT }, sizes, count)).toBe("ok");
        const exactly = {
          packets: BigInt(2 * count),
          originatorBytes: BigInt(count * (sizes.sent + headers)),
          responderBytes: BigInt(count * (sizes.received + headers)),
        };
        // A server's socket stays open: it may still hold what passed by it alone.
        if (client === host) expect(await flows.only(UDP)).toMatchObject(exactly);
        skewNs = 100n * 1_000_000_000n;
        enforcer.sweep();
        skewNs = 0n;
        const end = await flows.end(UDP);
        if (client === host) expect(end).toMatchObject({ ...exactly, direction: "egress" });
        flows.forget();
      }
    });
  });

  it("add up over a permission that was lost and came back", async () => {
    const to = { address: PEER_ADDRESS[4], port: PORT };
    expect(await host.transferTcp("cut", to, LARGE)).toBe("ok");
    const carried = await flows.only(TCP);
    await flows.apply(NOTHING);
    const waiting = host.transferTcp("cut", to, LARGE);
    const cut = await flows.end(TCP);
    expect(cut.originatorBytes).toBeGreaterThanOrEqual(carried.originatorBytes);
    expect(await flows.living(TCP)).toEqual([]);
    flows.forget();
    await flows.apply(EVERYTHING);
    expect(await waiting).toBe("ok");
    await host.disconnect("cut");
    const end = await flows.end(TCP);
    const all = [cut, end].map(({ originatorBytes }) => Number(originatorBytes)).reduce((sum, part) => sum + part, 0);
    expect(flows.events("start", TCP)).toHaveLength(1);
    expect(all).toBeGreaterThan(2 * LARGE.sent);
    expect(Number(end.originatorBytes)).toBeLessThan(1.3 * LARGE.sent);
  });
});

describe.skipIf(problem !== null)(`bytes of each end of a forwarded flow${because}`, () => {
  let lab: EdgeLab;
  let enforcer: EbpfEnforcer;

  afterEach(async () => {
    await enforcer.release();
    await lab.close();
  });

  it.each([4, 6] as const)("IPv%i: TCP while it lasts and at its end, datagrams to the byte", async (family) => {
    lab = new EdgeLab();
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.kernel.cgroupRoot,
      bpffsDir: lab.kernel.bpffsDir,
      objectBytes: readBpfObject(),
      networkNamespace: lab.kernel.hostNamespace,
      edge: { isInner: () => false },
    });
    await enforcer.open();
    const flows = new Followed(enforcer);
    const peer = await lab.kernel.startSocketPeer("peer");
    const far = await lab.startFar();
    await far.serveTransfers(PORT);
    await flows.apply(EVERYTHING);
    const to = { address: FAR_ADDRESS[family], port: PORT };
    expect(await peer.transferTcp("through", to, LARGE)).toBe("ok");
    const seen = await flows.only(TCP);
    expect(seen).toMatchObject({ hook: "edge", direction: "ingress", sourceAddress: NEAR_ADDRESS[family] });
    expect(seen.originatorBytes).toBeGreaterThan(LARGE.sent);
    expect(seen.responderBytes).toBeGreaterThan(LARGE.received);
    await peer.disconnect("through");
    const end = await flows.end(TCP);
    // Each packet of a forwarded flow is followed in the table, so nothing is missing; only the farewell comes after.
    expect(Number(end.originatorBytes - seen.originatorBytes)).toBeLessThan(NOISE_BYTES);
    expect(Number(end.responderBytes - seen.responderBytes)).toBeLessThan(NOISE_BYTES);
    expect(await peer.transferUdp(to, { sent: 300, received: 40 }, 20)).toBe("ok");
    const headers = IP_HEADER_BYTES[family] + UDP_HEADER_BYTES;
    expect(await flows.only(UDP)).toMatchObject({
      packets: 40n,
      originatorBytes: BigInt(20 * (300 + headers)),
      responderBytes: BigInt(20 * (40 + headers)),
    });
  });
});
