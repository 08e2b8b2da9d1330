import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BUILTIN_DECISIONS } from "@wardline/domain/policy";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bootTimeNs } from "../../../linux/bootClock.ts";
import { type HandProgramOptions, handProgram } from "../../../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../../testing/kernelLab.ts";
import type { SocketPeer } from "../../../testing/socketPeer.ts";
import type { EnforcementMode, FlowEvent } from "../../enforcer.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";

const TCP = 6;
const UDP = 17;
const problem = kernelLabProblem();
const COOKIE_MODULE = fileURLToPath(new URL("./localAddresses.ts", import.meta.url));

/** Allowed: everything in; out only 8001. The host's own addresses are denied by policy and loopback all the same. */
const ONE_PORT_OUT: HandProgramOptions = {
  rules: [TCP, UDP].map((protocol) => ({
    direction: "egress" as const,
    remote: null,
    protocol,
    port: 8001,
    verdict: "allow" as const,
  })),
  otherwise: { ingress: "allow", egress: "deny" },
};

function cookieOf(namespace: string): bigint {
  const script = `import(${JSON.stringify(COOKIE_MODULE)}).then((m) => console.log(String(m.networkNamespaceCookie())))`;
  const output = execFileSync("nsenter", [`--net=${namespace}`, process.execPath, "--no-warnings", "-e", script]);
  return BigInt(output.toString().trim());
}

describe.skipIf(problem !== null)(`connect hooks${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let host: SocketPeer;
  let peer: SocketPeer;
  let generation = 0;
  let events: FlowEvent[] = [];
  let mayTranslate = false;

  async function apply(options: HandProgramOptions, mode: EnforcementMode = "enforce") {
    generation += 1;
    const prepared = await enforcer.prepare(handProgram(options), generation);
    enforcer.activate(prepared, { mode, fallbackAfterMs: null });
  }

  async function setTranslation(value: boolean): Promise<void> {
    mayTranslate = value;
    await enforcer.checkTranslation();
  }

  function drained(): readonly FlowEvent[] {
    enforcer.drainEvents();
    return events;
  }

  beforeAll(async () => {
    lab = new KernelLab();
    const cookie = cookieOf(lab.hostNamespace);
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.cgroupRoot,
      bpffsDir: lab.bpffsDir,
      objectBytes: readBpfObject(),
      vouching: {
        cookie: () => cookie,
        readAddresses: () => ({ addresses: [HOST_ADDRESS[4], HOST_ADDRESS[6]], isComplete: true }),
        mayTranslate: async () => mayTranslate,
        bootNs: bootTimeNs,
      },
    });
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    host = await lab.startSocketPeer("host");
    peer = await lab.startSocketPeer("peer");
    for (const port of [8001, 8002]) {
      await peer.listenTcp(port);
      await peer.listenUdp(port);
    }
    await host.listenTcp(7001);
    await setTranslation(false);
  });

  afterEach(() => {
    enforcer.drainEvents();
    events = [];
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  it.each([4, 6] as const)("refuses a denied TCP connect at once, over IPv%i", async (family) => {
    await apply(ONE_PORT_OUT);
    const start = performance.now();
    expect(await host.connectTcp("no", PEER_ADDRESS[family], 8002, 60_000)).toBe("EPERM");
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(await host.connectTcp("yes", PEER_ADDRESS[family], 8001)).toBe("ok");
    const denied = drained().filter(({ kind }) => kind === "deny");
    expect(denied).toHaveLength(1);
    expect(denied[0]).toMatchObject({
      hook: "connect",
      direction: "egress",
      destinationAddress: PEER_ADDRESS[family],
      destinationPort: 8002,
      sourceAddress: family === 4 ? "0.0.0.0" : "::",
      enforced: "deny",
      process: { userId: 0 },
    });
  });

  it("applies IPv4 policy to an IPv6 socket that connects to a mapped address", async () => {
    await apply(ONE_PORT_OUT);
    expect(await host.connectTcp("mapped", `::ffff:${PEER_ADDRESS[4]}`, 8002, 5000)).toBe("EPERM");
    expect(await host.connectTcp("mapped ok", `::ffff:${PEER_ADDRESS[4]}`, 8001)).toBe("ok");
    expect(drained().find(({ kind }) => kind === "deny")).toMatchObject({ destinationAddress: PEER_ADDRESS[4] });
  });

  it("refuses at once what would go to an overlay that the host has not", async () => {
    const node = "201:5522:b70b:f5f3:9f70:6c05:ad38:9484";
    await apply({ rules: [], otherwise: { ingress: "allow", egress: "allow" } });
    expect(await host.connectTcp("no overlay", node, 8001, 2000)).toBe("EPERM");
    const decision = BUILTIN_DECISIONS.spoofedOverlay.index;
    expect(drained()[0]).toMatchObject({ kind: "deny", hook: "connect", decision, destinationAddress: node });
    enforcer.setOverlay({ name: "", index: 999 });
    expect(await host.connectTcp("no route", node, 8001, 2000)).not.toBe("EPERM");
    enforcer.setOverlay(null);
  });

  it("never refuses the host's own addresses and loopback", async () => {
    await apply(ONE_PORT_OUT);
    for (const address of ["127.0.0.1", "::1", HOST_ADDRESS[4], HOST_ADDRESS[6], `::ffff:${HOST_ADDRESS[4]}`])
      expect(await host.connectTcp(`own ${address}`, address, 7001), address).toBe("ok");
  });

  it("names the process on the flows of both ends", async () => {
    await apply({ rules: [], otherwise: { ingress: "allow", egress: "allow" } });
    expect(await host.connectTcp("named", PEER_ADDRESS[4], 8001)).toBe("ok");
    expect(await host.askUdp(PEER_ADDRESS[4], 8001)).toBe("ok");
    expect(await peer.connectTcp("named in", HOST_ADDRESS[4], 7001)).toBe("ok");
    const starts = drained().filter(({ kind }) => kind === "start");
    expect(starts.map(({ direction, protocol }) => `${direction} ${protocol}`).sort()).toEqual([
      "egress 17",
      "egress 6",
      "ingress 6",
    ]);
    for (const { process: owner, direction, protocol } of starts)
      expect(owner, `${direction} ${protocol}`).toMatchObject({ pid: host.pid, userId: 0 });
  });

  it("leaves it to the packets where addresses may be translated, and where nobody vouches", async () => {
    await apply(ONE_PORT_OUT);
    await setTranslation(true);
    expect(await host.connectTcp("translated", PEER_ADDRESS[4], 8002, 300)).toBe("timeout");
    expect(drained().find(({ kind }) => kind === "deny")).toMatchObject({ hook: "socket", process: { pid: host.pid } });
    await setTranslation(false);
    expect(await host.connectTcp("again", PEER_ADDRESS[4], 8002, 5000)).toBe("EPERM");
  });

  it("reports and refuses nothing here in observe mode", async () => {
    await apply(ONE_PORT_OUT, "observe");
    expect(await host.connectTcp("observed", PEER_ADDRESS[4], 8002)).toBe("ok");
    expect(drained().find(({ kind }) => kind === "deny")).toMatchObject({ hook: "socket", enforced: "allow" });
  });

  it("refuses everything but loopback while the network is closed, and nothing while it is open", async () => {
    await apply(ONE_PORT_OUT);
    enforcer.setEmergency("closed");
    expect(enforcer.state().emergency).toBe("closed");
    expect(await host.connectTcp("closed", PEER_ADDRESS[4], 8001, 5000)).toBe("EPERM");
    expect(await host.connectTcp("closed own", "127.0.0.1", 7001)).toBe("ok");
    enforcer.setEmergency("open");
    expect(await host.connectTcp("open", PEER_ADDRESS[4], 8002)).toBe("ok");
    enforcer.setEmergency("none");
    expect(await host.connectTcp("none", PEER_ADDRESS[4], 8002, 5000)).toBe("EPERM");
    expect(await host.connectTcp("none ok", PEER_ADDRESS[4], 8001)).toBe("ok");
  });

  it("counts a refused connect for its decision", async () => {
    await apply(ONE_PORT_OUT);
    const packets = () => enforcer.readCounters().reduce((sum, counter) => sum + counter.packets, 0n);
    const before = packets();
    for (let attempt = 0; attempt < 5; attempt++)
      expect(await host.connectTcp(`counted ${attempt}`, PEER_ADDRESS[4], 8002, 5000)).toBe("EPERM");
    expect(packets() - before).toBe(5n);
  });
});
