/** From a registration at a real agent's socket to packets that a real kernel lets through. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AgentClient, connectAgent } from "../../testing/agentClient.ts";
import { AgentLab } from "../../testing/agentLab.ts";
import { eventually } from "../../testing/discoveryLab.ts";
import { HOST_ADDRESS, kernelLabProblem, PEER_ADDRESS } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";

const problem = kernelLabProblem();
const PORT = 7001;
const OPEN_PORT = 7002;
const WITHIN_MS = 1_000;
/** Datagrams are tried one after the other; so long each is waited for. */
const PROBE_MS = 15;

/** Whoever has the label may use one port; the other one is open to all, so that there is something to count. */
const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{protocol: UDP, port: ${PORT}}]
    - ports: [{protocol: UDP, port: ${OPEN_PORT}}]
`;

const INSTANCE = {
  namespace: "default",
  service: "clients",
  address: PEER_ADDRESS[4],
  port: 9_000,
  labels: { app: "client" },
};

describe.skipIf(problem)(
  `a service in the tables of a kernel${problem ? ` (${problem})` : ""}`,
  { timeout: 240_000 },
  () => {
    let lab: AgentLab;
    let peer: SocketPeer;
    let client: AgentClient;

    beforeAll(async () => {
      lab = new AgentLab();
      await lab.start();
      await lab.applyAndConfirm(0n, POLICY);
      const host = await lab.kernel.startSocketPeer("host");
      await host.listenUdp(PORT);
      await host.listenUdp(OPEN_PORT);
      peer = await lab.kernel.startSocketPeer("peer");
      client = connectAgent(lab.socketPath);
    }, 240_000);

    afterAll(async () => {
      client.close();
      await lab.agent?.end("SIGTERM");
      await lab.run("uninstall");
      await lab.close();
    }, 240_000);

    const isAllowed = async () => (await peer.askUdp(HOST_ADDRESS[4], PORT, 16, PROBE_MS)) === "ok";

    /** How long after the answer to the change the packets agree with it. */
    async function untilPackets(allowed: boolean, change: () => Promise<unknown>): Promise<number> {
      const startMs = performance.now();
      await change();
      await eventually(isAllowed, (seen) => seen === allowed, 60_000);
      return performance.now() - startMs;
    }

    const register = () => client.cluster.registerService({ instance: INSTANCE });
    const deregister = () => client.cluster.deregisterService({ namespace: "default", service: "clients" });

    it("is let in within a second of its registration and shut out within one of its end, again and again", async () => {
      expect(await isAllowed()).toBe(false);
      // The store of a host that is alone is made at the first registration.
      await untilPackets(true, register);
      await untilPackets(false, deregister);
      const appear: number[] = [];
      const vanish: number[] = [];
      const isSlow = (times: readonly number[]) => Math.min(...times) >= WITHIN_MS;
      // On a machine that is busy with others some rounds take longer, but not all.
      for (let round = 0; round < 4 || (round < 16 && (isSlow(appear) || isSlow(vanish))); round++) {
        // A change that comes by itself, and one that comes right after another.
        await new Promise((resolve) => setTimeout(resolve, 300));
        appear.push(await untilPackets(true, register));
        vanish.push(await untilPackets(false, deregister));
      }
      const shown = (times: readonly number[]) => times.map(Math.round).sort((a, b) => a - b);
      console.info("change to packets, ms:", { appear: shown(appear), vanish: shown(vanish) });
      expect(Math.min(...appear)).toBeLessThan(WITHIN_MS);
      expect(Math.min(...vanish)).toBeLessThan(WITHIN_MS);
    });

    it("is no apply: who applied what, when, and what was counted stay", async () => {
      await peer.askUdp(HOST_ADDRESS[4], OPEN_PORT);
      const before = await lab.status();
      const packetsOf = ({ counters }: typeof before) => counters.reduce((sum, { packets }) => sum + packets, 0n);
      expect(packetsOf(before)).toBeGreaterThan(0n);
      await untilPackets(true, register);
      const after = await lab.status();
      const what = ({ enforced }: typeof before) => {
        const { appliedAt, appliedBy, stateDigest, policyCount } = enforced ?? {};
        return { appliedAt, appliedBy, stateDigest, policyCount };
      };
      expect(what(after)).toEqual(what(before));
      expect(after.pending).toBeUndefined();
      expect(packetsOf(after)).toBeGreaterThanOrEqual(packetsOf(before));
      const idsOf = ({ counters }: typeof before) =>
        counters.filter(({ packets }) => packets > 0n).map((one) => one.decisionId);
      expect(idsOf(after)).toEqual(expect.arrayContaining(idsOf(before)));
      // A plan that was made before is still one.
      const applied = await lab.apply(before.enforced?.number ?? 0n, 30_000, POLICY);
      const { number = 0n, programDigest = "" } = applied.generation ?? {};
      await lab.connect().confirm({ generation: number, programDigest });
      expect(await isAllowed()).toBe(true);
    });

    it("is in them again after the agent was killed, and after a reboot, before anybody asked the store", async () => {
      await lab.agent?.end("SIGKILL");
      expect(await isAllowed()).toBe(true);
      await lab.loseKernel();
      const { stdout, stderr, exitCode } = await lab.run("boot");
      expect({ exitCode, stderr }, stdout).toMatchObject({ exitCode: 0 });
      expect(await isAllowed()).toBe(true);
      await lab.start();
      expect(await lab.status()).toMatchObject({ attached: true, problems: [] });
      expect(await isAllowed()).toBe(true);
    });
  },
);
