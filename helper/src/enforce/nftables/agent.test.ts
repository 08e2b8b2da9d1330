/** A real agent that enforces with nftables, in the namespace of a lab, judged by real sockets. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { BackendKind, Emergency } from "@wardline/api/wardline/v1/host";
import { DesiredStateSchema, EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AgentClient, connectAgent, outcomeOf } from "../../testing/agentClient.ts";
import { allowPorts } from "../../testing/agentLab.ts";
import { AGENT_FROM_SOURCE, AgentProcess } from "../../testing/agentProcess.ts";
import { LAB_HOST, LAB_PEER, NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { nftablesProblem } from "../../testing/nftablesLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";

const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha, labels: {app: web}}
spec: {addresses: [${LAB_HOST[4]}, "${LAB_HOST[6]}"]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: beta}
spec: {addresses: [${LAB_PEER[4]}, "${LAB_PEER[6]}"]}
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {host: alpha, match: {systemdUnit: db.service}}
`;
const ONLY_FOR_DB = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
`;

/** A busy machine needs half of it until the policy is in force and was seen to be. */
const EXPIRES_WITHIN_MS = 15_000;
const problem = netfilterLabProblem() ?? nftablesProblem();

describe.skipIf(problem !== null)(
  `an agent that enforces with nftables${problem ? ` (${problem})` : ""}`,
  { timeout: 240_000 },
  () => {
    let lab: NetfilterLab;
    let directory: string;
    let agent: AgentProcess | null = null;
    let clients: AgentClient[];
    let host: SocketPeer;
    let peer: SocketPeer;

    beforeEach(async () => {
      lab = new NetfilterLab();
      directory = mkdtempSync(join(tmpdir(), "wardline-nft-agent-"));
      clients = [];
      host = await lab.startSocketPeer("host");
      peer = await lab.startSocketPeer("peer");
      for (const port of [8080, 9090]) await host.listenTcp(port);
      await host.listenUdp(9000);
    }, 240_000);

    afterEach(async () => {
      await agent?.end("SIGTERM");
      agent = null;
      for (const client of clients) client.close();
      await lab.close();
      rmSync(directory, { recursive: true });
    }, 240_000);

    const socketPath = () => join(directory, "agent.sock");

    async function start(backend = "nftables"): Promise<AgentProcess> {
      const places = ["--socket", socketPath(), "--state-dir", join(directory, "state")];
      const options = ["--bpffs-dir", join(directory, "bpf"), "--host-name", "alpha", "--log-level", "fatal"];
      const command = ["nsenter", `--net=${lab.namespacePath("host")}`, ...AGENT_FROM_SOURCE];
      agent = await AgentProcess.start(command, [...places, ...options, "--backend", backend]);
      return agent;
    }

    function connect(): AgentClient["agent"] {
      const client = connectAgent(socketPath());
      clients.push(client);
      return client.agent;
    }

    async function status() {
      const answer = await connect().getStatus({});
      if (!answer.status) throw new Error("no status");
      return answer.status;
    }

    async function apply(base: bigint, confirmWithinMs: number, ...policies: string[]) {
      const files = [INVENTORY, ...policies].map((text, position) => ({ path: `${position}.yaml`, text }));
      const state = create(DesiredStateSchema, { files });
      const { programDigest } = await connect().check({ state });
      return connect().apply({
        state,
        mode: EnforcementMode.ENFORCE,
        expectedProgramDigest: programDigest,
        baseGeneration: base,
        confirmWithin: durationFromMs(confirmWithinMs),
      });
    }

    async function applyAndConfirm(base: bigint, ...policies: string[]): Promise<bigint> {
      const { generation } = await apply(base, 30_000, ...policies);
      const { number = 0n, programDigest = "" } = generation ?? {};
      await connect().confirm({ generation: number, programDigest });
      return number;
    }

    const reach = (port: number, family: 4 | 6 = 4) =>
      peer.connectTcp(`${port}/${family}`, LAB_HOST[family], port, 250);
    const reachable = async () => [await reach(8080), await reach(9090)];

    it("applies, enforces, goes on when it is killed, is adopted, rolls back and is released", async () => {
      const { ready } = await start();
      expect(ready.backend).toBe("nftables");
      expect(await reachable()).toEqual(["ok", "ok"]);
      expect(await applyAndConfirm(0n, allowPorts(8080))).toBe(1n);
      expect(await reachable()).toEqual(["ok", "timeout"]);
      expect([await reach(8080, 6), await reach(9090, 6)]).toEqual(["ok", "timeout"]);
      const running = await status();
      expect(running).toMatchObject({
        attached: true,
        problems: [],
        enforced: { number: 1n, mode: EnforcementMode.ENFORCE },
        info: { backend: BackendKind.NFTABLES },
      });
      expect(running.info?.backendReason).toContain('"inet wardline"');
      expect(running.info?.backendLimits.join(" ")).toContain("counters only");
      expect(running.counters.some(({ packets }) => packets > 0n)).toBe(true);

      const before = await host.countUdp(9000);
      await peer.startUdp(LAB_HOST[4], 9000);
      await agent?.end("SIGKILL");
      expect(await peer.exchange("8080/4")).toBe("ok");
      expect(await reachable()).toEqual(["ok", "timeout"]);
      await start();
      expect(await status()).toMatchObject({ attached: true, problems: [], enforced: { number: 1n } });
      expect(await peer.stopUdp(101)).toBeGreaterThan(100);
      expect((await host.countUdp(9000)) - before, "denied before, between and after").toBe(0);

      expect(await applyAndConfirm(1n, allowPorts(8080, 9090))).toBe(2n);
      expect(await reachable()).toEqual(["ok", "ok"]);
      expect((await connect().rollback({ generation: 2n })).generation?.number).toBe(1n);
      expect(await peer.exchange("9090/4"), "revoked").toBe("timeout");
      expect(await reachable()).toEqual(["ok", "timeout"]);
      await connect().release({ reason: "end of the test" });
      expect(await reachable()).toEqual(["ok", "ok"]);
      expect(lab.inside("host", "nft", ["list", "tables"])).toBe("");
    });

    it("is left by the kernel itself when it dies while a generation waits, and rolls back at the next start", async () => {
      await start();
      await applyAndConfirm(0n, allowPorts(8080));
      await apply(1n, 5_000, allowPorts(8080, 9090));
      expect(await reachable()).toEqual(["ok", "ok"]);
      await agent?.end("SIGKILL");
      await expect.poll(() => reach(9090), { timeout: 40_000, interval: 100 }).toBe("timeout");
      await start();
      const { enforced, pending, problems } = await status();
      expect({ number: enforced?.number, pending, problems }).toEqual({ number: 1n, pending: undefined, problems: [] });
      expect(await reachable()).toEqual(["ok", "timeout"]);
    });

    it("brings back what was confirmed when the kernel lost it, also while it runs, and has a brake", async () => {
      await start();
      await applyAndConfirm(0n, allowPorts(8080));
      await agent?.end("SIGKILL");
      lab.inside("host", "nft", ["flush", "ruleset"]);
      expect(await reachable(), "as after a reboot").toEqual(["ok", "ok"]);
      await start();
      expect(await reachable()).toEqual(["ok", "timeout"]);
      expect(await status()).toMatchObject({ attached: true, enforced: { number: 1n }, problems: [] });

      lab.inside("host", "nft", ["flush", "ruleset"]);
      await expect.poll(() => reach(9090), { timeout: 40_000, interval: 50 }).toBe("timeout");
      const repaired = await status();
      expect(repaired).toMatchObject({ attached: true, enforced: { number: 1n }, problems: [] });
      expect(repaired.info?.backendLimits.join(" ")).toContain("put back (1 time since");
      expect(await applyAndConfirm(1n, allowPorts(9090))).toBe(2n);
      expect(await reachable()).toEqual(["timeout", "ok"]);
      await connect().setEmergency({ emergency: Emergency.CLOSED, reason: "test" });
      expect(await reachable()).toEqual(["timeout", "timeout"]);
      await agent?.end("SIGKILL");
      await start();
      expect(await reachable()).toEqual(["timeout", "timeout"]);
      await connect().setEmergency({ emergency: Emergency.NONE, reason: "test" });
      expect(await reachable()).toEqual(["timeout", "ok"]);
    });

    it("ends a policy at its time, which nftables alone could not", async () => {
      await start();
      const expires = new Date(Date.now() + EXPIRES_WITHIN_MS).toISOString();
      const opened = `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: maintenance}
spec:
  tier: admin
  expires: "${expires}"
  subject: {selector: {matchLabels: {app: web}}}
  ingress: [{from: [{entity: cluster}], ports: [{port: 9090}]}]
`;
      await applyAndConfirm(0n, allowPorts(8080), opened);
      expect(await reachable()).toEqual(["ok", "ok"]);
      await expect.poll(() => reach(9090), { timeout: 40_000, interval: 250 }).toBe("timeout");
      expect(await status()).toMatchObject({ enforced: { number: 2n }, problems: [] });
    });

    it("refuses by name what nftables cannot do, and to start over a table of somebody else", async () => {
      await start();
      await applyAndConfirm(0n, allowPorts(8080));
      const refused = apply(1n, 30_000, allowPorts(8080), ONLY_FOR_DB);
      await expect(refused).rejects.toThrow(/NetworkPolicy\/shop\/db.*Workload\/shop\/db would be treated otherwise/);
      expect(await outcomeOf(apply(1n, 30_000, allowPorts(8080), ONLY_FOR_DB))).toBe("POLICY_UNSUPPORTED");
      expect(await status()).toMatchObject({ enforced: { number: 1n }, problems: [] });
      expect(await reachable()).toEqual(["ok", "timeout"]);
      await connect().release({ reason: "test" });
      await agent?.end("SIGTERM");
      lab.load("table inet wardline { chain c { drop; }; }");
      await expect(start()).rejects.toThrow(/no agent made/);
    });
  },
);
