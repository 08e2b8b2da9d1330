/** The way of a process from the kernel to the message: real sockets, the real /proc, a real agent's parts. */
import { realpathSync } from "node:fs";
import { type Flow, FlowEventKind, FlowHook } from "@wardline/api/wardline/v1/flow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { UserNames } from "../linux/passwd.ts";
import { handProgram } from "../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../testing/kernelLab.ts";
import type { SocketPeer } from "../testing/socketPeer.ts";
import { Executables } from "./executables.ts";
import { FlowHub, type FlowReader } from "./flowHub.ts";
import { toWireFlow } from "./flowMessage.ts";

const TCP = 6;
const UDP = 17;
const ALLOWED = 7001;
const DENIED = 7002;
const problem = kernelLabProblem();

const PROGRAM = handProgram({
  rules: [TCP, UDP].flatMap((protocol) =>
    (["ingress", "egress"] as const).map((direction) => ({
      direction,
      remote: null,
      protocol,
      port: ALLOWED,
      verdict: "allow" as const,
    })),
  ),
});

describe.skipIf(problem !== null)(`the process behind a flow${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let hub: FlowHub;
  let reader: FlowReader;
  let host: SocketPeer;
  let peer: SocketPeer;
  const users = new UserNames(() => performance.now());
  const seen: Flow[] = [];

  /** Waits for a flow of this kind and port, as a reader of the agent gets it. */
  async function flowOf(kind: FlowEventKind, protocol: number, port: number, sourceAddress: string): Promise<Flow> {
    const find = () =>
      seen.find(
        (flow) =>
          flow.kind === kind &&
          flow.protocol === protocol &&
          flow.destinationPort === port &&
          (flow.sourceAddress === sourceAddress || flow.hook === FlowHook.CONNECT),
      );
    for (let flow = find(); ; flow = find()) {
      if (flow) return flow;
      await reader.changed(5_000, new AbortController().signal);
      const surroundings = {
        hostName: "lab",
        contextOf: () => undefined,
        wallMsOf: () => 0,
        userNameOf: (userId: number) => users.get(userId),
      };
      const taken = reader.take();
      if (taken.length === 0) throw new Error("no such flow");
      seen.push(...taken.map((kept) => toWireFlow(kept, surroundings)));
    }
  }

  const ownProcess = (pid: number) => ({
    pid,
    userId: 0,
    userName: "root",
    executable: realpathSync(process.execPath),
  });

  beforeAll(async () => {
    lab = new KernelLab();
    const { cgroupRoot, bpffsDir } = lab;
    enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: readBpfObject() });
    await enforcer.open();
    const cgroups = { get: () => undefined, learn: async () => {} };
    hub = new FlowHub(enforcer, cgroups, new Executables({ nowMs: () => performance.now() }));
    reader = hub.subscribe(0);
    enforcer.activate(await enforcer.prepare(PROGRAM, 1), { mode: "enforce", fallbackAfterMs: null });
    host = await lab.startSocketPeer("host");
    peer = await lab.startSocketPeer("peer");
    for (const side of [host, peer]) {
      await side.listenTcp(ALLOWED);
      await side.listenUdp(ALLOWED);
    }
  });

  afterAll(async () => {
    hub.close();
    await enforcer.release();
    await lab.close();
  });

  describe.each([4, 6] as const)("IPv%s", (family) => {
    const own = HOST_ADDRESS[family];
    const other = PEER_ADDRESS[family];

    it("is named for what it opens itself", async () => {
      expect(await host.connectTcp("out", other, ALLOWED)).toBe("ok");
      expect(await host.askUdp(other, ALLOWED)).toBe("ok");
      const tcp = await flowOf(FlowEventKind.START, TCP, ALLOWED, own);
      const udp = await flowOf(FlowEventKind.START, UDP, ALLOWED, own);
      for (const flow of [tcp, udp]) {
        expect(flow.hook).toBe(FlowHook.SOCKET);
        expect(flow.process).toMatchObject(ownProcess(host.pid));
        expect(flow.process?.command).not.toBe("");
      }
      await host.disconnect("out");
    });

    it("is named for what it serves", async () => {
      expect(await peer.connectTcp("in", own, ALLOWED)).toBe("ok");
      expect(await peer.askUdp(own, ALLOWED)).toBe("ok");
      for (const protocol of [TCP, UDP]) {
        const flow = await flowOf(FlowEventKind.START, protocol, ALLOWED, other);
        expect(flow.process).toMatchObject(ownProcess(host.pid));
      }
      await peer.disconnect("in");
    });

    it("is named for what it was refused", async () => {
      expect(await host.connectTcp("no", other, DENIED)).not.toBe("ok");
      expect(await host.askUdp(other, DENIED)).toBe("EPERM");
      for (const protocol of [TCP, UDP]) {
        const flow = await flowOf(FlowEventKind.DENY, protocol, DENIED, own);
        expect(flow.process).toMatchObject(ownProcess(host.pid));
      }
    });
  });
});
