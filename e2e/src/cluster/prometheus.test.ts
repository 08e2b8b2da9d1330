/** A real Prometheus with the rules that are shipped, asking the agents of a real cluster. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@wardline/domain/testing/machine";
import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { AGENT_UNIT } from "../fleet/host-files.ts";
import { skipReason } from "../harness.ts";
import { baseDocuments, ClusterFleet, clusterFleetProblem } from "./cluster-fleet.ts";
import { shareBetweenTests } from "./tries.ts";

const PROMETHEUS = "/usr/bin/prometheus";
const problem = clusterFleetProblem() ?? (existsSync(PROMETHEUS) ? null : `needs ${PROMETHEUS}`);
const MONITORING = join(import.meta.dirname, "../../../assets/monitoring");
const METRICS_PORT = 9465;
const TOKEN = "a-token-of-the-test-fleet-0123456789";
const TOKEN_PATH = "/etc/wardline-metrics.token";
const LIMIT_MS = 90_000;

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

interface Scraped {
  readonly fleet: Fleet;
  readonly cluster: ClusterFleet;
  readonly prometheus: ChildProcess;
  readonly directory: string;
}

describe.skipIf(problem !== null)(
  `Prometheus and a cluster${skipReason(problem)}`,
  { timeout: 400_000, retry: 1 },
  () => {
    let fleet: Fleet;
    let cluster: ClusterFleet;
    let origin = "";

    shareBetweenTests<Scraped>({
      make: start,
      begin: async (scraped) => {
        ({ fleet, cluster } = scraped);
        await cluster.heal();
        await waitUntil("every agent is scraped", async () => (await ask("up == 1")).length === 3);
      },
      close: async ({ prometheus, directory, ...made }) => {
        prometheus.kill("SIGKILL");
        await made.cluster.close();
        rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
      },
    });

    async function start(): Promise<Scraped> {
      const agentOptions = ["--metrics-listen", `0.0.0.0:${METRICS_PORT}`, "--metrics-token-file", TOKEN_PATH];
      const names = ["node-1", "node-2", "node-3"];
      const made = await Fleet.start({
        hosts: names.map((name) => ({ name, agent: "stopped" as const, agentOptions })),
      });
      const directory = mkdtempSync(join(tmpdir(), "wardline-prometheus-"));
      try {
        await Promise.all(
          made.hosts.map(async (host) => {
            writeFileSync(host.path(TOKEN_PATH), `${TOKEN}\n`, { mode: 0o600 });
            chmodSync(host.path(TOKEN_PATH), 0o600);
            await host.startAgent();
          }),
        );
        const members = await ClusterFleet.make(made, made.hosts);
        await members.write(await members.leader(), [...baseDocuments(made.hosts), OPEN_METRICS]);
        return { fleet: made, cluster: members, prometheus: await startPrometheus(made, directory), directory };
      } catch (error) {
        await made.close();
        rmSync(directory, { recursive: true, force: true });
        throw error;
      }
    }

    async function startPrometheus({ hosts }: Fleet, directory: string): Promise<ChildProcess> {
      const port = await freePort();
      origin = `http://127.0.0.1:${port}`;
      writeFileSync(join(directory, "token"), TOKEN, { mode: 0o600 });
      const targets = hosts.map(({ address }) => `${address[4]}:${METRICS_PORT}`);
      const configuration = {
        global: { scrape_interval: "2s", scrape_timeout: "2s", evaluation_interval: "2s" },
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
      return spawn(PROMETHEUS, options, { stdio: "ignore" });
    }

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
      const is = (question: string, isSo: (found: number) => boolean) =>
        waitUntil(question, async () => isSo(await value(question)));
      await is("sum(wardline_cluster_is_leader)", (found) => found === 1);
      await is('min(wardline_cluster_members{state="healthy"})', (found) => found === 3);
      await is('count(wardline_policy_set_number{which="active"} == 1)', (found) => found === 3);
      await is("min(wardline_cluster_store_endpoints_reachable)", (found) => found === 3);
      await is("sum(wardline_attached * wardline_enforcing)", (found) => found === 3);
      await is('sum(wardline_packets_total{verdict="allowed"})', (found) => found > 0);
      await is("min(wardline_cluster_certificate_expires_seconds)", (found) => found > 3_600);
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
      let perHost = Number.NaN;
      await waitUntil("series are counted", async () => {
        perHost = await value('max(count by (instance) ({__name__=~"wardline_.+"}))');
        return perHost > 0;
      });
      expect(perHost).toBeLessThan(200);
    });

    it("counts a failover with its time when the leader's agent is killed", async () => {
      const leader = await cluster.leader();
      const [follower] = cluster.others(leader);
      const instance = `${follower.address[4]}:${METRICS_PORT}`;
      const elections = `wardline_cluster_leader_elections_total{instance="${instance}"}`;
      let before = Number.NaN;
      await waitUntil("elections are told", async () => {
        before = await value(elections);
        return before >= 0;
      });
      process.kill(await leader.mainPid(AGENT_UNIT), "SIGKILL");
      await waitUntil("an election was counted", async () => (await value(elections)) > before);
      const average = ["sum", "count"]
        .map((part) => `wardline_cluster_failover_duration_seconds_${part}{instance="${instance}"}`)
        .join(" / ");
      // In seconds: of a lease that has to end first, on processors that are shared.
      let seconds = Number.NaN;
      await waitUntil("its time is told", async () => {
        seconds = await value(average);
        return seconds > 0;
      });
      expect(seconds).toBeLessThan(120);
    });
  },
);
