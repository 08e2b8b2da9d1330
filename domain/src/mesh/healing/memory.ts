/** What the monitor remembers between two looks. Plain data, bounded. */
import { type KeptRun, MeshFault, type MeshProvider } from "./model.ts";
import { LIMITS } from "./thresholds.ts";

export interface KnownPeer {
  readonly key: string;
  readonly uri: string;
  readonly isConfigured: boolean;
  readonly lastUpMs: number;
}

export interface Flaps {
  isDown: boolean;
  /** Newest last, at most 16. */
  changesMs: number[];
}

export interface MonitorMemory {
  /** Symptom to when it was first seen without a break. */
  since: Record<string, number>;
  /** `PROVIDER/KEY` to host. */
  owners: Record<string, string>;
  /** `HOST/PROVIDER` to the peers that it had, by URI or else by key. */
  peers: Record<string, Record<string, KnownPeer>>;
  flaps: Record<string, Flaps>;
  /** `HOST/PROVIDER` that had a gateway. */
  gateways: Record<string, true>;
  /** `HOST/PROVIDER` to the keys of the peers that were up when most were. */
  uplinks: Record<string, string[]>;
  /** `daemon/HOST/PROVIDER`, `host/HOST`, or `mesh/PROVIDER` that lost a link, to when it was last in trouble. */
  troubles: Record<string, number>;
  /** Provider to hosts that were connected with each other. */
  together: Record<string, string[]>;
}

const MAX_CHANGES = 16;
const MAX_ENTRIES = 20_000;

export function emptyMemory(): MonitorMemory {
  return { since: {}, owners: {}, peers: {}, flaps: {}, gateways: {}, uplinks: {}, troubles: {}, together: {} };
}

/** What open runs say of the past, for whoever goes on without the memory itself. */
export function seedMemory(memory: MonitorMemory, runs: readonly KeptRun[], nowMs: number): void {
  for (const run of runs) {
    for (const { host, provider, uri, key } of run.work.peers) {
      const known = knownPeers(memory, host, provider);
      const name = peerName(uri, key);
      if (name !== "") known[name] ??= { key, uri, isConfigured: uri !== "", lastUpMs: run.firstSymptomAtMs };
    }
    const [host = ""] = run.hosts;
    const isRecent = run.endedAtMs === null || nowMs - run.endedAtMs < LIMITS.reconnectMs;
    if (isRecent && isDaemonFault(run.fault)) noteTrouble(memory, `daemon/${host}/${run.work.provider}`, nowMs);
    if (isRecent && run.fault === MeshFault.HOST_GONE) noteTrouble(memory, `host/${host}`, nowMs);
    if (run.endedAtMs !== null) continue;
    for (const key of run.work.symptoms) memory.since[key] ??= run.firstSymptomAtMs;
    if (run.fault === MeshFault.LINK_FLAPPING) {
      // Quiet counts from now on: nobody watched in between.
      memory.flaps[run.target] ??= { isDown: true, changesMs: Array<number>(LIMITS.flapChanges).fill(nowMs) };
    }
    if (run.fault === MeshFault.PARTITION) memory.together[run.work.provider] ??= [...run.hosts];
    if (run.fault === MeshFault.GATEWAY_LOST) memory.gateways[`${host}/${run.work.provider}`] ??= true;
    if (run.fault === MeshFault.REDUNDANCY_LOST) memory.uplinks[`${host}/${run.work.provider}`] ??= ["", "?"];
  }
}

function isDaemonFault(fault: MeshFault): boolean {
  return fault === MeshFault.DAEMON_DOWN || fault === MeshFault.DAEMON_HUNG;
}

/** Of one host in one mesh; may be changed. */
export function knownPeers(memory: MonitorMemory, host: string, provider: MeshProvider): Record<string, KnownPeer> {
  const place = `${host}/${provider}`;
  const known = memory.peers[place] ?? {};
  memory.peers[place] = known;
  return known;
}

/** Empty = it has no name that could be kept. */
export function peerName(uri: string, key: string): string {
  const name = uri === "" ? key : uri;
  return name === "__proto__" ? "" : name;
}

/** Tells whether that changed. */
export function noteFlap(memory: MonitorMemory, target: string, isDown: boolean, atMs: number): void {
  const flaps = memory.flaps[target];
  if (!flaps) {
    if (isDown) memory.flaps[target] = { isDown, changesMs: [atMs] };
    return;
  }
  if (flaps.isDown === isDown) return;
  flaps.isDown = isDown;
  flaps.changesMs = [...flaps.changesMs, atMs].slice(-MAX_CHANGES);
}

/** From the third change within a minute on, until there was none for a minute. */
export function isFlapping(memory: MonitorMemory, target: string, atMs: number): boolean {
  const changes = memory.flaps[target]?.changesMs ?? [];
  const last = changes.at(-1);
  if (last === undefined || atMs - last >= LIMITS.flapWindowMs) return false;
  // The newest changes that follow each other within a window: one such group is enough until the quiet.
  for (let end = changes.length - 1; end >= LIMITS.flapChanges - 1; end--) {
    const first = changes[end - LIMITS.flapChanges + 1]!;
    if (changes[end]! - first < LIMITS.flapWindowMs) return true;
    if (changes[end]! - changes[end - 1]! >= LIMITS.flapWindowMs) return false;
  }
  return false;
}

/** Of the change that was last; 0 = none. */
export function lastChangeMs(memory: MonitorMemory, target: string): number {
  return memory.flaps[target]?.changesMs.at(-1) ?? 0;
}

export function noteTrouble(memory: MonitorMemory, what: string, atMs: number): void {
  memory.troubles[what] = atMs;
}

/** In trouble now, or so shortly ago that its neighbours need not be back yet. */
export function isRecovering(memory: MonitorMemory, what: string, atMs: number): boolean {
  const last = memory.troubles[what];
  return last !== undefined && atMs - last < LIMITS.reconnectMs;
}

/** Forgets what is over. */
export function pruneMemory(memory: MonitorMemory, atMs: number): void {
  for (const [target, { isDown, changesMs }] of Object.entries(memory.flaps)) {
    const last = changesMs.at(-1) ?? 0;
    if (!isDown && atMs - last >= LIMITS.flapWindowMs) delete memory.flaps[target];
  }
  for (const [what, lastMs] of Object.entries(memory.troubles)) {
    if (atMs - lastMs >= LIMITS.reconnectMs) delete memory.troubles[what];
  }
  for (const known of Object.values(memory.peers)) {
    for (const [name, peer] of Object.entries(known)) {
      if (!peer.isConfigured && atMs - peer.lastUpMs >= LIMITS.rememberedMs) delete known[name];
    }
  }
  for (const table of [memory.since, memory.owners, memory.flaps, memory.peers] as Record<string, unknown>[]) {
    const names = Object.keys(table);
    for (const name of names.slice(0, Math.max(0, names.length - MAX_ENTRIES))) delete table[name];
  }
}
