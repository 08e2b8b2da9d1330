/** The world as one look at it: who is heard, who runs what, whose key is whose. */
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import {
  type MeshPeer,
  type MeshProbe,
  type MeshProviderReport,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { parsePeerUri } from "../peer-uri.ts";
import type { MonitorMemory } from "./memory.ts";
import { type HealingHost, type HealingScope, type HealingWorld, MeshProvider } from "./model.ts";
import { isStale } from "./thresholds.ts";

export interface FleetHost extends HealingHost {
  /** What it says counts for now. */
  readonly isFresh: boolean;
  /** It should be heard and is not. */
  readonly isSilent: boolean;
}

export interface Fleet {
  readonly atMs: number;
  readonly scope: HealingScope;
  readonly world: HealingWorld;
  /** Who decides: it lives, or nobody would ask. */
  readonly coordinator: string;
  readonly hosts: ReadonlyMap<string, FleetHost>;
  /** Those that are fresh and within the scope: whose reports are looked at. */
  readonly watched: readonly FleetHost[];
  /** Put together when it is first asked for. */
  probesByTarget(): ReadonlyMap<string, readonly SeenProbe[]>;
  /** The host of a key; empty = none of ours. */
  ownerOf(provider: MeshProvider, key: string): string;
  /** The key of who listens there, as far as anybody knows; empty = nobody does. */
  keyAt(provider: MeshProvider, uri: string): string;
}

export interface FleetOptions {
  readonly scope: HealingScope;
  readonly coordinator: string;
}

/** Learns whose keys are whose as it goes. */
export function fleetOf(
  world: HealingWorld,
  { scope, coordinator }: FleetOptions,
  memory: MonitorMemory,
  atMs: number,
): Fleet {
  const hosts = new Map<string, FleetHost>();
  for (const host of world.hosts) hosts.set(host.host, { ...host, ...liveness(host, atMs) });
  for (const host of hosts.values()) {
    for (const report of host.observation?.providers ?? []) {
      const key = report.self?.key ?? "";
      if (key !== "") memory.owners[`${report.provider}/${key}`] = host.host;
    }
  }
  for (const [key, owner] of Object.entries(memory.owners)) if (!hosts.has(owner)) delete memory.owners[key];
  const isWatched = (host: FleetHost) => host.isFresh && (scope.kind === "cluster" || host.host === scope.host);
  const watched = [...hosts.values()].filter(isWatched);
  let probes: ReadonlyMap<string, readonly SeenProbe[]> | null = null;
  return {
    ...{ atMs, scope, coordinator, world, hosts, watched },
    probesByTarget() {
      probes ??= indexProbes(watched);
      return probes;
    },
    ownerOf: (provider, key) => (key === "" ? "" : (memory.owners[`${provider}/${key}`] ?? "")),
    keyAt: (provider, uri) => keyAt([...hosts.values()], provider, uri),
  };
}

/** From whoever is connected to it, or was when it was last heard; else from the host that has this address for probes. */
function keyAt(hosts: readonly FleetHost[], provider: MeshProvider, uri: string): string {
  for (const host of hosts) {
    const peer = reportOf(host, provider)?.peers.find((each) => each.uri === uri && each.key !== "");
    if (peer) return peer.key;
  }
  const parsed = parsePeerUri(uri);
  if (!parsed.ok) return "";
  const names = new Set<string>();
  for (const { observation } of hosts) {
    for (const probe of observation?.probes ?? []) {
      if (probe.provider === MeshProvider.IP && probe.address === parsed.peer.host) names.add(probe.targetHost);
    }
  }
  const [name] = names;
  const owner = names.size === 1 ? hosts.find(({ host }) => host === name) : undefined;
  return reportOf(owner, provider)?.self?.key ?? "";
}

function liveness(host: HealingHost, atMs: number): { readonly isFresh: boolean; readonly isSilent: boolean } {
  const isOld = host.observation === null || isStale(host.receivedAtMs, atMs);
  switch (host.member) {
    case undefined:
      return { isFresh: !isOld, isSilent: host.observation !== null && isOld };
    case MemberState.GONE:
      return { isFresh: false, isSilent: true };
    // Stopped by a person, or never there yet: nothing is wrong with it, and nothing is known of it.
    case MemberState.STOPPED:
    case MemberState.JOINING:
      return { isFresh: false, isSilent: false };
    default:
      return { isFresh: !isOld, isSilent: host.member === MemberState.UNHEALTHY && isOld };
  }
}

export function reportOf(host: FleetHost | undefined, provider: MeshProvider): MeshProviderReport | undefined {
  return host?.observation?.providers.find((report) => report.provider === provider);
}

export function isUp(report: MeshProviderReport | undefined): report is MeshProviderReport {
  return report?.state === MeshProviderState.UP;
}

export function peersUp(report: MeshProviderReport | undefined): MeshPeer[] {
  return isUp(report) ? report.peers.filter(({ up }) => up) : [];
}

export interface SeenProbe {
  readonly from: FleetHost;
  readonly probe: MeshProbe;
}

/** What fresh hosts measure of the way to `target`. */
export function probesTo(fleet: Fleet, target: string): readonly SeenProbe[] {
  return fleet.probesByTarget().get(target) ?? [];
}

function indexProbes(watched: readonly FleetHost[]): ReadonlyMap<string, readonly SeenProbe[]> {
  const index = new Map<string, SeenProbe[]>();
  for (const from of watched) {
    for (const probe of from.observation?.probes ?? []) {
      if (probe.targetHost === from.host || probe.sent === 0) continue;
      const seen = index.get(probe.targetHost);
      if (seen) seen.push({ from, probe });
      else index.set(probe.targetHost, [{ from, probe }]);
    }
  }
  return index;
}

/** Proof that a host lives: it spoke since then, or somebody reaches it now. */
export function livesSince(fleet: Fleet, name: string, sinceMs: number): boolean {
  const host = fleet.hosts.get(name);
  if (!host) return true;
  if (host.isFresh && host.receivedAtMs > sinceMs) return true;
  return probesTo(fleet, name).some(({ probe }) => probe.reachable);
}
