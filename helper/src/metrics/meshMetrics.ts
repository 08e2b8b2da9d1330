/**
 * The meshes as this host sees them, and the healing that it coordinates. What was not measured is absent, never 0. Labels: closed lists, and the
 * peer: the name of a host or the first 16 characters of a key, 256 of each mesh at most.
 */
import { Counter, Gauge, Histogram, type Registry } from "@prometheus-io/client";
import {
  HealingOutcome,
  HealingPhase,
  type HealingRun,
  HealingState,
  MeshFault,
  type MeshPeer,
  type MeshProbe,
  type MeshProviderReport,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import type { MeshFigures } from "../mesh/ports.ts";
import {
  HEALING_OUTCOME_NAMES,
  HEALING_STATE_NAMES,
  MESH_FAULT_NAMES,
  MESH_PROVIDER_NAMES,
  MESH_PROVIDER_STATE_NAMES,
} from "./stateNames.ts";

const MAX_PEERS = 256;
const KEY_LENGTH = 16;
const MAX_NAME_LENGTH = 64;
/** Ids of runs that were counted: more than are ever kept. */
const MAX_COUNTED = 2_000;
/** Seconds. A killed daemon is healed in about 10, with 5 of hold; an action has 30, and there may be several. */
const REPAIR_BUCKETS = [2, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300, 600];
const ENDED = [HealingState.HEALED, HealingState.CLEARED, HealingState.ESCALATED, HealingState.STOPPED] as const;

type PeerLabel = "provider" | "peer";

export class MeshMetrics {
  readonly #states: Gauge<"provider" | "state">;
  readonly #counts: Readonly<Record<"up" | "configured" | "configuredUp", Gauge<"provider">>>;
  readonly #peerLatency: Gauge<PeerLabel>;
  readonly #peerQuality: Gauge<PeerLabel>;
  readonly #peerThroughput: Gauge<PeerLabel>;
  readonly #links: Readonly<Record<"reachable" | "latency" | "latencyP95" | "loss" | "mtu", Gauge<PeerLabel>>>;
  readonly #isCoordinator: Gauge;
  readonly #partitions: Gauge;
  readonly #open: Gauge<"state">;
  readonly #faults: Gauge<"fault">;
  readonly #heals: Counter<"outcome">;
  readonly #actions: Counter<"outcome">;
  readonly #repairSeconds: Histogram;
  readonly #counted = new Set<string>();
  readonly #startedAtMs: number;

  /** Runs that ended before `startedAtMs` (wall clock) were counted by an earlier process. */
  constructor(registers: Registry[], startedAtMs = Date.now() - process.uptime() * 1_000) {
    this.#startedAtMs = startedAtMs;
    const gauge = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
      new Gauge<Label>({ name: `wardline_mesh_${name}`, help, labelNames, registers });
    const ofPeer = (name: string, help: string) => gauge<PeerLabel>(name, help, ["provider", "peer"]);
    const ofProvider = (name: string, help: string) => gauge<"provider">(name, help, ["provider"]);
    this.#states = gauge("provider_state", "1 for the state of a mesh that is on this host.", ["provider", "state"]);
    this.#counts = {
      up: ofProvider("peers_up", "Neighbours that are up."),
      configured: ofProvider("peers_configured", "Neighbours that are configured or were added."),
      configuredUp: ofProvider("peers_configured_up", "Of the configured neighbours those that are up."),
    };
    this.#peerLatency = ofPeer("peer_latency_seconds", "Round trip to a neighbour as the mesh measures it.");
    this.#peerQuality = ofPeer(
      "peer_quality_ratio",
      "Quality of the link to a neighbour as batman-adv measures it, 0 to 1. Not a loss.",
    );
    this.#peerThroughput = ofPeer(
      "peer_throughput_bytes_per_second",
      "Throughput to a neighbour as the mesh estimates it.",
    );
    this.#links = {
      reachable: ofPeer("link_reachable", "1 while another host answers this agent's probes."),
      latency: ofPeer("link_latency_seconds", "Median round trip of the last minute, measured by the agent."),
      latencyP95: ofPeer("link_latency_high_seconds", "High round trip of the last minute: its 95th percentile."),
      loss: ofPeer("link_loss_ratio", "Share of echoes of the last minute that were lost, both ways together."),
      mtu: ofPeer("link_path_mtu_bytes", "Largest packet that gets there whole."),
    };
    this.#isCoordinator = gauge("healing_coordinator", "1 on the host that decides on healing.", []);
    this.#partitions = gauge("partitions", "Meshes that have fallen apart, as the coordinator sees it.", []);
    this.#open = gauge("healing_runs", "Runs that have not ended, by state; told by the coordinator.", ["state"]);
    this.#faults = gauge("faults", "Faults in force; told by the coordinator.", ["fault"]);
    const help = "Runs of healing that ended while this host coordinated them: healed = verified.";
    this.#heals = new Counter({ name: "wardline_mesh_heals_total", help, labelNames: ["outcome"], registers });
    this.#actions = new Counter({
      name: "wardline_mesh_healing_actions_total",
      help: "Acts of runs that ended, without dry runs, by what became of them.",
      labelNames: ["outcome"],
      registers,
    });
    this.#repairSeconds = new Histogram({
      name: "wardline_mesh_repair_duration_seconds",
      help: "From the first symptom to the end of verification, of healed runs.",
      buckets: REPAIR_BUCKETS,
      registers,
    });
    for (const state of ENDED) this.#heals.inc({ outcome: HEALING_STATE_NAMES[state] ?? "unknown" }, 0);
    for (const outcome of Object.values(HEALING_OUTCOME_NAMES)) this.#actions.inc({ outcome }, 0);
  }

  /** `null` = the agent was told to do without meshes: nothing is known of them. */
  sample(figures: MeshFigures | null): void {
    this.#clear();
    if (figures === null) return;
    const { providers, probes, host } = figures.observation;
    for (const report of providers) if (report.state !== MeshProviderState.ABSENT) this.#sampleProvider(report);
    this.#sampleProbes(probes);
    this.#isCoordinator.set(Number(figures.coordinates));
    if (figures.coordinates) this.#sampleRuns(figures.runs.filter(({ endedAt }) => endedAt === undefined));
    for (const run of figures.runs) if (run.endedAt !== undefined) this.#countEnded(run, host);
  }

  #sampleProvider(report: MeshProviderReport): void {
    const provider = MESH_PROVIDER_NAMES[report.provider] ?? "unknown";
    for (const [value, state] of Object.entries(MESH_PROVIDER_STATE_NAMES))
      if (Number(value) !== MeshProviderState.ABSENT)
        this.#states.set({ provider, state }, Number(report.state === Number(value)));
    // Of a daemon that does not answer nothing is known.
    if (report.state !== MeshProviderState.UP) return;
    const configured = report.peers.filter((peer) => peer.configured);
    this.#counts.up.set({ provider }, report.peers.filter(({ up }) => up).length);
    this.#counts.configured.set({ provider }, configured.length);
    this.#counts.configuredUp.set({ provider }, configured.filter(({ up }) => up).length);
    for (const [peer, links] of labelled(report.peers, keyOf))
      this.#samplePeer(
        { provider, peer },
        links.filter(({ up }) => up),
      );
  }

  /** Several links to one neighbour: the best of each figure. */
  #samplePeer(labels: { readonly provider: string; readonly peer: string }, links: readonly MeshPeer[]): void {
    const latencies = links.flatMap(({ latencyMs }) => latencyMs ?? []);
    const qualities = links.flatMap(({ quality }) => quality ?? []);
    const throughputs = links.flatMap(({ throughputBitsPerSecond: bits }) =>
      bits === undefined ? [] : Number(bits) / 8,
    );
    if (latencies.length > 0) this.#peerLatency.set(labels, Math.min(...latencies) / 1_000);
    if (qualities.length > 0) this.#peerQuality.set(labels, Math.max(...qualities));
    if (throughputs.length > 0) this.#peerThroughput.set(labels, Math.max(...throughputs));
  }

  #sampleProbes(probes: readonly MeshProbe[]): void {
    for (const [id, ofProvider] of Map.groupBy(probes, ({ provider }) => provider)) {
      const provider = MESH_PROVIDER_NAMES[id] ?? "unknown";
      for (const [peer, all] of labelled(ofProvider, ({ targetHost }) => targetHost.slice(0, MAX_NAME_LENGTH))) {
        const labels = { provider, peer };
        // Several addresses of one host: the best of them is the way to it.
        const best = all.find(({ reachable }) => reachable) ?? all[0];
        if (best === undefined) continue;
        this.#links.reachable.set(labels, Number(best.reachable));
        if (best.latencyMs !== undefined) this.#links.latency.set(labels, best.latencyMs / 1_000);
        if (best.latencyP95Ms !== undefined) this.#links.latencyP95.set(labels, best.latencyP95Ms / 1_000);
        if (best.loss !== undefined) this.#links.loss.set(labels, best.loss);
        if (best.pathMtuBytes !== undefined) this.#links.mtu.set(labels, best.pathMtuBytes);
      }
    }
  }

  #sampleRuns(open: readonly HealingRun[]): void {
    const isEnded = (state: number) => ENDED.some((each) => each === state);
    for (const [value, state] of Object.entries(HEALING_STATE_NAMES))
      if (!isEnded(Number(value))) this.#open.set({ state }, open.filter((run) => run.state === Number(value)).length);
    for (const [value, fault] of Object.entries(MESH_FAULT_NAMES))
      this.#faults.set({ fault }, open.filter((run) => run.fault === Number(value)).length);
    this.#partitions.set(open.filter(({ fault }) => fault === MeshFault.PARTITION).length);
  }

  /** Once, by the host that decided at its end: a sum over all hosts counts each run once. */
  #countEnded(run: HealingRun, host: string): void {
    const { id, endedAt, state, steps, timeToRepair, coordinator } = run;
    if (endedAt === undefined || coordinator !== host || this.#counted.has(id)) return;
    if (Number(endedAt.seconds) * 1_000 + endedAt.nanos / 1e6 < this.#startedAtMs) return;
    this.#counted.add(id);
    for (const oldest of this.#counted) {
      if (this.#counted.size <= MAX_COUNTED) break;
      this.#counted.delete(oldest);
    }
    this.#heals.inc({ outcome: HEALING_STATE_NAMES[state] ?? "unknown" });
    for (const step of steps) {
      if (step.phase !== HealingPhase.EXECUTE || step.dryRun || step.outcome === HealingOutcome.UNSPECIFIED) continue;
      this.#actions.inc({ outcome: HEALING_OUTCOME_NAMES[step.outcome] ?? "unknown" });
    }
    if (state === HealingState.HEALED && timeToRepair)
      this.#repairSeconds.observe(Number(timeToRepair.seconds) + timeToRepair.nanos / 1e9);
  }

  /** What is not set again in this sample is absent from it. */
  #clear(): void {
    const all = [this.#states, this.#peerLatency, this.#peerQuality, this.#peerThroughput, this.#open, this.#faults];
    for (const gauge of [...all, ...Object.values(this.#counts), ...Object.values(this.#links)]) gauge.reset();
    for (const gauge of [this.#isCoordinator, this.#partitions]) gauge.remove();
  }
}

function keyOf({ key }: MeshPeer): string {
  return key.length > KEY_LENGTH && !key.includes(":") ? key.slice(0, KEY_LENGTH) : key.slice(0, MAX_NAME_LENGTH);
}

/** By label, the first 256 in the order of their labels, so that the same ones are shown each time. */
function labelled<T>(
  values: readonly T[],
  labelOf: (value: T) => string,
): readonly (readonly [string, readonly T[]])[] {
  const groups = Map.groupBy(values, labelOf);
  groups.delete("");
  return [...groups].toSorted(([one], [other]) => (one < other ? -1 : 1)).slice(0, MAX_PEERS);
}
