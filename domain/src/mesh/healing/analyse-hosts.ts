/** A host that is gone, and an agent that is gone while its host is not. */
import { type Diagnosis, diagnosis, type Pool } from "./analyse.ts";
import { type Fleet, livesSince, peersUp, probesTo } from "./fleet.ts";
import { MAX_EVIDENCE, MeshFault, MeshProvider } from "./model.ts";
import { concerns, type Symptom } from "./symptoms.ts";
import { confirmedAfterMs, LIMITS } from "./thresholds.ts";
import { list, providerName, targetOf } from "./words.ts";

export function goneHosts(fleet: Fleet, pool: Pool): Diagnosis[] {
  if (fleet.scope.kind === "host") return [];
  const silent = pool.take(({ kind }) => kind === "host-silent");
  const names = new Set(silent.map(({ host }) => host));
  const told = silent.map((symptom) => silentHost(fleet, pool, symptom, names));
  const doubted = new Set(pool.all("probe-lost").map(({ otherHost }) => otherHost));
  const unheard = [...doubted].filter((host) => fleet.hosts.has(host) && !names.has(host));
  return together([...told, ...unheard.flatMap((host) => unreachedHost(fleet, pool, host) ?? [])]);
}

/** Target of hosts that went together. */
const PART = "part";
export const isPart = (target: string): boolean => target.startsWith(`${PART}/`);

/**
 * Hosts that went at the same time have one cause: something between them and the rest, or what they both stand on. They may
 * go on among themselves, which cannot be seen from here.
 */
function together(diagnoses: readonly Diagnosis[]): Diagnosis[] {
  const gone = diagnoses.filter(({ fault, isConfirmed }) => fault === MeshFault.HOST_GONE && isConfirmed);
  const firstMs = Math.min(...gone.map(({ sinceMs }) => sinceMs));
  const parted = gone.filter(({ sinceMs }) => sinceMs - firstMs < LIMITS.staleMs);
  if (parted.length < 2) return [...diagnoses];
  const names = parted.flatMap(({ hosts }) => hosts.slice(0, 1)).toSorted();
  const all = [...new Set([...names, ...parted.flatMap(({ hosts }) => hosts)])];
  const one: Diagnosis = {
    ...{ fault: MeshFault.PARTITION, target: targetOf(PART, ...names), provider: MeshProvider.UNSPECIFIED },
    cause: `${list(names)} are cut off from the others, or gone: they were lost at the same time, and nobody reaches them.`,
    confidence: 0.8,
    hosts: all,
    evidence: parted.flatMap(({ evidence }) => evidence).slice(0, MAX_EVIDENCE),
    sinceMs: firstMs,
    isConfirmed: true,
    symptoms: [...new Set(parted.flatMap(({ symptoms }) => symptoms))],
    observers: [...new Set(parted.flatMap(({ observers }) => observers))],
    peers: parted.flatMap(({ peers }) => peers),
    parts: [names],
  };
  return [...diagnoses.filter((each) => !parted.includes(each)), one];
}

/** @param silent hosts that are not heard themselves: what they last saw was before */
function silentHost(fleet: Fleet, pool: Pool, symptom: Symptom, silent: ReadonlySet<string>): Diagnosis {
  const { host } = symptom;
  const reached = whoReaches(fleet, host).filter(
    (each) => !silent.has(each) && livesSince(fleet, each, symptom.sinceMs),
  );
  const common = { target: symptom.target, provider: MeshProvider.UNSPECIFIED, hosts: [host], observers: [host] };
  if (reached.length > 0) {
    const cause = `The agent on ${host} is not heard any more, and the host is there: ${list(reached)} reach it.`;
    const fault = MeshFault.AGENT_GONE;
    return diagnosis(fleet, { ...common, fault, cause, confidence: 0.9, primary: [symptom] });
  }
  const isProbed = probesTo(fleet, host).length > 0;
  const explained = pool.take((each) => isOf(host, each));
  const others = isProbed ? "and nobody reaches it" : "and no link leads to it";
  return diagnosis(fleet, {
    ...{ ...common, fault: MeshFault.HOST_GONE, primary: [symptom], explained },
    cause: `${host} is gone: nothing is heard from it, ${others}.${consequences(explained)}`,
    confidence: isProbed ? 0.95 : 0.6,
  });
}

/** Everybody who looks has lost it at once, and it has said nothing since: no need to wait for its lease to run out. */
function unreachedHost(fleet: Fleet, pool: Pool, host: string): Diagnosis | null {
  const lost = pool.all("probe-lost").filter(({ otherHost }) => otherHost === host);
  if (lost.length === 0 || host === fleet.coordinator || whoReaches(fleet, host).length > 0) return null;
  const sinceMs = Math.min(...lost.map((each) => each.sinceMs));
  if (livesSince(fleet, host, sinceMs)) return null;
  if (fleet.atMs - sinceMs < confirmedAfterMs(MeshFault.HOST_GONE)) return null;
  const explained = pool.take((each) => isOf(host, each) && !lost.includes(each));
  pool.take((each) => lost.includes(each));
  return diagnosis(fleet, {
    ...{ fault: MeshFault.HOST_GONE, target: targetOf("host", host), provider: MeshProvider.UNSPECIFIED },
    ...{ hosts: [host], observers: [host], primary: lost, explained, confidence: 0.8 },
    cause: `${host} is gone: nobody reaches it, and it has said nothing since.${consequences(explained)}`,
  });
}

function isOf(host: string, symptom: Symptom): boolean {
  return symptom.kind !== "partition" && concerns(symptom, host);
}

function consequences(explained: readonly Symptom[]): string {
  const links = new Set(explained.filter(({ kind }) => kind === "peer-down").map(({ target }) => target)).size;
  return links === 0 ? "" : ` That explains ${links} ${links === 1 ? "link" : "links"} that went down.`;
}

/** By probes where there are any; else by connections of a mesh that are up. */
function whoReaches(fleet: Fleet, host: string): string[] {
  const probes = probesTo(fleet, host);
  if (probes.length > 0) {
    return [...new Set(probes.filter(({ probe }) => probe.reachable).map(({ from }) => from.host))];
  }
  return fleet.watched.flatMap((from) =>
    (from.observation?.providers ?? []).flatMap((report) =>
      peersUp(report).some(({ key }) => fleet.ownerOf(report.provider, key) === host)
        ? [`${from.host} (${providerName(report.provider)})`]
        : [],
    ),
  );
}
