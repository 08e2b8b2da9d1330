import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AnomalyModelStatusSchema, ModelState } from "@wardline/api/wardline/v1/anomaly";
import {
  type ClusterStatus,
  ClusterStatusSchema,
  MemberState,
  SetState,
  SyncReportSchema,
  SyncState,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { BackendKind, Emergency, type HostStatus, HostStatusSchema } from "@wardline/api/wardline/v1/host";
import {
  HealingOutcome,
  HealingPhase,
  type HealingRun,
  HealingRunSchema,
  HealingState,
  MeshFault,
  MeshObservationSchema,
  MeshProvider,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { MeshFigures } from "../mesh/ports.ts";
import { AgentMetrics } from "./agentMetrics.ts";
import { Growth } from "./growth.ts";
import { type MetricsOptions, startMetrics } from "./startMetrics.ts";

const ROOT = join(import.meta.dirname, "../../..");
const MONITORING = join(ROOT, "assets/monitoring");
const PROMTOOL = "/usr/bin/promtool";
const promtoolProblem = existsSync(PROMTOOL) ? null : `needs ${PROMTOOL}`;
const RECORDS = {
  ...{ batches: 3, records: 40, lostEvents: 5, sizeBytes: 4_096, hasProblem: true },
  ...{ events: 100, foldedRecords: 2, followedFlows: 7 },
};
const ANOMALY = {
  status: create(AnomalyModelStatusSchema, { state: ModelState.LEARNING, trainedWindows: 12n, problem: "a problem" }),
  ...{ highestScore: 97, kept: 3, scoringSeconds: 1.5, windows: 40 },
  begun: new Map([["beacon high", 2]]),
};
const meshFigures = (change: { coordinates?: boolean; host?: string; runs?: HealingRun[] } = {}): MeshFigures => ({
  observation: create(MeshObservationSchema, {
    host: change.host ?? "a",
    providers: [
      {
        provider: MeshProvider.YGGDRASIL,
        state: MeshProviderState.UP,
        peers: [
          { key: "ab".repeat(32), up: true, configured: true, latencyMs: 12.5 },
          { key: "ab".repeat(32), up: true, latencyMs: 40 },
          { key: "cd".repeat(32), up: false, configured: true },
          { key: "", up: false, configured: true },
        ],
      },
      {
        provider: MeshProvider.BATMAN,
        state: MeshProviderState.UP,
        peers: [{ key: "02:00:00:00:00:02", up: true, quality: 0.8, throughputBitsPerSecond: 54_000_000n }],
      },
    ],
    probes: [
      {
        targetHost: "b",
        provider: MeshProvider.IP,
        reachable: true,
        latencyMs: 3,
        latencyP95Ms: 9,
        loss: 0,
        pathMtuBytes: 1_500,
      },
      { targetHost: "c", provider: MeshProvider.IP, reachable: false },
    ],
  }),
  coordinates: change.coordinates ?? true,
  runs: change.runs ?? [
    healingRun("open", { fault: MeshFault.PARTITION, state: HealingState.WAITING_FOR_APPROVAL }),
    healingRun("1", {
      state: HealingState.HEALED,
      endedAt: timestampFromMs(Date.now()),
      timeToRepair: durationFromMs(9_000),
    }),
  ],
});
const healingRun = (id: string, change: Partial<HealingRun> = {}): HealingRun =>
  Object.assign(
    create(HealingRunSchema, {
      ...{ id, fault: MeshFault.DAEMON_DOWN, state: HealingState.HEALED, coordinator: "a" },
      steps: [
        { phase: HealingPhase.EXECUTE, outcome: HealingOutcome.DONE, dryRun: true },
        { phase: HealingPhase.EXECUTE, outcome: HealingOutcome.FAILED },
        { phase: HealingPhase.EXECUTE, outcome: HealingOutcome.DONE },
        { phase: HealingPhase.VERIFY },
      ],
    }),
    change,
  );
const NO_LOSSES = { ringFull: 0n, rateLimited: 0n, notFollowed: 0n };
const log = pino({ level: "silent" });

const hostStatus = (counters: readonly [string, bigint][] = []): HostStatus =>
  create(HostStatusSchema, {
    attached: true,
    enforced: { number: 7n, mode: EnforcementMode.ENFORCE, policyCount: 3, ruleCount: 9 },
    memoryBytes: 70_000_000n,
    emergency: Emergency.NONE,
    info: { agentVersion: "0.1.0", agentBuild: "abc", backend: BackendKind.EBPF },
    counters: counters.map(([decisionId, packets]) => ({ decisionId, packets, bytes: packets * 100n })),
  });

const clusterStatus = (change: Partial<ClusterStatus> = {}): ClusterStatus =>
  Object.assign(
    create(ClusterStatusSchema, {
      clusterName: "office",
      self: "a",
      storeWritable: true,
      currentTerm: { number: 3n, leader: "a" },
      terms: [{ number: 3n, leader: "a", gap: durationFromMs(4_000) }],
      head: { setNumber: 5n, state: SetState.CONFIRMED, confirmedSetNumber: 5n, documentCount: 14 },
      endpoints: [{ endpoint: "https://a:2379", reachable: true, databaseBytes: 4096n }],
      members: [
        {
          record: { name: "a", certificateExpiresAt: timestampFromMs(Date.now() + 3_600_000) },
          state: MemberState.HEALTHY,
          isLeader: true,
          presence: { heartbeatLatency: durationFromMs(2), clockOffset: durationFromMs(-250) },
          report: {
            host: "a",
            state: SyncState.ACTIVE,
            activeSetNumber: 5n,
            seenSetNumber: 5n,
            took: durationFromMs(80),
          },
        },
        { record: { name: "b" }, state: MemberState.GONE },
      ],
    }),
    change,
  );

/** Values by `name{labels}`. */
async function values(metrics: AgentMetrics): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.render()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

describe("what a scrape shows", () => {
  it("is read at that moment, and sums of packets never fall when a rule goes", async () => {
    let counters: [string, bigint][] = [
      ["aa", 10n],
      ["dd", 4n],
    ];
    const metrics = new AgentMetrics({
      status: () => hostStatus(counters),
      losses: () => ({ ...NO_LOSSES, rateLimited: 6n }),
      records: () => RECORDS,
      allows: (id) => (id === "aa" ? true : id === "dd" ? false : null),
      cluster: async () => null,
    });
    const first = await values(metrics);
    expect(first.get('wardline_packets_total{verdict="allowed"}')).toBe(10);
    expect(first.get('wardline_packets_total{verdict="denied"}')).toBe(4);
    expect(first.get('wardline_packet_bytes_total{verdict="denied"}')).toBe(400);
    expect(first.get('wardline_flow_events_lost_total{cause="rate_limited"}')).toBe(6);
    const aboutRecords = [...first].filter(([name]) => name.startsWith("wardline_record"));
    expect(Object.fromEntries(aboutRecords)).toEqual({
      wardline_record_journal_bytes: 4_096,
      wardline_record_journal_problem: 1,
      wardline_record_flows_followed: 7,
      wardline_records_total: 40,
      wardline_record_batches_total: 3,
      wardline_records_folded_total: 2,
      wardline_record_events_lost_total: 5,
    });
    expect(first.get("wardline_generation")).toBe(7);
    expect(first.get('wardline_agent_info{version="0.1.0",build="abc",backend="ebpf"}')).toBe(1);
    counters = [
      ["aa", 25n],
      ["unknown", 99n],
    ];
    expect((await values(metrics)).get('wardline_packets_total{verdict="allowed"}')).toBe(25);
    expect((await values(metrics)).get('wardline_packets_total{verdict="denied"}')).toBe(4);
    counters = [["dd", 2n]];
    expect((await values(metrics)).get('wardline_packets_total{verdict="denied"}')).toBe(6);
  });

  it("says what detection found, in closed lists of labels, and nothing where it does not run", async () => {
    let figures: typeof ANOMALY | null = null;
    const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null, cluster: async () => null };
    const metrics = new AgentMetrics({ ...sources, anomaly: () => figures });
    expect([...(await values(metrics)).keys()].filter((name) => name.startsWith("wardline_anomaly_score"))).toEqual([]);
    figures = ANOMALY;
    const first = await values(metrics);
    expect(first.get("wardline_anomaly_score")).toBe(97);
    expect(first.get("wardline_anomaly_problem")).toBe(1);
    expect(first.get('wardline_anomaly_model_state{state="learning"}')).toBe(1);
    expect(first.get('wardline_anomaly_model_state{state="trained"}')).toBe(0);
    expect(first.get('wardline_anomaly_findings_total{detector="beacon",severity="high"}')).toBe(2);
    expect([...first.keys()].filter((name) => name.startsWith("wardline_anomaly_findings_total"))).toHaveLength(40);
    figures = { ...ANOMALY, windows: 41, begun: new Map([["beacon high", 3]]) };
    const second = await values(metrics);
    expect(second.get("wardline_anomaly_windows_total")).toBe(41);
    expect(second.get('wardline_anomaly_findings_total{detector="beacon",severity="high"}')).toBe(3);
  });

  it("shows the meshes by peer, what was not measured is absent, and nothing where there are none", async () => {
    let figures: MeshFigures | null = meshFigures();
    const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null, cluster: async () => null };
    const metrics = new AgentMetrics({ ...sources, mesh: () => figures });
    const shown = await values(metrics);
    const about = (part: string) =>
      Object.fromEntries([...shown].filter(([name]) => name.startsWith(`wardline_mesh_${part}`)));
    const [first, batman, ip] = ['provider="yggdrasil"', 'provider="batman"', 'provider="ip"'];
    expect(about("peer")).toEqual({
      [`wardline_mesh_peers_up{${first}}`]: 2,
      [`wardline_mesh_peers_up{${batman}}`]: 1,
      [`wardline_mesh_peers_configured{${first}}`]: 3,
      [`wardline_mesh_peers_configured{${batman}}`]: 0,
      [`wardline_mesh_peers_configured_up{${first}}`]: 1,
      [`wardline_mesh_peers_configured_up{${batman}}`]: 0,
      [`wardline_mesh_peer_latency_seconds{${first},peer="abababababababab"}`]: 0.0125,
      [`wardline_mesh_peer_quality_ratio{${batman},peer="02:00:00:00:00:02"}`]: 0.8,
      [`wardline_mesh_peer_throughput_bytes_per_second{${batman},peer="02:00:00:00:00:02"}`]: 6_750_000,
    });
    expect(about("link")).toEqual({
      [`wardline_mesh_link_reachable{${ip},peer="b"}`]: 1,
      [`wardline_mesh_link_latency_seconds{${ip},peer="b"}`]: 0.003,
      [`wardline_mesh_link_latency_high_seconds{${ip},peer="b"}`]: 0.009,
      [`wardline_mesh_link_loss_ratio{${ip},peer="b"}`]: 0,
      [`wardline_mesh_link_path_mtu_bytes{${ip},peer="b"}`]: 1_500,
      [`wardline_mesh_link_reachable{${ip},peer="c"}`]: 0,
    });
    expect(about("provider_state")[`wardline_mesh_provider_state{${first},state="up"}`]).toBe(1);
    for (const provider of figures.observation.providers) provider.state = MeshProviderState.UNRESPONSIVE;
    figures.observation.probes = [];
    const silent = await values(metrics);
    expect([...silent.keys()].filter((name) => /^wardline_mesh_(peer|link)/.test(name))).toEqual([]);
    expect(silent.get(`wardline_mesh_provider_state{${first},state="unresponsive"}`)).toBe(1);
    figures = null;
    const none = [...(await values(metrics)).keys()].filter((name) => name.startsWith("wardline_mesh_"));
    expect(none.filter((name) => !/_total|repair_duration/.test(name))).toEqual([]);
  });

  it("bounds what a liar can name: 256 peers of a mesh, the same ones each time", async () => {
    const figures = meshFigures();
    const peers = Array.from({ length: 900 }, (_, index) => ({
      ...figures.observation.providers[0]!.peers[0]!,
      key: `${index}`.padStart(64, "0"),
    }));
    figures.observation.providers[0]!.peers = peers.map((peer) => ({ ...peer, key: peer.key.slice(48) + peer.key }));
    figures.observation.probes = Array.from({ length: 900 }, (_, index) => ({
      ...figures.observation.probes[0]!,
      targetHost: `h${index}${"x".repeat(500)}`,
    }));
    const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null, cluster: async () => null };
    const metrics = new AgentMetrics({ ...sources, mesh: () => figures });
    const names = [...(await values(metrics)).keys()];
    expect(names.filter((name) => name.startsWith("wardline_mesh_peer_latency_seconds"))).toHaveLength(256);
    expect(names.filter((name) => name.startsWith("wardline_mesh_link_reachable"))).toHaveLength(256);
    expect(Math.max(...names.map(({ length }) => length))).toBeLessThan(200);
  });

  it("counts a repair once, on the host that coordinated it, and faults only there", async () => {
    let figures = meshFigures();
    const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null, cluster: async () => null };
    const metrics = new AgentMetrics({ ...sources, mesh: () => figures });
    await values(metrics);
    const first = await values(metrics);
    expect(first.get('wardline_mesh_heals_total{outcome="healed"}')).toBe(1);
    expect(first.get('wardline_mesh_heals_total{outcome="escalated"}')).toBe(0);
    expect(first.get('wardline_mesh_healing_actions_total{outcome="done"}')).toBe(1);
    expect(first.get('wardline_mesh_healing_actions_total{outcome="failed"}')).toBe(1);
    expect(first.get('wardline_mesh_repair_duration_seconds_bucket{le="10"}')).toBe(1);
    expect(first.get('wardline_mesh_repair_duration_seconds_bucket{le="7.5"}')).toBe(0);
    expect(first.get("wardline_mesh_partitions")).toBe(1);
    expect(first.get('wardline_mesh_faults{fault="partition"}')).toBe(1);
    expect(first.get('wardline_mesh_faults{fault="host_gone"}')).toBe(0);
    expect(first.get('wardline_mesh_healing_runs{state="waiting_for_approval"}')).toBe(1);
    const endedAt = timestampFromMs(Date.now());
    figures = meshFigures({
      coordinates: false,
      runs: [
        healingRun("2", { endedAt, coordinator: "b" }),
        healingRun("3", { endedAt: timestampFromMs(Date.now() - 86_400_000 * 30) }),
        healingRun("4", { endedAt, state: HealingState.CLEARED }),
      ],
    });
    const second = await values(metrics);
    expect(second.get('wardline_mesh_heals_total{outcome="healed"}')).toBe(1);
    expect(second.get('wardline_mesh_heals_total{outcome="cleared"}')).toBe(1);
    expect(second.get("wardline_mesh_healing_coordinator")).toBe(0);
    for (const name of ["wardline_mesh_partitions", 'wardline_mesh_faults{fault="partition"}'])
      expect(second.has(name)).toBe(false);
  });

  it("has nothing about a cluster for a host that is in none", async () => {
    let status: ClusterStatus | null = clusterStatus();
    const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null };
    const metrics = new AgentMetrics({ ...sources, cluster: async () => status });
    expect((await values(metrics)).get("wardline_cluster_term")).toBe(3);
    status = null;
    const names = [...(await values(metrics)).keys()].filter((name) => name.startsWith("wardline_cluster_"));
    // Only what counts and never falls.
    expect(names.filter((name) => !/_total$|failover_duration/.test(name))).toEqual([]);
  });

  it("shows members, lag and failovers; what was not measured is absent", async () => {
    let status = clusterStatus();
    const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null };
    const metrics = new AgentMetrics({ ...sources, cluster: async () => status });
    const first = await values(metrics);
    expect(first.get('wardline_cluster_members{state="healthy"}')).toBe(1);
    expect(first.get('wardline_cluster_members{state="gone"}')).toBe(1);
    expect(first.get('wardline_cluster_members{state="joining"}')).toBe(0);
    expect(first.get("wardline_policy_sync_lag_seconds")).toBe(0);
    expect(first.get("wardline_cluster_clock_offset_seconds")).toBeCloseTo(-0.25);
    // A term from before this process is not an election that it saw.
    expect(first.get("wardline_cluster_leader_elections_total")).toBe(0);
    const later = clusterStatus({ self: "c" });
    later.terms = [...later.terms];
    later.terms.unshift(Object.assign(structuredClone(clusterStatus().terms[0] as object), { number: 4n }) as never);
    status = later;
    const second = await values(metrics);
    expect(second.get("wardline_cluster_leader_elections_total")).toBe(1);
    expect(second.get('wardline_cluster_failover_duration_seconds_bucket{le="5"}')).toBe(1);
    expect(second.get('wardline_cluster_failover_duration_seconds_bucket{le="3"}')).toBe(0);
    expect(second.has("wardline_cluster_clock_offset_seconds")).toBe(false);
    expect(second.has("wardline_cluster_heartbeat_latency_seconds")).toBe(false);
  });

  it("counts a report once, and a refusal by its code", async () => {
    const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null, cluster: async () => null };
    const metrics = new AgentMetrics(sources);
    const report = create(SyncReportSchema, {
      state: SyncState.REFUSED,
      seenSetNumber: 6n,
      problem: { code: ErrorCode.POLICY_UNSUPPORTED },
    });
    metrics.reported(report);
    metrics.reported(report);
    metrics.applied(31_000);
    const shown = await values(metrics);
    expect(shown.get('wardline_policies_synced_total{status="refused"}')).toBe(1);
    expect(shown.get('wardline_policy_sync_errors_total{error_type="POLICY_UNSUPPORTED"}')).toBe(1);
    expect(shown.get('wardline_policy_apply_duration_seconds_bucket{le="0.05"}')).toBe(1);
  });

  it("turns totals that begin anew into growth", () => {
    const growth = new Growth();
    expect([growth.of("a", 5n), growth.of("a", 9n), growth.of("a", 2n)]).toEqual([5, 4, 2]);
    growth.keep(new Set());
    expect(growth.of("a", 3n)).toBe(3);
  });
});

/** Every metric with something in it, as text. */
async function fullText(): Promise<string> {
  const metrics = new AgentMetrics({
    status: () => hostStatus([["aa", 1n]]),
    losses: () => NO_LOSSES,
    allows: () => true,
    cluster: async () => clusterStatus(),
    anomaly: () => ANOMALY,
    mesh: () => meshFigures(),
  });
  metrics.applied(1_000);
  metrics.reported(create(SyncReportSchema, { state: SyncState.REFUSED, problem: { code: ErrorCode.INTERNAL } }));
  return metrics.render();
}

describe("dashboards, alerts and documents name what there is", () => {
  const used = (text: string) => new Set(text.match(/\bwardline_[a-z_]+/g) ?? []);
  const base = (name: string) => name.replace(/_(bucket|sum|count)$/, "");

  it("uses no metric that the agent does not have", async () => {
    const has = new Set([...(await fullText()).matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? ""));
    for (const file of [
      "alerts.yaml",
      "alerts.test.yaml",
      "grafana/hosts.json",
      "grafana/cluster.json",
      "grafana/mesh.json",
    ]) {
      const unknown = [...used(readFileSync(join(MONITORING, file), "utf8"))].filter((name) => !has.has(base(name)));
      expect({ file, unknown }).toEqual({ file, unknown: [] });
    }
  });

  it("describes every metric in docs/cluster.md", async () => {
    const text = readFileSync(join(ROOT, "docs/cluster.md"), "utf8");
    const names = [...(await fullText()).matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? "");
    expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it("has no panel without a question and no two panels in one place", () => {
    for (const file of ["grafana/hosts.json", "grafana/cluster.json", "grafana/mesh.json"]) {
      const board = JSON.parse(readFileSync(join(MONITORING, file), "utf8"));
      const places = board.panels.map(
        (panel: { gridPos: { x: number; y: number } }) => `${panel.gridPos.x}/${panel.gridPos.y}`,
      );
      expect(new Set(places).size).toBe(places.length);
      for (const panel of board.panels) expect(panel.targets.length).toBeGreaterThan(0);
    }
  });
});

describe.skipIf(promtoolProblem !== null)(`promtool agrees${promtoolProblem ? ` (${promtoolProblem})` : ""}`, () => {
  const promtool = (args: readonly string[], input = "") =>
    execFileSync(PROMTOOL, args, { cwd: MONITORING, input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });

  it("with the text of a scrape", async () => {
    expect(promtool(["check", "metrics"], await fullText())).toBe("");
  });

  it("with the rules, their tests and the example of a configuration", () => {
    const { groups } = parse(readFileSync(join(MONITORING, "alerts.yaml"), "utf8"));
    const count = groups.reduce((sum: number, { rules }: { rules: unknown[] }) => sum + rules.length, 0);
    expect(promtool(["check", "rules", "alerts.yaml"])).toContain(`SUCCESS: ${count} rules found`);
    expect(promtool(["test", "rules", "alerts.test.yaml"])).toContain("SUCCESS");
    expect(promtool(["check", "config", "prometheus.yaml"])).toContain("SUCCESS");
  });

  it("with every question of the dashboards", async () => {
    const directory = await mkdtemp(join(tmpdir(), "wardline-boards-"));
    try {
      const questions = ["grafana/hosts.json", "grafana/cluster.json", "grafana/mesh.json"].flatMap((file) =>
        JSON.parse(readFileSync(join(MONITORING, file), "utf8")).panels.flatMap(
          (panel: { targets: { expr: string }[] }) =>
            panel.targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".*")),
        ),
      );
      const rules = questions.map((expr, index) => ({ record: `board:question_${index}`, expr }));
      await writeFile(join(directory, "rules.yaml"), JSON.stringify({ groups: [{ name: "boards", rules }] }));
      expect(promtool(["check", "rules", join(directory, "rules.yaml")])).toContain(`SUCCESS: ${rules.length} rules`);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("the endpoint", () => {
  const open: { close(): Promise<void> }[] = [];
  const directories: string[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
    for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
  });

  const sources = { status: hostStatus, losses: () => NO_LOSSES, allows: () => null, cluster: async () => null };
  async function start(options: Partial<MetricsOptions> = {}) {
    const running = await startMetrics(
      { listen: { host: "127.0.0.1", port: 0 }, tokenPath: null, ...options },
      sources,
      log,
    );
    open.push(running);
    return running;
  }

  function ask(port: number, options: { path?: string; method?: string; token?: string } = {}) {
    return new Promise<{ status: number; text: string }>((resolve, reject) => {
      const headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
      const asked = request(
        { host: "127.0.0.1", port, path: options.path ?? "/metrics", method: options.method ?? "GET", headers },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (part) => {
            text += part;
          });
          response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        },
      );
      asked.on("error", reject).end();
    });
  }

  async function tokenFile(text: string, mode = 0o600): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), "wardline-token-"));
    directories.push(directory);
    const path = join(directory, "token");
    await writeFile(path, text);
    await chmod(path, mode);
    return path;
  }

  it("answers one path to readers only", async () => {
    const { port } = await start();
    expect((await ask(port ?? 0)).text).toContain("wardline_generation 7");
    expect((await ask(port ?? 0, { path: "/metrics/../etc/passwd" })).status).toBe(404);
    expect((await ask(port ?? 0, { method: "POST" })).status).toBe(405);
  });

  it("wants the token when there is one", async () => {
    const { port } = await start({ tokenPath: await tokenFile("0123456789abcdef\n") });
    expect((await ask(port ?? 0)).status).toBe(401);
    expect((await ask(port ?? 0, { token: "0123456789abcdeF" })).status).toBe(401);
    expect((await ask(port ?? 0, { token: "0123456789abcdef" })).status).toBe(200);
  });

  it("does not open outside of loopback without a token, nor with one that others can read or guess", async () => {
    const listen = { host: "0.0.0.0", port: 0 };
    await expect(start({ listen })).rejects.toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
    const loose = await tokenFile("0123456789abcdef", 0o644);
    await expect(start({ listen, tokenPath: loose })).rejects.toMatchObject({ code: ErrorCode.PERMISSION_DENIED });
    for (const text of ["short", "", "has a blank in the middle", "x".repeat(600)]) {
      const tokenPath = await tokenFile(text);
      await expect(start({ listen, tokenPath })).rejects.toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
    }
    const missing = { listen, tokenPath: "/nowhere/token" };
    await expect(start(missing)).rejects.toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
  });

  it("says that its port is taken, and leaves the agent running", async () => {
    const { port } = await start();
    const second = await start({ listen: { host: "127.0.0.1", port: port ?? 0 } });
    expect(second.port).toBeNull();
    expect(second.problem).toContain("EADDRINUSE");
    second.applied(5);
  });
});
