import { chownSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { BackendKind, Role } from "@wardline/api/wardline/v1/host";
import { DesiredStateSchema, EnforcementMode, Verdict } from "@wardline/api/wardline/v1/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AgentClient, connectAgent, outcomeOf } from "../testing/agentClient.ts";
import { AGENT_EXECUTABLE_PATH, AGENT_FROM_SOURCE, AgentProcess } from "../testing/agentProcess.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../testing/kernelLab.ts";
import { otherUserProblem } from "../testing/otherUser.ts";
import type { SocketPeer } from "../testing/socketPeer.ts";

const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha, labels: {app: web}}
spec: {addresses: [${HOST_ADDRESS[4]}, "${HOST_ADDRESS[6]}"]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: beta}
spec: {addresses: [${PEER_ADDRESS[4]}, "${PEER_ADDRESS[6]}"]}
`;
const WEB_ONLY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: 8080}]}]
`;

function stateOf(...policies: string[]) {
  const files = [INVENTORY, ...policies].map((text, position) => ({ path: `${position}.yaml`, text }));
  return create(DesiredStateSchema, { files });
}

/** A busy machine needs half of it until the policy is in force and was seen to be. */
const EXPIRES_WITHIN_MS = 15_000;
const problem = kernelLabProblem();

describe.skipIf(problem)(
  `the agent in a process of its own${problem ? ` (${problem})` : ""}`,
  { timeout: 240_000 },
  () => {
    let lab: KernelLab;
    let agent: AgentProcess | null = null;
    let host: SocketPeer;
    let peer: SocketPeer;
    let clients: AgentClient[];
    let command: readonly string[];

    beforeEach(async () => {
      readBpfObject();
      lab = new KernelLab();
      clients = [];
      command = AGENT_FROM_SOURCE;
      host = await lab.startSocketPeer("host");
      peer = await lab.startSocketPeer("peer");
      await host.listenTcp(8080);
      await host.listenTcp(9090);
      await host.listenUdp(9000);
    }, 240_000);

    afterEach(async () => {
      if (agent) {
        await connect()
          .agent.release({ reason: "end of the test" })
          .catch(() => undefined);
        await agent.end("SIGTERM");
      }
      agent = null;
      for (const client of clients) client.close();
      await lab.close();
    }, 240_000);

    const socketPath = () => join(lab.directory, "run", "agent.sock");

    function connect(): AgentClient {
      const client = connectAgent(socketPath());
      clients.push(client);
      return client;
    }

    async function start(...more: string[]): Promise<AgentProcess> {
      const places = [
        "--socket",
        socketPath(),
        "--state-dir",
        join(lab.directory, "state"),
        "--bpffs-dir",
        lab.bpffsDir,
      ];
      const options = [
        ...places,
        "--cgroup-root",
        lab.cgroupRoot,
        "--host-name",
        "alpha",
        "--log-level",
        "warn",
        "--backend",
        "ebpf",
        ...more,
      ];
      agent = await AgentProcess.start(command, options);
      return agent;
    }

    async function apply(base: bigint, confirmWithinMs: number, ...policies: string[]) {
      const state = stateOf(...policies);
      const client = connect().agent;
      const checked = await client.check({ state });
      expect(checked.diagnostics.filter((diagnostic) => diagnostic.severity === 1)).toEqual([]);
      return client.apply({
        state,
        mode: EnforcementMode.ENFORCE,
        expectedProgramDigest: checked.programDigest,
        baseGeneration: base,
        confirmWithin: durationFromMs(confirmWithinMs),
      });
    }

    async function applyAndConfirm(base: bigint, ...policies: string[]): Promise<bigint> {
      const { generation } = await apply(base, 30_000, ...policies);
      const { number = 0n, programDigest = "" } = generation ?? {};
      await connect().agent.confirm({ generation: number, programDigest });
      return number;
    }

    const reach = (port: number, family: 4 | 6 = 4) => peer.connectTcp(`${port}`, HOST_ADDRESS[family], port);

    async function walk(): Promise<void> {
      const { ready } = await start();
      expect(ready).toMatchObject({ ready: true, backend: "ebpf", socket: socketPath() });
      expect(await Promise.all([reach(8080), reach(9090)])).toEqual(["ok", "ok"]);
      expect(await applyAndConfirm(0n, WEB_ONLY)).toBe(1n);
      expect([await reach(8080), await reach(9090), await reach(8080, 6), await reach(9090, 6)]).toEqual([
        "ok",
        "timeout",
        "ok",
        "timeout",
      ]);
      expect(await deniedFlow(9090)).toMatchObject({
        kind: FlowEventKind.DENY,
        verdict: Verdict.DENY,
        enforced: Verdict.DENY,
        sourceName: "beta",
        destinationName: "alpha",
        subjectKey: "Host/alpha",
        decision: { policyKeys: ["NetworkPolicy/default/web"] },
        generation: 1n,
      });
      const { status } = await connect().agent.getStatus({});
      expect(status).toMatchObject({ attached: true, problems: [], info: { backend: BackendKind.EBPF } });
      expect(status?.counters.some((counter) => counter.packets > 0n)).toBe(true);
      expect((await connect().agent.rollback({ generation: 1n })).generation?.number).toBe(0n);
      expect(await reach(9090)).toBe("ok");
    }

    async function deniedFlow(port: number) {
      for await (const { flows } of connect().agent.watchFlows({ history: 1_000 }, { timeoutMs: 60_000 })) {
        const found = flows.find((flow) => flow.destinationPort === port && flow.verdict === Verdict.DENY);
        if (found) return found;
      }
      return null;
    }

    it("applies, enforces, shows the flow that it denied, and rolls back", walk);

    it("ends a policy at its time, without anybody applying anything, and over a kill", async () => {
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
      await applyAndConfirm(0n, WEB_ONLY, opened);
      expect([await reach(8080), await reach(9090)]).toEqual(["ok", "ok"]);
      await expect.poll(() => reach(9090), { timeout: 40_000, interval: 500 }).toBe("timeout");
      expect(await reach(8080)).toBe("ok");
      await agent?.end("SIGKILL");
      await start();
      expect([await reach(8080), await reach(9090)]).toEqual(["ok", "timeout"]);
      const { status } = await connect().agent.getStatus({});
      expect(status).toMatchObject({ problems: [], enforced: { number: 2n }, attached: true });
      expect((await connect().agent.rollback({ generation: 2n })).generation?.number).toBe(0n);
    });

    const isBuilt = existsSync(AGENT_EXECUTABLE_PATH);
    it.skipIf(!isBuilt)(
      `does the same as the single executable${isBuilt ? "" : " (needs npm run build:agent)"}`,
      async () => {
        command = [AGENT_EXECUTABLE_PATH, "run"];
        await walk();
      },
    );

    it("leaks nothing while it is killed and started again, and adopts what is enforced", async () => {
      const first = await start();
      await applyAndConfirm(0n, WEB_ONLY);
      expect(await reach(8080)).toBe("ok");
      const before = await host.countUdp(9000);
      await peer.startUdp(HOST_ADDRESS[4], 9000);
      await first.end("SIGKILL");
      expect([await peer.exchange("8080"), await reach(9090)]).toEqual(["ok", "timeout"]);
      await start();
      const { status } = await connect().agent.getStatus({});
      expect(status).toMatchObject({
        attached: true,
        problems: [],
        enforced: { number: 1n, mode: EnforcementMode.ENFORCE },
      });
      expect([await peer.exchange("8080"), await reach(9090)]).toEqual(["ok", "timeout"]);
      expect((await deniedFlow(9090))?.decision?.policyKeys).toEqual(["NetworkPolicy/default/web"]);
      expect(await peer.stopUdp(101)).toBeGreaterThan(100);
      expect((await host.countUdp(9000)) - before).toBe(0);
    });

    it("is left by the kernel itself when it dies while a generation waits, and rolls back at the next start", async () => {
      const first = await start();
      await applyAndConfirm(0n, WEB_ONLY);
      await apply(1n, 5_000);
      expect(await reach(9090)).toBe("ok");
      await first.end("SIGKILL");
      await expect.poll(() => reach(9090), { timeout: 40_000, interval: 200 }).toBe("timeout");
      await start();
      const { status } = await connect().agent.getStatus({});
      expect(status).toMatchObject({ enforced: { number: 1n }, problems: [] });
      expect(status?.pending).toBeUndefined();
      expect(await reach(9090)).toBe("timeout");
      const { entries } = await connect().agent.listAudit({ limit: 1 });
      expect(entries).toMatchObject([{ actor: "agent", action: "rollback.restart", outcome: "automatic" }]);
    });

    it("rolls back at once when it is started again before the deadline, and by itself when it runs out", async () => {
      const first = await start();
      await applyAndConfirm(0n, WEB_ONLY);
      await apply(1n, 3_600_000);
      expect(await reach(9090)).toBe("ok");
      await first.end("SIGKILL");
      await start();
      expect(await reach(9090)).toBe("timeout");
      await apply(1n, 5_000);
      expect(await reach(9090)).toBe("ok");
      await expect.poll(() => reach(9090), { timeout: 40_000, interval: 200 }).toBe("timeout");
      const { status } = await connect().agent.getStatus({});
      expect(status).toMatchObject({ enforced: { number: 1n }, problems: [] });
    });

    it("refuses a second agent on its socket and says plainly when it only observes", async () => {
      await start();
      await expect(start()).rejects.toThrow(/another agent \(process \d+\)/);
      await agent?.end("SIGTERM");
      const observing = await start("--backend", "observe");
      expect(observing.ready.backend).toBe("observe");
      const { status } = await connect().agent.getStatus({});
      expect(status?.info?.backendLimits[0]).toMatch(/Nothing is enforced/);
      expect(await outcomeOf(apply(0n, 5_000, WEB_ONLY))).toBe("OBSERVE_ONLY");
    });
  },
);

const userProblem = otherUserProblem();

describe.skipIf(userProblem)(`the agent without root${userProblem ? ` (${userProblem})` : ""}`, () => {
  it("only observes, in directories of its user, and gives that user every role", async () => {
    const home = mkdtempSync(join(tmpdir(), "wardline-user-"));
    chownSync(home, 65_534, 65_534);
    const environment = { PATH: process.env.PATH ?? "", HOME: home, XDG_RUNTIME_DIR: home };
    const command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...AGENT_FROM_SOURCE];
    const agent = await AgentProcess.start(command, ["--host-name", "alpha"], environment);
    const client = connectAgent(agent.ready.socket);
    try {
      expect(agent.ready).toMatchObject({ backend: "observe", socket: join(home, "wardline", "agent.sock") });
      const { host, actor, role } = await client.agent.handshake({});
      expect({ actor, role }).toEqual({ actor: "root (0)", role: Role.ADMIN });
      expect(host?.backendReason).toMatch(/root/);
      expect(host?.capabilities).toMatchObject([
        { name: "root", available: false },
        { name: "nftables", available: false },
      ]);
      expect(statSync(join(home, ".local/state/wardline/agent")).mode & 0o777).toBe(0o700);
    } finally {
      client.close();
      await agent.end("SIGTERM");
      rmSync(home, { recursive: true, force: true });
    }
  });
});
