/** A console and three real agents on one etcd with mutual TLS, all made from the console. Nothing is enforced. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import type { ClusterList } from "@wardline/api/wardline/console/v1/activity";
import { HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import { inOrder } from "@wardline/domain/testing";
import { freePort } from "@wardline/domain/testing/machine";
import { describe, expect } from "vitest";
import { CliSandbox, type RunningCli } from "../../cli/testing/run-cli.ts";
import { InProcessCli } from "../../cli/testing/run-in-process.ts";
import { GOOD_POLICY } from "../../cli/testing/samples.ts";
import { UnixSocketDialer } from "../agent/unix-dialer.ts";
import { startTestConsole, type TestConsole } from "../testing/console.ts";

const problem = spawnSync("etcd", ["--version"]).status === 0 ? null : "etcd is not installed";
const NAMES = ["alpha", "b", "c"] as const;
const WEB = "networkpolicy/default/web";

describe.skipIf(problem !== null)(`a cluster made from the console${problem ? ` (${problem})` : ""}`, () => {
  let sandbox: CliSandbox;
  let cli: InProcessCli;
  const socketOf = (name: string) => sandbox.path(`run/${name}.sock`);
  const agents = new Map<string, RunningCli>();
  let leaving: AbortController;
  let etcd: ChildProcess | null = null;
  let tester: TestConsole;
  let shown: ClusterList | null = null;
  const step = inOrder({ begin, end });

  async function begin(): Promise<void> {
    sandbox = new CliSandbox();
    cli = new InProcessCli(socketOf("alpha"));
    leaving = new AbortController();
    shown = null;
    for (const name of NAMES) {
      const places = ["--socket", socketOf(name), "--state-dir", sandbox.path(name)];
      agents.set(name, sandbox.start(["agent", "run", ...places, "--backend", "observe", "--host-name", name]));
    }
    await Promise.all([...agents.values()].map((agent) => agent.waitFor('"ready":true')));
    tester = startTestConsole(undefined, {
      dialer: new UnixSocketDialer(socketOf("alpha")),
      introducesLocalHost: false,
      remoteDialer: (record) => new UnixSocketDialer(socketOf(record().access?.address ?? "")),
    });
    const rest = { groups: [], environment: null, documentName: "" };
    tester.backend.manager.add(
      ["b", "c"].map((name, addedAtMs) => {
        const access = create(HostAccessSchema, { address: name });
        return { ...rest, id: name, alias: name, access, addedAtMs };
      }),
    );
    await Promise.all(tester.backend.registry.hosts.map(({ connection }) => connection.client()));
  }

  async function end(): Promise<void> {
    leaving.abort();
    await tester?.close();
    cli.dispose();
    if (etcd && etcd.exitCode === null && etcd.signalCode === null) {
      etcd.kill("SIGKILL");
      await once(etcd, "exit");
    }
    etcd = null;
    await sandbox.dispose();
  }

  const status = () => shown?.clusters[0]?.status;
  const active = (name: string) =>
    status()?.members.find(({ record }) => record?.name === name)?.report?.activeSetNumber ?? null;
  const until = (read: () => unknown) => expect.poll(read, { timeout: 90_000, interval: 50 });
  const sync = async (text: string, reason: string) => {
    const { workspace } = tester.backend;
    workspace.save("web.yaml", text, workspace.snapshot().files[0]?.revision ?? 0);
    const { planId } = await tester.clusters.planSync({ clusterName: "prod" });
    return (await tester.clusters.sync({ planId, reason, observeOnly: true })).outcome;
  };

  step("begins on one host, moves to etcd with a certificate of its own, and lets the others in", async () => {
    const peerAddress = `127.0.0.1:${await freePort()}`;
    await tester.clusters.createCluster({ hostId: "local", cluster: { clusterName: "prod", peerAddress } });
    const tls = sandbox.path("tls");
    const issued = await cli.run("cluster", "certificate", "etcd-1", "--out", tls, "--ip", "127.0.0.1");
    expect(issued).toMatchObject({ exitCode: 0 });
    const endpoint = await startEtcd(tls);
    await expect
      .poll(() => cli.run("cluster", "backend", "test", "--etcd", endpoint), { timeout: 60_000, interval: 300 })
      .toMatchObject({ exitCode: 0 });
    const moved = await cli.run("cluster", "backend", "set", "--etcd", endpoint, "--yes");
    expect(moved).toMatchObject({ exitCode: 0 });
    await tester.backend.clusters.hosts.probe(tester.backend.registry.local);
    const hosts = await Promise.all(
      ["b", "c"].map(async (hostId) => ({
        ...{ hostId, peerAddress: `127.0.0.1:${await freePort()}`, candidate: hostId === "b" },
      })),
    );
    const { results } = await tester.clusters.joinHosts({ clusterName: "prod", hosts });
    expect(results.map(({ problem: why }) => why?.message)).toEqual([undefined, undefined]);
    void (async () => {
      for await (const list of tester.backend.services.clusters.follow(leaving.signal)) shown = list;
    })();
    await until(() => status()?.members.map(({ state }) => state)).toEqual(Array(3).fill(MemberState.HEALTHY));
    expect(shown?.clusters[0]?.hostIds).toEqual({ alpha: "local", b: "b", c: "c" });
  });

  step("brings the workspace to every host", async () => {
    const outcome = await sync(GOOD_POLICY, "first");
    expect(outcome?.written.map(({ key, version }) => [key, version])).toEqual([[WEB, 1n]]);
    await until(() => NAMES.map(active)).toEqual([1n, 1n, 1n]);
  });

  step("goes on through another member, and writes to the new leader, when the old one is killed", async () => {
    await until(() => status()?.currentTerm?.leader).toBe("alpha");
    const term = status()?.currentTerm?.number ?? 0n;
    await agents.get("alpha")?.stop("SIGKILL");
    const outcome = await sync(GOOD_POLICY.replace("443", "8443"), "second");
    expect(outcome?.head?.setNumber).toBe(2n);
    expect(outcome?.head?.term).toBeGreaterThan(term);
    await until(() => [active("b"), active("c")]).toEqual([2n, 2n]);
    await until(() => status()?.currentTerm?.leader).toBe("b");
    await tester.clusters.removeMember({ clusterName: "prod", memberName: "alpha", reason: "dead" });
    await until(() => Object.keys(shown?.clusters[0]?.hostIds ?? {}).sort()).toEqual(["b", "c"]);
  });

  async function startEtcd(tls: string): Promise<string> {
    const [client, peer] = [await freePort(), await freePort()];
    const [clientUrl, peerUrl] = [`https://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
    const logPath = sandbox.path("etcd.log");
    const log = openSync(logPath, "w");
    etcd = spawn(
      "etcd",
      [
        ...["--data-dir", sandbox.path("etcd"), "--client-cert-auth", "--trusted-ca-file", `${tls}/ca.crt`],
        ...["--cert-file", `${tls}/etcd-1.crt`, "--key-file", `${tls}/etcd-1.key`],
        ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", `default=${peerUrl}`],
      ],
      { stdio: ["ignore", log, log] },
    );
    closeSync(log);
    await expect
      .poll(() => readFileSync(logPath, "utf8"), { timeout: 60_000, interval: 100 })
      .toMatch(/serving client|ready to serve client requests/);
    return clientUrl;
  }
});

/** One that nobody listens on now. */
