/** A real Prometheus with the rules that are shipped, asking the agents of a real cluster. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { AGENT_UNIT } from "../fleet/host-files.ts";
import { skipReason } from "../harness.ts";
import { baseDocuments, ClusterFleet, clusterFleetProblem } from "./cluster-fleet.ts";

const PROMETHEUS = "/usr/bin/prometheus";
const problem = clusterFleetProblem() ?? (existsSync(PROMETHEUS) ? null : `needs ${PROMETHEUS}`);
const MONITORING = join(import.meta.dirname, "../../../assets/monitoring");
const METRICS_PORT = 9465;
const TOKEN = "a-token-of-the-test-fleet-0123456789";
const TOKEN_PATH = "/etc/wardline-metrics.token";
const LIMIT_MS = 60_000;

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

interface RuleGroup {
  readonly rules: readonly { readonly health: string }[];
}

/** Lets the machines' metrics be asked by everybody. */
const OPEN_METRICS = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: metrics}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: ${METRICS_PORT}}]}]
`;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

describe.skipIf(problem !== null)(`Prometheus and a cluster${skipReason(problem)}`, { timeout: 120_000 }, () => {
  let fleet: Fleet;
  let cluster: ClusterFleet;
  let prometheus: ChildProcess;
  let origin = "";
  const directory = mkdtempSync(join(tmpdir(), "wardline-prometheus-"));

  beforeAll(async () => {
    const agentOptions = ["--metrics-listen", `0.0.0.0:${METRICS_PORT}`, "--metrics-token-file", TOKEN_PATH];
    const names = ["node-1", "node-2", "node-3"];
    fleet = await Fleet.start({ hosts: names.map((name) => ({ name, agent: "stopped" as const, agentOptions })) });
    await Promise.all(
      fleet.hosts.map(async (host) => {
        writeFileSync(host.path(TOKEN_PATH), `${TOKEN}\n`, { mode: 0o600 });
        chmodSync(host.path(TOKEN_PATH), 0o600);
        expect((await host.systemctl("start", AGENT_UNIT)).exitCode).toBe(0);
      }),
    );
    await waitUntil("the agents answer", async () => fleet.hosts.every((host) => existsSync(host.agentSocket)));
    cluster = await ClusterFleet.make(fleet, fleet.hosts);
    await cluster.write(await cluster.leader(), [...baseDocuments(fleet.hosts), OPEN_METRICS]);
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    writeFileSync(join(directory, "token"), TOKEN, { mode: 0o600 });
    const targets = fleet.hosts.map(({ address }) => `${address[4]}:${METRICS_PORT}`);
    const configuration = {
      global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
      rule_files: [join(MONITORING, "alerts.yaml")],
      scrape_configs: [
        {
          job_name: "wardline",
          authorization: { credentials_file: join(directory, "token") },
          static_configs: [{ targets }],
        },
      ],
    };
    // YAML holds JSON.
    writeFileSync(join(directory, "prometheus.yaml"), JSON.stringify(configuration));
    const options = [
      `--config.file=${join(directory, "prometheus.yaml")}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
    ];
    prometheus = spawn(PROMETHEUS, options, { stdio: "ignore" });
    await waitUntil("every agent was scraped", async () => (await ask("up == 1")).length === 3);
  }, 240_000);

  afterAll(async () => {
    prometheus?.kill("SIGKILL");
    await cluster?.close();
    await fleet?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  async function api<Data>(path: string): Promise<Data> {
    const response = await fetch(`${origin}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as { status: string; data: Data; error?: string };
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  }

  const ask = async (question: string) =>
    (await api<{ result: readonly Sample[] }>(`query?query=${encodeURIComponent(question)}`)).result;
  const value = async (question: string) => Number((await ask(question))[0]?.value[1] ?? Number.NaN);

  async function waitUntil(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const endMs = performance.now() + LIMIT_MS;
    for (let last: unknown = null; ; ) {
      try {
        if (await isSo()) return;
        last = null;
      } catch (error) {
        last = error;
      }
      if (performance.now() > endMs) throw new Error(`not in time: ${what} ${last ?? ""}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  it("sees one leader, three healthy members and the set in force, and refuses who has no token", async () => {
    await waitUntil("the set is in force", async () => (await value("max(wardline_policy_sync_lag_seconds)")) === 0);
    expect(await value("sum(wardline_cluster_is_leader)")).toBe(1);
    expect(await value('min(wardline_cluster_members{state="healthy"})')).toBe(3);
    expect(await value('count(wardline_policy_set_number{which="active"} == 1)')).toBe(3);
    expect(await value("min(wardline_cluster_store_endpoints_reachable)")).toBe(3);
    expect(await value("sum(wardline_attached * wardline_enforcing)")).toBe(3);
    expect(await value('sum(wardline_packets_total{verdict="allowed"})')).toBeGreaterThan(0);
    expect(await value("min(wardline_cluster_certificate_expires_seconds)")).toBeGreaterThan(3_600);
    const refused = await fetch(`http://${fleet.hosts[0]?.address[4]}:${METRICS_PORT}/metrics`);
    expect(refused.status).toBe(401);
  });

  it("evaluates every rule and every question of the boards, and has no label that grows", async () => {
    await waitUntil("every rule was evaluated", async () => {
      const { groups } = await api<{ readonly groups: readonly RuleGroup[] }>("rules");
      return groups.length > 0 && groups.every(({ rules }) => rules.every(({ health }) => health === "ok"));
    });
    for (const board of ["hosts", "cluster", "mesh"]) {
      const { panels } = JSON.parse(readFileSync(join(MONITORING, `grafana/${board}.json`), "utf8"));
      for (const { title, targets } of panels)
        for (const { expr } of targets) {
          const question = expr.replaceAll("$__rate_interval", "10s").replaceAll("$instance", ".*");
          await expect(ask(question), `${title}: ${question}`).resolves.toBeDefined();
        }
    }
    const labels = await api<readonly string[]>("labels");
    const known = [
      "__name__",
      "backend",
      "build",
      "cause",
      "detector",
      "error_type",
      "fault",
      "instance",
      "job",
      "le",
      "outcome",
      "peer",
      "provider",
      "state",
      "status",
    ];
    expect(labels.filter((label) => !label.startsWith("alert") && label !== "severity").toSorted()).toEqual(
      [...known, "verdict", "version", "which"].filter((label) => labels.includes(label)).toSorted(),
    );
    const perHost = await value('max(count by (instance) ({__name__=~"wardline_.+"}))');
    expect(perHost).toBeLessThan(200);
  });

  it("counts a failover with its time when the leader's agent is killed", async () => {
    const leader = await cluster.leader();
    const [follower] = cluster.others(leader);
    const instance = `${follower.address[4]}:${METRICS_PORT}`;
    const elections = `wardline_cluster_leader_elections_total{instance="${instance}"}`;
    const before = await value(elections);
    process.kill(await leader.mainPid(AGENT_UNIT), "SIGKILL");
    await waitUntil("an election was counted", async () => (await value(elections)) > before);
    const sum = await value(`wardline_cluster_failover_duration_seconds_sum{instance="${instance}"}`);
    const count = await value(`wardline_cluster_failover_duration_seconds_count{instance="${instance}"}`);
    expect(count).toBeGreaterThan(0);
    expect(sum / count).toBeGreaterThan(0);
    expect(sum / count).toBeLessThan(30);
  });
});
