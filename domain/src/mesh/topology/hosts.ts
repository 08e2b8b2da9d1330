/** What hosts said, and whether it counts. */
import { type MeshObservation, MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { isProviderFresh } from "./directions.ts";
import { MESH_LIMITS, MESH_LIVENESS } from "./limits.ts";
import { addressProblems } from "./nodes.ts";
import type { Picture } from "./picture.ts";
import { type HostReading, type Neighbour, type ProviderReading, readObservation } from "./reading.ts";
import type { HostRecord, NeighbourRecord, NodeRecord, ProviderRecord } from "./records.ts";

const FORMER_SESSIONS = 8;
/** How long a refused word is told. */
const ALARM_MS = 600_000;
const MAX_ALARMS = 5;
const NO_KEYS: ReadonlyMap<string, string> = new Map();

export function newHost(name: string, node: NodeRecord, knownAtMs: number): HostRecord {
  return {
    name,
    hostId: "",
    groups: [],
    node,
    knownAtMs,
    receivedAtMs: null,
    observation: undefined,
    formerSessions: [],
    isGone: false,
    isFresh: false,
    providers: new Map(),
    overlayProbes: new Map(),
    said: [],
    alarms: new Map(),
  };
}

/** What comes late is left out; nothing is wrong with anybody. */
export const LATE = "A newer observation of this host is known.";

export type Order =
  | { readonly isNews: true }
  /** `alarm`: a sentence for the node; empty = it is only late. */
  | { readonly isNews: false; readonly why: string; readonly alarm: string };

/** Whether this is the newest word of the host. A session that another one followed does not come back. */
export function judgeOrder(host: HostRecord, { sessionId, sequence }: MeshObservation): Order {
  const { observation, formerSessions } = host;
  if (observation === undefined) return { isNews: true };
  if (sessionId === observation.sessionId) {
    // The same word again, over a new connection, tells that the host is there.
    const isAgain = sequence === observation.sequence && !host.isFresh;
    if (sequence > observation.sequence || isAgain) return { isNews: true };
    return { isNews: false, why: LATE, alarm: "" };
  }
  if (!formerSessions.includes(sessionId)) return { isNews: true };
  const why = `Two agents speak as ${host.name}; the one that started later is heard.`;
  return { isNews: false, why, alarm: why };
}

export function raiseAlarm(host: HostRecord, sentence: string, nowMs: number): void {
  if (host.alarms.size >= MAX_ALARMS && !host.alarms.has(sentence)) return;
  host.alarms.set(sentence, nowMs + ALARM_MS);
}

/** Returns whether one ended. */
export function endAlarms(host: HostRecord, nowMs: number): boolean {
  let hasEnded = false;
  for (const [sentence, untilMs] of host.alarms) {
    if (nowMs >= untilMs) hasEnded = host.alarms.delete(sentence) || hasEnded;
  }
  return hasEnded;
}

/** Takes the word in: own keys, neighbours, and every link that they are about. */
export function takeObservation(picture: Picture, host: HostRecord, observation: MeshObservation, nowMs: number): void {
  const { observation: before } = host;
  if (before !== undefined && before.sessionId !== observation.sessionId) {
    host.formerSessions = [...host.formerSessions, before.sessionId].slice(-FORMER_SESSIONS);
  }
  const keysByUri = (provider: MeshProvider) => host.providers.get(provider)?.keysByUri ?? NO_KEYS;
  const reading = readObservation(observation, keysByUri);
  host.observation = observation;
  host.receivedAtMs = nowMs;
  host.isGone = false;
  host.said = reading.problems;
  host.overlayProbes = reading.overlayProbes;
  picture.markNode(host.node);
  const wasFresh = host.isFresh;
  host.isFresh = true;
  for (const provider of new Set([...host.providers.keys(), ...reading.providers.keys()])) {
    takeProvider(picture, host, provider, { reading, nowMs });
  }
  if (!wasFresh) settleClaims(picture, host);
  lookAtLinksOf(picture, host);
}

interface Taken {
  readonly reading: HostReading;
  readonly nowMs: number;
}

function takeProvider(
  picture: Picture,
  host: HostRecord,
  provider: MeshProvider,
  { reading: all, nowMs }: Taken,
): void {
  const record = providerRecord(host, provider);
  const reading = all.providers.get(provider) ?? null;
  const stateBefore = record.reading?.state;
  record.reading = reading;
  if (reading !== null) {
    if (reading.key !== "" && reading.key !== record.key) changeKey(picture, host, provider, reading.key);
    record.identityProblems = addressProblems(host.name, reading);
    // A reading of a daemon that is down does not know the keys of its peers: those of before are kept.
    if (reading.keysByUri.size > 0) record.keysByUri = mergedKeys(record.keysByUri, reading.keysByUri);
    takeNeighbours(picture, host, record, reading, nowMs);
  } else if (provider === MeshProvider.IP) forgetNeighbours(picture, host, provider, () => true);
  const wasFresh = record.isFresh;
  record.isFresh = isProviderFresh(host, record, nowMs);
  if (wasFresh !== record.isFresh || stateBefore !== reading?.state) picture.markStructure(provider);
}

function mergedKeys(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const kept = [...before].filter(([uri]) => !now.has(uri));
  return new Map([...kept.slice(-MESH_LIMITS.lostPeersOfProvider), ...now]);
}

export function providerRecord(host: HostRecord, provider: MeshProvider): ProviderRecord {
  const known = host.providers.get(provider);
  if (known !== undefined) return known;
  const record: ProviderRecord = {
    reading: null,
    key: "",
    identityProblems: [],
    neighbours: new Map(),
    keysByUri: NO_KEYS,
    isFresh: false,
  };
  host.providers.set(provider, record);
  return record;
}

function takeNeighbours(
  picture: Picture,
  host: HostRecord,
  record: ProviderRecord,
  reading: ProviderReading,
  nowMs: number,
): void {
  const { provider, neighbours } = reading;
  for (const [key, neighbour] of neighbours) {
    const known = record.neighbours.get(key);
    if (known === undefined) {
      record.neighbours.set(key, {
        neighbour,
        firstToldMs: nowMs,
        toldAtMs: nowMs,
        restartedAtMs: null,
        lostAtMs: null,
      });
      picture.mention(provider, key, host);
      const node = picture.nodeOfKey(provider, key);
      if (node) picture.lookAtLink(provider, host.node, node);
    } else {
      known.restartedAtMs = restartOf(known, neighbour, nowMs);
      known.neighbour = neighbour;
      known.toldAtMs = nowMs;
      known.lostAtMs = null;
    }
    if (neighbour.isUp) sawUp(picture, provider, key, nowMs);
  }
  // What is probed is a list of its own: a target that is no longer on it is not a neighbour that was lost.
  if (provider === MeshProvider.IP) forgetNeighbours(picture, host, provider, (key) => !neighbours.has(key));
  else if (reading.state === MeshProviderState.UP) loseNeighbours(picture, host, record, reading, nowMs);
}

/** Stamps of the way here do not count: what was long under way would seem to have begun later. */
const UNDER_WAY_MS = 2_000;

/** Whether it went down and came up between two looks: all of its sessions are younger than the look before. */
function restartOf(
  { neighbour: before, toldAtMs, lostAtMs }: NeighbourRecord,
  now: Neighbour,
  nowMs: number,
): number | null {
  if (lostAtMs !== null || !before.isUp || before.uptimeMs === null || now.uptimeMs === null) return null;
  const isNew = now.uptimeMs < before.uptimeMs && now.uptimeMs <= nowMs - toldAtMs + UNDER_WAY_MS;
  return isNew ? nowMs - now.uptimeMs : null;
}

function sawUp(picture: Picture, provider: MeshProvider, key: string, nowMs: number): void {
  const node = picture.nodeOfKey(provider, key);
  if (node === undefined) return;
  node.seenAtMs = nowMs;
  if (!node.host?.isFresh) picture.markNode(node);
}

/** Those that an answering daemon no longer tells of; the oldest go. Whether its list was cut is looked at with the link. */
function loseNeighbours(
  picture: Picture,
  host: HostRecord,
  record: ProviderRecord,
  { provider, neighbours }: ProviderReading,
  nowMs: number,
): void {
  const lost: string[] = [];
  for (const [key, known] of record.neighbours) {
    if (neighbours.has(key)) continue;
    known.lostAtMs ??= nowMs;
    lost.push(key);
  }
  const tooMany = lost.length - MESH_LIMITS.lostPeersOfProvider;
  if (tooMany <= 0) return;
  const oldest = new Set(lost.slice(0, tooMany));
  forgetNeighbours(picture, host, provider, (key) => oldest.has(key));
}

/** Its links are looked at again. */
export function forgetNeighbours(
  picture: Picture,
  host: HostRecord,
  provider: MeshProvider,
  isForgotten: (key: string) => boolean,
): void {
  const record = providerRecord(host, provider);
  for (const key of [...record.neighbours.keys()].filter(isForgotten)) {
    const node = picture.nodeOfKey(provider, key);
    record.neighbours.delete(key);
    picture.unmention(provider, key, host);
    if (node) picture.lookAtLink(provider, host.node, node);
  }
}

export function changeKey(picture: Picture, host: HostRecord, provider: MeshProvider, key: string): void {
  const record = providerRecord(host, provider);
  const former = record.key;
  record.key = key;
  if (former !== "") moveOwner(picture, provider, former, () => picture.claims.release(provider, former, host));
  if (key !== "") moveOwner(picture, provider, key, () => picture.claims.claim(provider, key, host));
}

/** After its word became fresh or expired: a key that several claim may be another's now. */
export function settleClaims(picture: Picture, host: HostRecord): void {
  for (const [provider, { key }] of host.providers) {
    if (key === "" || picture.claims.claimants(provider, key).length < 2) continue;
    moveOwner(picture, provider, key, () => picture.claims.settle(provider, key));
  }
}

/** Links of a key go over to who owns it now. */
function moveOwner(picture: Picture, provider: MeshProvider, key: string, move: () => boolean): void {
  const before = picture.nodeOfKey(provider, key);
  const hasMoved = move();
  for (const claimant of picture.claims.claimants(provider, key)) picture.markNode(claimant.node);
  if (!hasMoved) return;
  const after = picture.nodeOfKey(provider, key);
  for (const node of new Set([before, after])) {
    if (node === undefined) continue;
    picture.markNode(node);
    for (const link of [...node.links]) {
      if (link.provider === provider) picture.lookAtLink(provider, link.a, link.b);
    }
    for (const host of picture.mentions(provider, key) ?? []) picture.lookAtLink(provider, host.node, node);
    lookAtNeighbours(picture, node, provider);
  }
}

function lookAtNeighbours(picture: Picture, node: NodeRecord, provider: MeshProvider): void {
  for (const key of node.host?.providers.get(provider)?.neighbours.keys() ?? []) {
    const other = picture.nodeOfKey(provider, key);
    if (other) picture.lookAtLink(provider, node, other);
  }
}

export function lookAtLinksOf(picture: Picture, host: HostRecord): void {
  for (const { provider, a, b } of [...host.node.links]) picture.lookAtLink(provider, a, b);
}

/** Whether words of the host count, at this time. Returns whether that changed for any. */
export function refresh(picture: Picture, host: HostRecord, nowMs: number): boolean {
  const { receivedAtMs, isGone } = host;
  const wasFresh = host.isFresh;
  host.isFresh = receivedAtMs !== null && !isGone && nowMs - receivedAtMs < MESH_LIVENESS.hostMs;
  let hasChanged = wasFresh !== host.isFresh;
  for (const [provider, record] of host.providers) {
    const isFresh = isProviderFresh(host, record, nowMs);
    if (isFresh === record.isFresh) continue;
    record.isFresh = isFresh;
    picture.markStructure(provider);
    hasChanged = true;
  }
  if (!hasChanged) return false;
  picture.markNode(host.node);
  settleClaims(picture, host);
  lookAtLinksOf(picture, host);
  return true;
}
