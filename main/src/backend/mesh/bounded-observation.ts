/** What a host says of its meshes, made fit to be joined with the word of others: of itself only, and of possible figures. */
import { create, type DescMessage } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type WatchMeshResponse, WatchMeshResponseSchema } from "@wardline/api/wardline/agent/v1/mesh";
import {
  type HealingKnowledge,
  HealingMode,
  type HealingRun,
  HealingState,
  type MeshObservation,
  type MeshPeer,
  type MeshProbe,
  MeshProvider,
  type MeshProviderReport,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { canonicalKey, shownUri } from "@wardline/domain/mesh";
import { timestampOf } from "@wardline/domain/wire";
import { boundMessage } from "../agent/bounded-message.ts";

const BOUNDS = {
  maxItems: 200,
  maxTextLength: 600,
  maxTotalLength: 8 * 1024 * 1024,
  itemsOf: {
    ...{ providers: 3, peers: 1_000, routes: 4_000, tree: 10_000, gateways: 256, probes: 256, ports: 64 },
    ...{ capabilities: 32, problems: 50, runs: 200, candidates: 20, steps: 100, evidence: 20, hosts: 256 },
    ...{ preconditions: 20, knowledge: 200, askBefore: 16 },
  },
};
const RUN_ID = /^[A-Za-z0-9._:/-]{1,200}$/;
const LONGEST_MS = 3_600_000;

/** Changes the given message. Runs that cannot be asked for again are left out. */
export function boundNews(news: WatchMeshResponse, hostName: string, nowMs: number): WatchMeshResponse {
  const sizes = news.observation?.providers.map(({ peers, routes }) => [peers.length, routes.length]) ?? [];
  boundMessage(WatchMeshResponseSchema, news, BOUNDS);
  for (const [index, provider] of news.observation?.providers.entries() ?? []) {
    const [peers = 0, routes = 0] = sizes[index] ?? [];
    if (peers > provider.peers.length || routes > provider.routes.length) provider.truncated = true;
  }
  if (news.observation) boundSeen(news.observation, hostName, nowMs);
  news.runs = news.runs.filter((run) => boundRunFigures(run, nowMs) !== null);
  for (const known of news.knowledge) boundKnowledge(known);
  return news;
}

/** Changes the given message. */
export function boundObservation(observation: MeshObservation, hostName: string, nowMs: number): MeshObservation {
  const news = boundNews(create(WatchMeshResponseSchema, { observation }), hostName, nowMs);
  return news.observation ?? observation;
}

/** Changes the given run. `null` = it cannot be one. */
export function boundRun(run: HealingRun, nowMs: number): HealingRun | null {
  const [bounded = null] = boundNews(create(WatchMeshResponseSchema, { runs: [run] }), "", nowMs).runs;
  return bounded;
}

/** Changes the given answer: texts and lists only. */
export function boundAnswer<Shape extends Parameters<typeof boundMessage>[1]>(
  schema: DescMessage,
  answer: Shape,
): Shape {
  return boundMessage(schema, answer, BOUNDS);
}

function boundSeen(observation: MeshObservation, hostName: string, nowMs: number): void {
  observation.host = hostName;
  // Ages are counted on the host's own clock, which may be another than ours: inside of what it says nothing is later.
  observation.observedAt ??= timestampOf(nowMs);
  const saidAtMs = timestampMs(observation.observedAt);
  const seen = new Set<MeshProvider>();
  observation.providers = observation.providers.filter(({ provider }) => {
    const isFit = provider >= MeshProvider.YGGDRASIL && provider <= MeshProvider.IP && !seen.has(provider);
    seen.add(provider);
    return isFit;
  });
  for (const report of observation.providers) boundReport(report, saidAtMs);
  for (const probe of observation.probes) boundProbe(probe, saidAtMs);
}

function boundReport(report: MeshProviderReport, saidAtMs: number): void {
  const { provider } = report;
  if (!(report.state >= MeshProviderState.ABSENT && report.state <= MeshProviderState.UP))
    report.state = MeshProviderState.UNSUPPORTED;
  setTime(report, "since", notAhead(report.since, saidAtMs));
  setTime(report, "measuredAt", notAhead(report.measuredAt, saidAtMs));
  if (report.self) {
    const key = keyOf(provider, report.self.key);
    if (key === "") delete report.self;
    else report.self.key = key;
  }
  for (const peer of report.peers) boundPeer(provider, peer);
  for (const route of report.routes) {
    route.destinationKey = keyOf(provider, route.destinationKey);
    route.nextHopKey = keyOf(provider, route.nextHopKey);
    keepWithin(route, "quality", 0, 1);
  }
  report.routes = report.routes.filter(({ destinationKey }) => destinationKey !== "");
  for (const entry of report.tree) {
    entry.key = keyOf(provider, entry.key);
    entry.parentKey = keyOf(provider, entry.parentKey);
  }
  report.tree = report.tree.filter(({ key }) => key !== "");
  for (const gateway of report.gateways) {
    gateway.key = keyOf(provider, gateway.key);
    gateway.routerKey = keyOf(provider, gateway.routerKey);
    keepWithin(gateway, "quality", 0, 1);
  }
  report.gateways = report.gateways.filter(({ key }) => key !== "");
}

function boundPeer(provider: MeshProvider, peer: MeshPeer): void {
  peer.key = keyOf(provider, peer.key);
  // A peer that is up is somebody: without a key it would be a link to nowhere.
  if (peer.key === "") peer.up = false;
  // Agents strip passwords themselves; one that does not must not spread them.
  peer.uri = shownUri(peer.uri);
  keepWithin(peer, "latencyMs", 0, LONGEST_MS);
  keepWithin(peer, "quality", 0, 1);
}

function boundProbe(probe: MeshProbe, saidAtMs: number): void {
  keepWithin(probe, "latencyMs", 0, LONGEST_MS);
  keepWithin(probe, "latencyP95Ms", 0, LONGEST_MS);
  keepWithin(probe, "loss", 0, 1);
  keepWithin(probe, "pathMtuBytes", 1, 1_000_000);
  setTime(probe, "lastAnswerAt", notAhead(probe.lastAnswerAt, saidAtMs));
}

function boundRunFigures(run: HealingRun, nowMs: number): HealingRun | null {
  if (!RUN_ID.test(run.id)) return null;
  if (!(run.state >= HealingState.WATCHING && run.state <= HealingState.STOPPED)) return null;
  run.confidence = Number.isFinite(run.confidence) ? Math.min(1, Math.max(0, run.confidence)) : 0;
  if (!(run.mode >= HealingMode.OBSERVE && run.mode <= HealingMode.ACT)) run.mode = HealingMode.OBSERVE;
  setTime(run, "firstSymptomAt", notAhead(run.firstSymptomAt, nowMs));
  setTime(run, "detectedAt", notAhead(run.detectedAt, nowMs));
  setTime(run, "endedAt", notAhead(run.endedAt, nowMs));
  // Verified repairs are measured; of anything else there is no such figure.
  if (run.state !== HealingState.HEALED) delete run.timeToRepair;
  for (const candidate of run.candidates) {
    keepWithin(candidate, "successRate", 0, 1);
    candidate.peerUri = shownUri(candidate.peerUri);
  }
  for (const step of run.steps) setTime(step, "at", notAhead(step.at, nowMs));
  return run;
}

function boundKnowledge(known: HealingKnowledge): void {
  known.healed = Math.min(known.healed, known.tried);
}

/** In its one form; empty when it is none of this mesh. Plain IP has no keys: its ends are hosts. */
function keyOf(provider: MeshProvider, key: string): string {
  return provider === MeshProvider.IP ? "" : (canonicalKey(provider, key) ?? "");
}

function keepWithin<Shape extends object>(message: Shape, name: keyof Shape, low: number, high: number): void {
  const value = message[name] as unknown;
  if (typeof value !== "number") return;
  // An impossible figure was not measured.
  if (!(value >= low && value <= high)) delete message[name];
}

function notAhead(time: Timestamp | undefined, nowMs: number): Timestamp | undefined {
  if (!time) return undefined;
  return timestampMs(time) > nowMs ? timestampOf(nowMs) : time;
}

function setTime<Shape extends object>(message: Shape, name: keyof Shape, time: Timestamp | undefined): void {
  if (time) message[name] = time as Shape[keyof Shape];
  else delete message[name];
}
