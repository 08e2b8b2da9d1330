/** From what the daemon answers, and whom it should have as peers, to what the wire shows. */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  type MeshPeer,
  MeshPeerSchema,
  type MeshRoute,
  MeshRouteSchema,
  type MeshTreeEntry,
  MeshTreeEntrySchema,
} from "@wardline/api/wardline/v1/mesh";
import { shownUri, yggdrasilAddress } from "@wardline/domain/mesh";
import type { PeerAddress } from "../../ports.ts";
import type { Abilities, PathReply, PeerReply, TreeReply } from "./replies.ts";

export const MAX_PEERS = 1_000;
export const MAX_ROUTES = 4_000;

const LARGEST_COUNTER = 2n ** 64n - 1n;

export interface ShownPeers {
  readonly peers: readonly MeshPeer[];
  readonly truncated: boolean;
  /** Keys of expected peers that are up, by shown URI. */
  readonly keys: ReadonlyMap<string, string>;
}

/**
 * Everything that the daemon has, and what it should have and does not list: until 0.4.7 it lists only peers that are up, so that a
 * missing one is one that is down.
 */
export function shownPeers(
  replies: readonly PeerReply[],
  expected: readonly PeerAddress[],
  keyOf: (shown: string) => string,
): ShownPeers {
  const wanted = new Map(expected.map((peer) => [shownUri(peer.uri), peer]));
  const keys = new Map<string, string>();
  const shown = replies.map((reply) => {
    const uri = shownUri(reply.remote);
    const isWanted = uri !== "" && wanted.has(uri) && reply.inbound !== true;
    if (isWanted && reply.up) keys.set(uri, reply.key);
    return seenPeer(reply, uri, isWanted, wanted.get(uri)?.interfaceName ?? "", keyOf);
  });
  const listed = new Set(shown.filter(({ inbound }) => !inbound).map(({ uri }) => uri));
  for (const [uri, peer] of wanted) if (!listed.has(uri)) shown.push(missingPeer(uri, peer, keyOf(uri)));
  return { peers: shown.slice(0, MAX_PEERS), truncated: shown.length > MAX_PEERS, keys };
}

function seenPeer(
  reply: PeerReply,
  uri: string,
  isWanted: boolean,
  wantedInterface: string,
  keyOf: (shown: string) => string,
): MeshPeer {
  const zone = linkLocalZone(reply.remote);
  // Until 0.4.7 the direction is not told: whom nobody asked for and who is no neighbour on a wire has come by itself.
  const inbound = reply.inbound ?? (!isWanted && zone === null);
  const key = reply.key !== "" || !isWanted ? reply.key : keyOf(uri);
  const shown = create(MeshPeerSchema, {
    ...{ key, address: key === "" ? "" : yggdrasilAddress(key)!, uri, up: reply.up, inbound },
    configured: isWanted || (reply.inbound === false && zone === null && uri !== ""),
    interfaceName: zone ?? wantedInterface,
    lastError: reply.lastError,
  });
  if (reply.port !== null) shown.port = BigInt(reply.port);
  if (reply.port !== null && reply.up) shown.port = counter(reply.port);
  if (reply.latencyMs !== null) shown.latencyMs = reply.latencyMs;
  if (reply.cost !== null) shown.cost = counter(reply.cost);
  if (reply.bytesReceived !== null) shown.bytesReceived = counter(reply.bytesReceived);
  if (reply.bytesSent !== null) shown.bytesSent = counter(reply.bytesSent);
  if (reply.uptimeMs !== null) shown.uptime = duration(reply.uptimeMs);
  if (reply.lastErrorAgeMs !== null) shown.lastErrorAge = duration(reply.lastErrorAgeMs);
  return shown;
}

export function missingPeer(uri: string, { interfaceName }: PeerAddress, key: string): MeshPeer {
  const address = key === "" ? "" : yggdrasilAddress(key)!;
  return create(MeshPeerSchema, { key, address, uri, interfaceName, up: false, configured: true });
}

/** `eth0` of `tls://[fe80::1%25eth0]:4000`: found by multicast; `null` = it was not. */
function linkLocalZone(remote: string): string | null {
  const match = /\/\/\[fe[89ab][0-9a-f]:[0-9a-f:.]*(?:%(?:25)?([A-Za-z0-9._@-]{1,15}))?\]/i.exec(remote);
  return match === null ? null : (match[1] ?? "");
}

/** The first port of a path is that of a peer, where it is counted from here. */
export function shownRoutes(paths: readonly PathReply[], peers: readonly PeerReply[]): readonly MeshRoute[] {
  const byPort = new Map(peers.flatMap(({ port, key }) => (port === null ? [] : [[port, key] as const])));
  return paths.slice(0, MAX_ROUTES).map(({ key, ports }) => {
    const nextHopKey = byPort.get(ports[0] ?? -1) ?? "";
    return create(MeshRouteSchema, { destinationKey: key, nextHopKey, best: true, ports: ports.map(BigInt) });
  });
}

export function shownTree(tree: readonly TreeReply[]): readonly MeshTreeEntry[] {
  return tree.slice(0, MAX_ROUTES).map((entry) => create(MeshTreeEntrySchema, entry));
}

/** What this daemon can be asked for, found by asking. */
export function capabilitiesOf({ commands }: Abilities, peers: readonly PeerReply[], canRestart: boolean): string[] {
  const told: readonly (readonly [string, boolean])[] = [
    ["peers", commands.has("getpeers")],
    ["sessions", commands.has("getsessions")],
    ["paths", commands.has("getpaths")],
    ["tree", commands.has("gettree")],
    ["dht", commands.has("getdht")],
    ["add-peer", commands.has("addpeer")],
    ["remove-peer", commands.has("removepeer")],
    ["latency", peers.some(({ latencyMs }) => latencyMs !== null)],
    ["cost", peers.some(({ cost }) => cost !== null)],
    ["rates", peers.some(({ hasRates }) => hasRates)],
    ["restart", canRestart],
  ];
  return told.filter(([, has]) => has).map(([name]) => name);
}

function counter(value: number): bigint {
  const whole = BigInt(value);
  return whole > LARGEST_COUNTER ? LARGEST_COUNTER : whole;
}

/** The longest that a message can hold is ten thousand years. */
const LONGEST_MS = 315_576_000_000_000;

function duration(ms: number): Duration {
  const bounded = Math.min(ms, LONGEST_MS);
  const seconds = Math.floor(bounded / 1_000);
  const nanos = Math.floor((bounded - seconds * 1_000) * 1e6);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.min(nanos, 999_999_999) });
}
