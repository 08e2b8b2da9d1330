/** What of an observation goes into the picture: bounded, with every figure that cannot be one left out. */
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type MeshObservation,
  type MeshPeer,
  type MeshProbe,
  MeshProvider,
  type MeshProviderReport,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { shownUri } from "../peer-uri.ts";
import { canonicalKey, GRAPH_PROVIDERS, plainText, providerName } from "./identity.ts";
import { MESH_LIMITS } from "./limits.ts";

export interface Figures {
  readonly latencyMs: number | null;
  readonly loss: number | null;
  readonly quality: number | null;
  readonly throughputBitsPerSecond: number | null;
  readonly cost: number | null;
  readonly pathMtuBytes: number | null;
}

export const NO_FIGURES: Figures = {
  latencyMs: null,
  loss: null,
  quality: null,
  throughputBitsPerSecond: null,
  cost: null,
  pathMtuBytes: null,
};

/** A neighbour by its key. Several entries of one key are one. */
export interface Neighbour {
  readonly key: string;
  readonly isUp: boolean;
  readonly isInbound: boolean;
  readonly uri: string;
  readonly figures: Figures;
  /** Of the oldest session with it that is up. */
  readonly uptimeMs: number | null;
}

export interface ProviderReading {
  readonly provider: MeshProvider;
  readonly state: MeshProviderState;
  readonly detail: string;
  readonly generation: string;
  readonly version: string;
  /** Empty = it did not say. */
  readonly key: string;
  readonly claimedAddress: string;
  readonly claimedSubnet: string;
  /** How old the daemon's answer was when it was told. */
  readonly answerAgeMs: number;
  readonly neighbours: ReadonlyMap<string, Neighbour>;
  /** Keys by URI, of those that are up: a peer that is down does not say its key. */
  readonly keysByUri: ReadonlyMap<string, string>;
  readonly peersConfigured: number;
  readonly peersConfiguredUp: number;
  readonly isTruncated: boolean;
}

export interface HostReading {
  readonly providers: ReadonlyMap<MeshProvider, ProviderReading>;
  /** Measured over a mesh, end to end: by provider and name of the target. They are figures of a link where it is direct. */
  readonly overlayProbes: ReadonlyMap<string, Figures>;
  readonly problems: readonly string[];
}

const MAX_LATENCY_MS = 3_600_000;
const MAX_UPTIME_MS = 1e12;
const MAX_BITS_PER_SECOND = 1e15;
const MAX_PROBLEMS = 10;
const MAX_WORD = 64;

/** `keysByUri`: as of the reading before, per provider. */
export function readObservation(
  observation: MeshObservation,
  keysByUri: (provider: MeshProvider) => ReadonlyMap<string, string>,
): HostReading {
  const providers = new Map<MeshProvider, ProviderReading>();
  const observedAtMs = stampMs(observation.observedAt);
  for (const report of observation.providers.slice(0, MESH_LIMITS.providersOfHost)) {
    const { provider } = report;
    if (provider === MeshProvider.IP || !GRAPH_PROVIDERS.includes(provider as never) || providers.has(provider))
      continue;
    providers.set(provider, readReport(report, { observedAtMs, keysByUri: keysByUri(provider) }));
  }
  const probes = observation.probes.slice(0, MESH_LIMITS.probesOfHost);
  const links = probes.filter(({ provider }) => provider === MeshProvider.IP);
  if (links.length > 0) {
    const isTruncated = observation.probes.length > MESH_LIMITS.probesOfHost;
    providers.set(MeshProvider.IP, readLinkProbes(links, isTruncated));
  }
  const problems = observation.problems.slice(0, MAX_PROBLEMS).map(plainText);
  return { providers, overlayProbes: readOverlayProbes(probes), problems };
}

/** Of {@link HostReading.overlayProbes}. */
export const overlayKey = (provider: MeshProvider, host: string): string => `${provider}/${host}`;

interface ReportContext {
  readonly observedAtMs: number | null;
  readonly keysByUri: ReadonlyMap<string, string>;
}

function readReport(report: MeshProviderReport, context: ReportContext): ProviderReading {
  const { provider, self } = report;
  const peers = report.peers.slice(0, MESH_LIMITS.peersOfProvider);
  const neighbours = new Map<string, Neighbour>();
  const keysByUri = new Map<string, string>();
  let peersConfigured = 0;
  let peersConfiguredUp = 0;
  for (const peer of peers) {
    const uri = peer.uri === "" ? "" : shownUri(peer.uri);
    const isUp = peer.up;
    if (peer.configured) {
      peersConfigured++;
      if (isUp) peersConfiguredUp++;
    }
    const key = canonicalKey(provider, peer.key) ?? (peer.key === "" ? context.keysByUri.get(uri) : undefined);
    if (key === undefined) continue;
    if (uri !== "" && !peer.inbound) keysByUri.set(uri, key);
    const uptimeMs = isUp ? uptimeOf(peer) : null;
    const read = { key, isUp, isInbound: peer.inbound, uri, figures: figuresOfPeer(peer), uptimeMs };
    const other = neighbours.get(key);
    neighbours.set(key, other === undefined ? read : better(read, other));
  }
  return {
    provider,
    state: report.state,
    detail: plainText(report.detail),
    generation: plainText(report.generation).slice(0, MAX_WORD),
    version: plainText(report.version).slice(0, MAX_WORD),
    key: canonicalKey(provider, self?.key ?? "") ?? "",
    claimedAddress: plainText(self?.address ?? "").slice(0, MAX_WORD),
    claimedSubnet: plainText(self?.subnet ?? "").slice(0, MAX_WORD),
    answerAgeMs: answerAge(report.measuredAt, context.observedAtMs),
    neighbours,
    keysByUri,
    peersConfigured,
    peersConfiguredUp,
    isTruncated: report.truncated || report.peers.length > MESH_LIMITS.peersOfProvider,
  };
}

function readLinkProbes(probes: readonly MeshProbe[], isTruncated: boolean): ProviderReading {
  const neighbours = new Map<string, Neighbour>();
  for (const probe of probes) {
    const key = canonicalKey(MeshProvider.IP, probe.targetHost);
    if (key === null) continue;
    const uri = plainText(probe.address).slice(0, MAX_WORD);
    const figures = figuresOfProbe(probe);
    const read = { key, isUp: probe.reachable, isInbound: false, uri, figures, uptimeMs: null };
    const other = neighbours.get(key);
    neighbours.set(key, other === undefined ? read : better(read, other));
  }
  return {
    provider: MeshProvider.IP,
    state: MeshProviderState.UP,
    detail: "",
    generation: "",
    version: "",
    key: "",
    claimedAddress: "",
    claimedSubnet: "",
    answerAgeMs: 0,
    neighbours,
    keysByUri: new Map(),
    peersConfigured: 0,
    peersConfiguredUp: 0,
    isTruncated,
  };
}

function readOverlayProbes(probes: readonly MeshProbe[]): Map<string, Figures> {
  const read = new Map<string, Figures>();
  for (const probe of probes) {
    if (probe.provider === MeshProvider.IP || !probe.reachable) continue;
    read.set(overlayKey(probe.provider, probe.targetHost), figuresOfProbe(probe));
  }
  return read;
}

/** One that is up before one that is not, then the quicker one, then the one that came first. */
function better(one: Neighbour, first: Neighbour): Neighbour {
  const isBetter =
    one.isUp !== first.isUp
      ? one.isUp
      : (one.figures.latencyMs ?? MAX_LATENCY_MS) < (first.figures.latencyMs ?? MAX_LATENCY_MS);
  const uptimes = [one.uptimeMs, first.uptimeMs].filter((uptimeMs) => uptimeMs !== null);
  return { ...(isBetter ? one : first), uptimeMs: uptimes.length === 0 ? null : Math.max(...uptimes) };
}

function figuresOfPeer(peer: MeshPeer): Figures {
  return {
    latencyMs: latency(peer.latencyMs),
    loss: null,
    quality: share(peer.quality),
    throughputBitsPerSecond: whole(peer.throughputBitsPerSecond, MAX_BITS_PER_SECOND),
    cost: whole(peer.cost, Number.MAX_SAFE_INTEGER),
    pathMtuBytes: null,
  };
}

function figuresOfProbe(probe: MeshProbe): Figures {
  const { pathMtuBytes = 0 } = probe;
  return {
    ...NO_FIGURES,
    latencyMs: latency(probe.latencyMs),
    loss: share(probe.loss),
    pathMtuBytes: pathMtuBytes > 0 ? pathMtuBytes : null,
  };
}

/** To a hundredth of a millisecond. */
function latency(value: number | undefined): number | null {
  const isOne = value !== undefined && value >= 0 && value <= MAX_LATENCY_MS;
  return isOne ? Math.round(value * 100) / 100 : null;
}

/** To a ten-thousandth. */
function share(value: number | undefined): number | null {
  return value !== undefined && value >= 0 && value <= 1 ? Math.round(value * 10_000) / 10_000 : null;
}

function whole(value: bigint | undefined, most: number): number | null {
  return value !== undefined && value >= 0n && value <= BigInt(most) ? Number(value) : null;
}

function durationMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

function uptimeOf({ uptime }: MeshPeer): number | null {
  const uptimeMs = uptime === undefined ? -1 : Math.round(durationMs(uptime));
  return uptimeMs >= 0 && uptimeMs <= MAX_UPTIME_MS ? uptimeMs : null;
}

function stampMs(stamp: Timestamp | undefined): number | null {
  const ms = stamp === undefined ? Number.NaN : timestampMs(stamp);
  return Number.isFinite(ms) ? ms : null;
}

/** Both stamps are of the host's own clock. Without them the answer is as old as the observation. */
function answerAge(measuredAt: Timestamp | undefined, observedAtMs: number | null): number {
  const measuredAtMs = stampMs(measuredAt);
  return measuredAtMs === null || observedAtMs === null ? 0 : Math.max(0, observedAtMs - measuredAtMs);
}

/** A sentence about a daemon that is not as it should be; empty = it is, or there is none. */
export function daemonProblem({
  provider,
  state,
  detail,
  neighbours,
  peersConfigured,
  ...reading
}: ProviderReading): string {
  const name = providerName(provider);
  const because = detail === "" ? "." : `: ${detail}`;
  switch (state) {
    case MeshProviderState.DOWN:
      return `${name} does not run${because}`;
    case MeshProviderState.UNRESPONSIVE:
      return `${name} does not answer${because}`;
    case MeshProviderState.UNSUPPORTED:
      return `${name} answers in a shape that is not known${because}`;
    case MeshProviderState.UP:
      if (
        peersConfigured > 0 &&
        reading.peersConfiguredUp === 0 &&
        ![...neighbours.values()].some(({ isUp }) => isUp)
      ) {
        return `None of the ${peersConfigured} configured peers of ${name} is up.`;
      }
      return "";
    default:
      return "";
  }
}
