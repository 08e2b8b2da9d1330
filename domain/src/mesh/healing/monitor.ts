/** Monitor: from what hosts say to symptoms. It remembers what was up before, and since when something is wrong. */
import { type MeshPeer, type MeshProviderReport, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { type Fleet, type FleetHost, isUp, peersUp, reportOf } from "./fleet.ts";
import { knownPeers, type MonitorMemory, noteFlap, noteTrouble, peerName, pruneMemory } from "./memory.ts";
import { MeshFault, MeshProvider } from "./model.ts";
import { meshSymptoms } from "./monitor-meshes.ts";
import { type FoundSymptom, type Symptom, symptom } from "./symptoms.ts";
import { isLossy, isPoor, isSlow, LIMITS } from "./thresholds.ts";
import { percent, providerName, providerSlug, shortKey, targetOf } from "./words.ts";

/** Changes the memory. The order of symptoms is that of hosts and reports. */
export function lookForSymptoms(fleet: Fleet, memory: MonitorMemory): Symptom[] {
  const found = new Map<string, FoundSymptom>();
  const add = (each: FoundSymptom) => found.set(each.key, found.get(each.key) ?? each);
  for (const each of [...hostSymptoms(fleet, memory), ...storeSymptoms(fleet)]) add(each);
  for (const host of fleet.watched) {
    for (const report of host.observation?.providers ?? []) {
      for (const each of reportSymptoms(fleet, memory, host, report)) add(each);
    }
    for (const each of probeSymptoms(host)) add(each);
  }
  for (const each of meshSymptoms(fleet, memory, [...found.values()])) add(each);
  return dated([...found.values()], fleet, memory);
}

/** A symptom that nobody can see now, because its host is not heard, keeps its age; one that is gone loses it. */
function dated(found: readonly FoundSymptom[], fleet: Fleet, memory: MonitorMemory): Symptom[] {
  const before = memory.since;
  memory.since = {};
  const watched = new Set(fleet.watched.map(({ host }) => host));
  for (const [key, sinceMs] of Object.entries(before)) {
    const host = key.split("|")[1] ?? "";
    if (host !== "" && fleet.hosts.has(host) && !watched.has(host)) memory.since[key] = sinceMs;
  }
  for (const { key } of found) memory.since[key] = before[key] ?? fleet.atMs;
  noteFlaps(found, memory, fleet);
  pruneMemory(memory, fleet.atMs);
  return found.map((each) => ({ ...each, sinceMs: memory.since[each.key] ?? fleet.atMs }));
}

/**
 * What a daemon or a host in trouble does to its links is no flapping of theirs; nor is it that of ways through a mesh that come and
 * go while it looks for others, because a link of it went down.
 */
function noteFlaps(found: readonly FoundSymptom[], memory: MonitorMemory, fleet: Fleet): void {
  for (const { kind, key, provider } of found) {
    const isNew = fleet.atMs - (memory.since[key] ?? fleet.atMs) < LIMITS.reconnectMs;
    if (kind === "peer-down" && isNew) noteTrouble(memory, `mesh/${provider}`, fleet.atMs);
  }
  const excused = (each: FoundSymptom) =>
    (each.kind === "probe-lost" && memory.troubles[`mesh/${each.provider}`] !== undefined) ||
    [each.host, each.otherHost].some(
      (host) =>
        host !== "" &&
        (memory.troubles[`daemon/${host}/${each.provider}`] !== undefined ||
          memory.troubles[`host/${host}`] !== undefined),
    );
  const down = new Set<string>();
  for (const each of found) {
    if (each.kind !== "peer-down" && each.kind !== "probe-lost") continue;
    down.add(each.target);
    if (!excused(each)) noteFlap(memory, each.target, true, fleet.atMs);
  }
  for (const target of Object.keys(memory.flaps)) if (!down.has(target)) noteFlap(memory, target, false, fleet.atMs);
}

function hostSymptoms(fleet: Fleet, memory: MonitorMemory): FoundSymptom[] {
  if (fleet.scope.kind === "host") return [];
  return [...fleet.hosts.values()].flatMap((host) => {
    if (!host.isSilent) return [];
    noteTrouble(memory, `host/${host.host}`, fleet.atMs);
    return symptom({
      ...{ key: `host-silent|${host.host}`, kind: "host-silent", fault: MeshFault.HOST_GONE },
      ...{ target: targetOf("host", host.host), provider: MeshProvider.UNSPECIFIED, host: host.host },
      sentence: `Nothing is heard from ${host.host} any more.`,
    });
  });
}

function storeSymptoms({ world, scope }: Fleet): FoundSymptom[] {
  if (scope.kind === "host") return [];
  return (world.storeMembers ?? []).flatMap(({ endpoint, host, isUp: isMemberUp, detail }) => {
    if (isMemberUp) return [];
    const where = host === "" ? "" : ` on ${host}`;
    return symptom({
      ...{ key: `store||${endpoint}`, kind: "store-member", fault: MeshFault.STORE_MEMBER_DOWN },
      ...{ target: targetOf("store", endpoint), provider: MeshProvider.UNSPECIFIED, host },
      sentence: `The store member ${endpoint}${where} does not answer${detail === "" ? "." : `: ${detail}`}`,
    });
  });
}

const DAEMON_FAULTS: ReadonlyMap<MeshProviderState, MeshFault> = new Map([
  [MeshProviderState.DOWN, MeshFault.DAEMON_DOWN],
  [MeshProviderState.UNRESPONSIVE, MeshFault.DAEMON_HUNG],
  [MeshProviderState.UNSUPPORTED, MeshFault.DAEMON_UNSUPPORTED],
]);
const DAEMON_WORDS: ReadonlyMap<MeshFault, string> = new Map([
  [MeshFault.DAEMON_DOWN, "does not run"],
  [MeshFault.DAEMON_HUNG, "does not answer"],
  [MeshFault.DAEMON_UNSUPPORTED, "answers in a way that is not understood"],
]);

function reportSymptoms(
  fleet: Fleet,
  memory: MonitorMemory,
  host: FleetHost,
  report: MeshProviderReport,
): FoundSymptom[] {
  const { provider } = report;
  const fault = DAEMON_FAULTS.get(report.state);
  if (fault !== undefined) {
    // One that is not understood may be as healthy as ever: its neighbours are not excused.
    if (fault !== MeshFault.DAEMON_UNSUPPORTED) {
      noteTrouble(memory, `daemon/${host.host}/${provider}`, fleet.atMs);
    }
    // What the host says of itself begins alike, "It does not run: …": said once is enough.
    const reason = report.detail.replace(/^It does not run: /, "");
    const detail = reason === "" ? "." : `: ${reason}`;
    return [
      symptom({
        ...{ key: `daemon|${host.host}|${provider}`, kind: "daemon", fault, provider, host: host.host },
        target: targetOf("daemon", providerSlug(provider), host.host),
        sentence: `${providerName(provider)} on ${host.host} ${DAEMON_WORDS.get(fault)}${detail}`,
      }),
    ];
  }
  if (!isUp(report)) return [];
  return [
    ...downPeers(fleet, memory, host, report),
    ...report.peers.flatMap((peer) => poorPeer(fleet, host, report, peer)),
    ...gatewaySymptoms(memory, host, report),
  ];
}

/** Peers that are configured and down, and those that were found, were up and are no longer there. Incoming ones are the other side's. */
function downPeers(fleet: Fleet, memory: MonitorMemory, host: FleetHost, report: MeshProviderReport): FoundSymptom[] {
  const { provider } = report;
  const known = knownPeers(memory, host.host, provider);
  const own = report.peers.filter(({ inbound }) => !inbound);
  const upKeys = new Set(report.peers.filter(({ up }) => up).map(({ key }) => key));
  const listed = new Set<string>();
  for (const peer of own) {
    const name = peerName(peer.uri, peer.key);
    if (name === "") continue;
    listed.add(name);
    const before = known[name];
    const key = peer.key || before?.key || (peer.up ? "" : fleet.keyAt(provider, peer.uri));
    if (!peer.up && !peer.configured && before === undefined) continue;
    const lastUpMs = peer.up ? fleet.atMs : (before?.lastUpMs ?? 0);
    known[name] = { key, uri: peer.uri, isConfigured: peer.configured, lastUpMs };
  }
  const symptoms: FoundSymptom[] = [];
  for (const [name, peer] of Object.entries(known)) {
    const seen = own.find((each) => peerName(each.uri, each.key) === name);
    if (seen?.up) continue;
    // Configured and not listed any more: somebody took it out.
    if (!listed.has(name) && (peer.isConfigured || report.truncated)) {
      if (!report.truncated) delete known[name];
      continue;
    }
    // The same neighbour by another way: nothing is missing.
    if (peer.key !== "" && upKeys.has(peer.key)) continue;
    symptoms.push(peerDown(fleet, host, report, { ...peer, error: seen?.lastError ?? "" }));
  }
  return symptoms;
}

interface DownPeer {
  readonly key: string;
  readonly uri: string;
  readonly error: string;
}

function peerDown(fleet: Fleet, host: FleetHost, report: MeshProviderReport, peer: DownPeer): FoundSymptom {
  const { provider } = report;
  const otherHost = fleet.ownerOf(provider, peer.key);
  const other = otherHost || peer.uri || shortKey(peer.key);
  const by = peer.uri === "" || otherHost === "" ? "" : ` (${peer.uri})`;
  const why = peer.error === "" ? "." : `: ${peer.error}`;
  return symptom({
    ...{ key: `peer-down|${host.host}|${provider}|${peerName(peer.uri, peer.key)}`, kind: "peer-down" },
    ...{ fault: MeshFault.PEER_DOWN, provider, host: host.host, otherHost, otherKey: peer.key },
    target: linkTarget(provider, report.self?.key || host.host, peer.key || peer.uri),
    sentence: `${host.host} has no connection to its peer ${other}${by} in ${providerName(provider)}${why}`,
    peer: { host: host.host, provider, uri: peer.uri, key: peer.key },
  });
}

/** One name for both ends. */
export function linkTarget(provider: MeshProvider, one: string, other: string): string {
  return targetOf("link", providerSlug(provider), ...[one, other].sort());
}

function poorPeer(fleet: Fleet, host: FleetHost, report: MeshProviderReport, peer: MeshPeer): FoundSymptom[] {
  const { provider } = report;
  if (!peer.up || !(isSlow(peer.latencyMs) || isPoor(peer.quality))) return [];
  const otherHost = fleet.ownerOf(provider, peer.key);
  const other = otherHost || peer.uri || shortKey(peer.key);
  const figures = [
    ...(isSlow(peer.latencyMs) ? [`${Math.round(peer.latencyMs!)} ms`] : []),
    ...(isPoor(peer.quality) ? [`quality ${percent(peer.quality!)}`] : []),
  ];
  return [
    symptom({
      ...{ key: `peer-poor|${host.host}|${provider}|${peerName(peer.uri, peer.key)}`, kind: "peer-poor" },
      ...{ fault: MeshFault.LINK_DEGRADED, provider, host: host.host, otherHost, otherKey: peer.key },
      target: linkTarget(provider, report.self?.key || host.host, peer.key || peer.uri),
      sentence: `${host.host} measures ${figures.join(" and ")} to ${other} in ${providerName(provider)}.`,
      peer: { host: host.host, provider, uri: peer.uri, key: peer.key },
    }),
  ];
}

function probeSymptoms(host: FleetHost): FoundSymptom[] {
  return (host.observation?.probes ?? []).flatMap((probe) => {
    if (probe.sent === 0 || probe.targetHost === "" || probe.targetHost === host.host) return [];
    const loss = probe.sent >= LIMITS.fewestEchoes ? probe.loss : undefined;
    if (probe.reachable && !isLossy(loss) && !isSlow(probe.latencyMs)) return [];
    const { provider, targetHost } = probe;
    const name = provider === MeshProvider.IP ? "link" : "path";
    const common = {
      ...{ fault: MeshFault.LINK_DEGRADED, provider, host: host.host, otherHost: targetHost },
      target: targetOf(name, providerSlug(provider), ...[host.host, targetHost].sort()),
    };
    const over = `over ${providerName(provider)}`;
    const ends = `|${host.host}|${provider}|${targetHost}|${probe.address}`;
    if (!probe.reachable) {
      const sentence = `${host.host} does not reach ${targetHost} ${over}: ${probe.received} of ${probe.sent} probes were answered.`;
      return [symptom({ key: `probe-lost${ends}`, kind: "probe-lost", ...common, sentence })];
    }
    const figures = [
      ...(isLossy(loss) ? [`${percent(loss!)} loss`] : []),
      ...(isSlow(probe.latencyMs) ? [`${Math.round(probe.latencyMs!)} ms`] : []),
    ];
    const sentence = `${host.host} measures ${figures.join(" and ")} to ${targetHost} ${over}.`;
    const isProven = probe.lossProven && isLossy(loss);
    return [
      symptom({ key: `probe-poor${ends}`, kind: "probe-poor", ...common, sentence, loss: loss ?? null, isProven }),
    ];
  });
}

function gatewaySymptoms(memory: MonitorMemory, host: FleetHost, report: MeshProviderReport): FoundSymptom[] {
  const place = `${host.host}/${report.provider}`;
  if (report.gateways.some(({ best }) => best)) memory.gateways[place] = true;
  else if (memory.gateways[place]) {
    const others = report.gateways.length;
    const rest = others === 0 ? "no gateway is left" : `${others} other gateways are known and none is chosen`;
    return [
      symptom({
        ...{ key: `gateway|${host.host}|${report.provider}`, kind: "gateway", fault: MeshFault.GATEWAY_LOST },
        ...{ target: targetOf("gateway", providerSlug(report.provider), host.host), host: host.host },
        provider: report.provider,
        sentence: `${host.host} lost its gateway in ${providerName(report.provider)}: ${rest}.`,
      }),
    ];
  }
  return [];
}

export function upCount(fleet: Fleet, host: string, provider: MeshProvider): number {
  return peersUp(reportOf(fleet.hosts.get(host), provider)).length;
}
