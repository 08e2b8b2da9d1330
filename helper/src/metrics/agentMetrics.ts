/**
 * Every metric of an agent, for Prometheus. Names and their meaning are in docs/cluster.md and, for people who come from
 * ZTAP, beside the names they knew. No label has values without a bound: states, verdicts, causes and error codes are closed
 * lists; no metric is labelled by policy, rule or address, and only those of the mesh by peer, 256 at most.
 */
import { Counter, Histogram, Registry } from "@prometheus-io/client";
import type { SyncReport } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { AnomalyMetrics } from "./anomalyMetrics.ts";
import { ClusterMetrics } from "./clusterMetrics.ts";
import { HostMetrics } from "./hostMetrics.ts";
import { MeshMetrics } from "./meshMetrics.ts";
import { RecordMetrics } from "./recordMetrics.ts";
import type { MetricsEvents, MetricsSources } from "./sources.ts";
import { SYNC_STATE_NAMES } from "./stateNames.ts";

/** Seconds. An apply takes 30 ms to 3 s, depending on the number of rules. */
const APPLY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class AgentMetrics implements MetricsEvents {
  readonly #registry = new Registry();
  readonly #sources: MetricsSources;
  readonly #host: HostMetrics;
  readonly #cluster: ClusterMetrics;
  readonly #records: RecordMetrics | null;
  readonly #anomaly: AnomalyMetrics | null;
  readonly #mesh: MeshMetrics | null;
  readonly #applySeconds: Histogram;
  readonly #syncs: Counter<"status">;
  readonly #syncErrors: Counter<"error_type">;
  readonly #syncSeconds: Histogram;
  #lastReport = "";

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    const registers = [this.#registry];
    this.#host = new HostMetrics(registers);
    this.#cluster = new ClusterMetrics(registers);
    this.#records = sources.records === undefined ? null : new RecordMetrics(registers);
    this.#anomaly = sources.anomaly === undefined ? null : new AnomalyMetrics(registers);
    this.#mesh = sources.mesh === undefined ? null : new MeshMetrics(registers);
    this.#applySeconds = new Histogram({
      name: "wardline_policy_apply_duration_seconds",
      help: "From the request to the flip in the kernel, for each apply that was accepted.",
      buckets: APPLY_BUCKETS,
      registers,
    });
    this.#syncs = new Counter({
      name: "wardline_policies_synced_total",
      help: "Reports of this host about a desired set, by what it made of it.",
      labelNames: ["status"],
      registers,
    });
    this.#syncErrors = new Counter({
      name: "wardline_policy_sync_errors_total",
      help: "Sets that this host did not take, by the code of the failure.",
      labelNames: ["error_type"],
      registers,
    });
    this.#syncSeconds = new Histogram({
      name: "wardline_policy_sync_duration_seconds",
      help: "From seeing a desired set to having it in force.",
      buckets: APPLY_BUCKETS,
      registers,
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  applied(totalUs: number): void {
    this.#applySeconds.observe(totalUs / 1e6);
  }

  /** The same report may come more than once: it counts once. */
  reported(report: SyncReport): void {
    const key = `${report.state}/${report.seenSetNumber}/${report.activeSetNumber}/${report.reportedAt?.seconds}.${report.reportedAt?.nanos}`;
    if (key === this.#lastReport) return;
    this.#lastReport = key;
    this.#syncs.inc({ status: SYNC_STATE_NAMES[report.state] ?? "unknown" });
    if (report.problem) this.#syncErrors.inc({ error_type: ErrorCode[report.problem.code] ?? "UNKNOWN" });
    else if (report.took) this.#syncSeconds.observe(Number(report.took.seconds) + report.took.nanos / 1e9);
  }

  /** The text of one scrape. */
  async render(): Promise<string> {
    const { status, losses, allows, cluster, records, anomaly, mesh } = this.#sources;
    this.#host.sample(status(), losses(), allows);
    this.#cluster.sample(await cluster());
    if (records !== undefined) this.#records?.sample(records());
    if (anomaly !== undefined) this.#anomaly?.sample(anomaly());
    if (mesh !== undefined) this.#mesh?.sample(mesh());
    return await this.#registry.metrics();
  }
}
