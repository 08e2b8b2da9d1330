/** Where another peer could be added: at addresses that other hosts use for nodes of the same mesh, and at no others. */
import type { Diagnosis } from "./analyse.ts";
import { type Fleet, isUp, peersUp, reportOf } from "./fleet.ts";
import { MeshFault, type MeshProvider } from "./model.ts";
import { upCount } from "./monitor.ts";
import { partIndex } from "./monitor-meshes.ts";

export interface PeerPlace {
  /** Who would dial. */
  readonly host: string;
  readonly provider: MeshProvider;
  readonly uri: string;
  /** Whom. */
  readonly otherHost: string;
  /** The neighbour that was lost, at another address. */
  readonly isSameLink: boolean;
}

interface Listener {
  readonly uri: string;
  readonly key: string;
  readonly host: string;
}

const MAX_PLACES = 3;

/** At this many peers a further one replaces nothing that is missing. */
const ENOUGH_PEERS = 2;

/** Whether this host could do with another way: the mesh is torn, or hardly anything holds it. */
export function lacksPeers(fleet: Fleet, { provider, parts }: Diagnosis, host: string): boolean {
  return parts.length > 1 || upCount(fleet, host, provider) < ENOUGH_PEERS;
}

/** Those that are of most use first. */
export function addPeerPlaces(fleet: Fleet, diagnosis: Diagnosis): PeerPlace[] {
  const listeners = knownListeners(fleet, diagnosis.provider);
  const near = diallers(fleet, diagnosis);
  const far = farEnds(fleet, diagnosis).filter((host) => !near.includes(host));
  const places = [...near, ...far].flatMap((host) => placesOf(fleet, diagnosis, host, listeners));
  const rank = ({ host, otherHost, isSameLink }: PeerPlace) => {
    if (isSameLink) return 0;
    if (!lacksPeers(fleet, diagnosis, host)) return 3;
    // The same two hosts the other way round: what cut the link most likely cuts that too.
    if (far.includes(host)) return near.includes(otherHost) ? 4 : 2;
    return 1;
  };
  return places.sort((a, b) => rank(a) - rank(b) || (a.uri < b.uri ? -1 : 1)).slice(0, MAX_PLACES);
}

/** Addresses at which hosts of ours are reached now. */
function knownListeners(fleet: Fleet, provider: MeshProvider): Listener[] {
  const found = new Map<string, Listener>();
  for (const host of fleet.watched) {
    for (const { uri, key, inbound } of peersUp(reportOf(host, provider))) {
      const owner = fleet.ownerOf(provider, key);
      if (uri === "" || inbound || owner === "") continue;
      if (isUp(reportOf(fleet.hosts.get(owner), provider))) found.set(uri, { uri, key, host: owner });
    }
  }
  return [...found.values()];
}

function diallers(fleet: Fleet, { fault, peers, parts, hosts, provider }: Diagnosis): string[] {
  const working = (host: string) => isUp(reportOf(fleet.hosts.get(host), provider));
  if (fault === MeshFault.PARTITION) return parts.slice(1).flat().filter(working);
  if (fault === MeshFault.PEER_DOWN) return [...new Set(peers.map(({ host }) => host))].filter(working);
  return hosts.slice(0, 1).filter(working);
}

/** Whom a link that is down led to, where they are left with too little: they dial others themselves. */
function farEnds(fleet: Fleet, diagnosis: Diagnosis): string[] {
  const { fault, peers, provider } = diagnosis;
  // Alone a host decides for itself only.
  if (fault !== MeshFault.PEER_DOWN || fleet.scope.kind !== "cluster") return [];
  const owners = new Set(peers.map(({ key }) => fleet.ownerOf(provider, key)));
  return [...owners].filter(
    (host) => isUp(reportOf(fleet.hosts.get(host), provider)) && lacksPeers(fleet, diagnosis, host),
  );
}

function placesOf(fleet: Fleet, diagnosis: Diagnosis, host: string, listeners: readonly Listener[]): PeerPlace[] {
  const { provider, parts, peers, fault } = diagnosis;
  const report = reportOf(fleet.hosts.get(host), provider);
  const isTaken = ({ uri, key }: Listener) =>
    report?.peers.some((peer) => peer.uri === uri || (peer.up && peer.key === key)) ?? true;
  const lost = new Set(peers.filter((peer) => peer.host === host).map(({ key }) => key));
  return listeners.flatMap((listener) => {
    if (listener.host === host || isTaken(listener)) return [];
    const isSameLink = fault === MeshFault.PEER_DOWN && lost.has(listener.key);
    // Where the mesh is torn only the other part helps.
    const isAcross = partIndex(parts, listener.host) !== partIndex(parts, host);
    if (!isSameLink && parts.length > 1 && !isAcross) return [];
    return { host, provider, uri: listener.uri, otherHost: listener.host, isSameLink };
  });
}
