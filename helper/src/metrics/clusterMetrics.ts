/** The cluster as this node sees it. Absent while the host is in none: an unknown value is not a zero. */
import { Counter, Gauge, Histogram, type Registry } from "@prometheus-io/client";
import { type ClusterStatus, SetState, type Term } from "@wardline/api/wardline/v1/cluster";
import { MEMBER_STATE_NAMES, SYNC_STATE_NAMES } from "./stateNames.ts";

/** Seconds. A failover takes about the lease: 2 s to 60 s. */
const FAILOVER_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 20, 60, 120];

const seconds = (duration: { readonly seconds: bigint; readonly nanos: number }) =>
  Number(duration.seconds) + duration.nanos / 1e9;

export class ClusterMetrics {
  readonly #members: Gauge<"state">;
  readonly #syncs: Gauge<"state">;
  readonly #isLeader: Gauge;
  readonly #term: Gauge;
  readonly #storeUp: Gauge;
  readonly #storeWritable: Gauge;
  readonly #storeSize: Gauge;
  readonly #stale: Gauge;
  readonly #latency: Gauge;
  readonly #clockOffset: Gauge;
  readonly #setNumber: Gauge<"which">;
  readonly #syncLag: Gauge;
  readonly #documents: Gauge;
  readonly #certificateSeconds: Gauge;
  readonly #elections: Counter;
  readonly #joins: Counter;
  readonly #failover: Histogram;
  #newestTerm: bigint | null = null;
  #known: ReadonlySet<string> | null = null;

  constructor(registers: Registry[]) {
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    const byState = (name: string, help: string) => new Gauge({ name, help, labelNames: ["state"], registers });
    this.#members = byState("wardline_cluster_members", "Members by state, as this node sees them.");
    this.#syncs = byState("wardline_cluster_sync_members", "Members by what they made of the desired set.");
    this.#isLeader = gauge("wardline_cluster_is_leader", "1 on the node that leads.");
    this.#term = gauge("wardline_cluster_term", "Number of the current term.");
    this.#storeUp = gauge(
      "wardline_cluster_store_endpoints_reachable",
      "Endpoints of the store that answer this node.",
    );
    this.#storeWritable = gauge("wardline_cluster_store_writable", "1 while the store takes writes.");
    this.#storeSize = gauge(
      "wardline_cluster_store_bytes",
      "Size of the store's database, the largest of its endpoints.",
    );
    this.#stale = gauge("wardline_cluster_stale", "1 while this node shows what it read before it lost the store.");
    this.#latency = gauge(
      "wardline_cluster_heartbeat_latency_seconds",
      "Round trip of this node's last lease renewal.",
    );
    this.#clockOffset = gauge("wardline_cluster_clock_offset_seconds", "This node's clock minus the leader's.");
    this.#setNumber = new Gauge({
      name: "wardline_policy_set_number",
      help: "Number of the desired set: wanted = what hosts shall enforce, active = what this host enforces.",
      labelNames: ["which"],
      registers,
    });
    this.#syncLag = gauge(
      "wardline_policy_sync_lag_seconds",
      "How long the wanted set is not in force here; 0 = it is.",
    );
    this.#documents = gauge("wardline_policy_documents", "Documents of the desired set.");
    this.#certificateSeconds = gauge(
      "wardline_cluster_certificate_expires_seconds",
      "Until this node's certificate is over; negative = it is.",
    );
    this.#elections = new Counter({
      name: "wardline_cluster_leader_elections_total",
      help: "Terms that began while this agent ran.",
      registers,
    });
    this.#joins = new Counter({
      name: "wardline_cluster_member_joins_total",
      help: "Members that were let in while this agent ran.",
      registers,
    });
    this.#failover = new Histogram({
      name: "wardline_cluster_failover_duration_seconds",
      help: "How long nobody led before a term, for terms that followed on another.",
      buckets: FAILOVER_BUCKETS,
      registers,
    });
  }

  sample(status: ClusterStatus | null): void {
    this.#clear();
    if (status === null) return;
    const self = status.members.find(({ record }) => record?.name === status.self);
    this.#sampleMembers(status);
    this.#isLeader.set(Number(self?.isLeader ?? false));
    this.#term.set(Number(status.currentTerm?.number ?? 0n));
    this.#storeWritable.set(Number(status.storeWritable));
    this.#stale.set(Number(status.stale));
    this.#storeUp.set(status.endpoints.filter(({ reachable }) => reachable).length);
    const sizes = status.endpoints
      .filter(({ reachable }) => reachable)
      .map(({ databaseBytes }) => Number(databaseBytes));
    if (sizes.length > 0) this.#storeSize.set(Math.max(...sizes));
    if (self?.presence?.heartbeatLatency) this.#latency.set(seconds(self.presence.heartbeatLatency));
    if (self?.presence?.clockOffset) this.#clockOffset.set(seconds(self.presence.clockOffset));
    const expires = self?.record?.certificateExpiresAt;
    if (expires) this.#certificateSeconds.set(seconds(expires) - Date.now() / 1000);
    this.#sampleSet(status, self?.report?.activeSetNumber ?? 0n);
    this.#followTerms(status.terms);
    this.#followJoins(status);
  }

  #sampleMembers({ members }: ClusterStatus): void {
    for (const state of Object.values(MEMBER_STATE_NAMES)) this.#members.set({ state }, 0);
    for (const state of Object.values(SYNC_STATE_NAMES)) this.#syncs.set({ state }, 0);
    for (const { state, report } of members) {
      this.#members.inc({ state: MEMBER_STATE_NAMES[state] ?? "unknown" });
      if (report) this.#syncs.inc({ state: SYNC_STATE_NAMES[report.state] ?? "unknown" });
    }
  }

  #sampleSet({ head }: ClusterStatus, active: bigint): void {
    if (!head || head.setNumber === 0n) return;
    const wanted = head.state === SetState.ROLLED_BACK ? head.confirmedSetNumber : head.setNumber;
    this.#setNumber.set({ which: "wanted" }, Number(wanted));
    this.#setNumber.set({ which: "active" }, Number(active));
    this.#documents.set(head.documentCount);
    const ageSeconds = head.writtenAt ? Math.max(0, Date.now() / 1000 - seconds(head.writtenAt)) : 0;
    this.#syncLag.set(active === wanted ? 0 : ageSeconds);
  }

  /** Terms that began since the last look; those that are older than this process are not its business. */
  #followTerms(terms: readonly Term[]): void {
    const newest = terms.reduce((highest, { number }) => (number > highest ? number : highest), 0n);
    if (this.#newestTerm !== null) {
      for (const { number, gap } of terms) {
        if (number <= this.#newestTerm) continue;
        this.#elections.inc();
        if (gap && number > 1n) this.#failover.observe(seconds(gap));
      }
    }
    if (this.#newestTerm === null || newest > this.#newestTerm) this.#newestTerm = newest;
  }

  #followJoins({ members }: ClusterStatus): void {
    const names = new Set(members.map(({ record }) => record?.name ?? ""));
    if (this.#known) for (const name of names) if (!this.#known.has(name)) this.#joins.inc();
    this.#known = names;
  }

  /** What is not set again in this sample is absent from it. */
  #clear(): void {
    for (const gauge of [this.#members, this.#syncs, this.#setNumber]) gauge.reset();
    for (const gauge of [
      this.#isLeader,
      this.#term,
      this.#storeUp,
      this.#storeWritable,
      this.#storeSize,
      this.#stale,
      this.#latency,
      this.#clockOffset,
      this.#syncLag,
      this.#documents,
      this.#certificateSeconds,
    ])
      gauge.remove();
  }
}
