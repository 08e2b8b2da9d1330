/** Symptoms of a mesh as a whole: parts that lost each other, versions that cannot talk, hosts with one way left. */
import type { MeshProviderReport } from "@wardline/api/wardline/v1/mesh";
import { type Fleet, type FleetHost, isUp, peersUp, reportOf } from "./fleet.ts";
import { isRecovering, type MonitorMemory } from "./memory.ts";
import { MeshFault, MeshProvider } from "./model.ts";
import { type FoundSymptom, symptom } from "./symptoms.ts";
import { list, providerName, providerSlug, targetOf } from "./words.ts";

/** `link` symptoms of this look come as `found`. */
export function meshSymptoms(fleet: Fleet, memory: MonitorMemory, found: readonly FoundSymptom[]): FoundSymptom[] {
  const symptoms: FoundSymptom[] = [];
  for (const provider of [MeshProvider.YGGDRASIL, MeshProvider.BATMAN]) {
    const hosts = fleet.watched.filter((host) => isUp(reportOf(host, provider)));
    for (const host of hosts) symptoms.push(...redundancySymptoms(fleet, memory, host, provider));
    if (fleet.scope.kind !== "cluster" || hosts.length < 2) continue;
    symptoms.push(...partitionSymptoms(fleet, memory, hosts, provider, found));
    symptoms.push(...versionSymptoms(hosts, provider));
  }
  return symptoms;
}

function redundancySymptoms(
  fleet: Fleet,
  memory: MonitorMemory,
  { host }: FleetHost,
  provider: MeshProvider,
): FoundSymptom[] {
  const place = `${host}/${provider}`;
  const up = [...new Set(peersUp(reportOf(fleet.hosts.get(host), provider)).map(({ key, uri }) => key || uri))];
  const most = memory.uplinks[place] ?? [];
  if (up.length >= most.length) memory.uplinks[place] = up.slice(0, MAX_UPLINKS);
  if (up.length !== 1 || most.length < 2) return [];
  const lost = most.filter((key) => !up.includes(key)).map((key) => fleet.ownerOf(provider, key));
  const hosts = [...new Set(lost)].filter(Boolean);
  return [
    symptom({
      ...{ key: `redundancy|${host}|${provider}`, kind: "redundancy", fault: MeshFault.REDUNDANCY_LOST },
      ...{ target: targetOf("redundancy", providerSlug(provider), host), provider, host, parts: [hosts] },
      sentence: `${host} has one peer left in ${providerName(provider)}; it had ${most.length}.`,
    }),
  ];
}

const MAX_UPLINKS = 64;

/** Neighbours that are none of ours are one node: what lies behind them is not known, and may well connect them. */
const OUTSIDE = "";

/** Hosts by connected part, the largest first. */
export function partsOf(fleet: Fleet, hosts: readonly FleetHost[], provider: MeshProvider): string[][] {
  const parent = new Map<string, string>();
  const rootOf = (name: string): string => {
    let root = name;
    for (let next = parent.get(root) ?? root; next !== root; next = parent.get(root) ?? root) root = next;
    parent.set(name, root);
    return root;
  };
  const names = new Set(hosts.map(({ host }) => host));
  for (const host of hosts) {
    for (const peer of peersUp(reportOf(host, provider))) {
      const owner = fleet.ownerOf(provider, peer.key);
      // Also through a host that says nothing now: what it carries goes on, and its silence is told as such.
      parent.set(rootOf(host.host), rootOf(owner === "" ? OUTSIDE : owner));
    }
    for (const probe of host.observation?.probes ?? []) {
      const isAcross = probe.provider === provider && probe.reachable && names.has(probe.targetHost);
      if (isAcross) parent.set(rootOf(host.host), rootOf(probe.targetHost));
    }
  }
  const parts = new Map<string, string[]>();
  for (const { host } of hosts) {
    const root = rootOf(host);
    parts.set(root, [...(parts.get(root) ?? []), host]);
  }
  return [...parts.values()].sort((a, b) => b.length - a.length || (a[0]! < b[0]! ? -1 : 1));
}

function partitionSymptoms(
  fleet: Fleet,
  memory: MonitorMemory,
  hosts: readonly FleetHost[],
  provider: MeshProvider,
  found: readonly FoundSymptom[],
): FoundSymptom[] {
  const settled = hosts.filter(
    ({ host }) =>
      !isRecovering(memory, `daemon/${host}/${provider}`, fleet.atMs) &&
      !isRecovering(memory, `host/${host}`, fleet.atMs),
  );
  const parts = partsOf(fleet, settled, provider);
  const once = new Set((memory.together[provider] ?? []).filter((host) => fleet.hosts.has(host)));
  if ((parts[0]?.length ?? 0) > 1) for (const host of parts[0]!) once.add(host);
  memory.together[provider] = [...once];
  const crossed = found.filter(
    ({ kind, host, otherHost, provider: mesh }) =>
      kind === "peer-down" && mesh === provider && partIndex(parts, host) !== partIndex(parts, otherHost),
  );
  const ends = new Set(crossed.flatMap(({ host, otherHost }) => [host, otherHost]));
  const torn = parts.filter((part) => part.some((host) => once.has(host) || ends.has(host)));
  if (torn.length < 2 || crossed.length === 0) return [];
  const shown = torn.map((part) => list(part)).join(" | ");
  return [
    symptom({
      ...{ key: `partition||${provider}`, kind: "partition", fault: MeshFault.PARTITION },
      ...{ target: targetOf("partition", providerSlug(provider)), provider, host: "", parts: torn },
      sentence: `${providerName(provider)} fell into ${torn.length} parts: ${shown}.`,
    }),
  ];
}

export function partIndex(parts: readonly (readonly string[])[], host: string): number {
  return parts.findIndex((part) => part.includes(host));
}

/** `0.4` and `0.5` route differently and never peer; the same for the two algorithms of batman-adv. */
export function lineOf(report: MeshProviderReport | undefined): string {
  const generation = report?.generation ?? "";
  return report?.provider === MeshProvider.YGGDRASIL ? generation.split(".").slice(0, 2).join(".") : generation;
}

function versionSymptoms(hosts: readonly FleetHost[], provider: MeshProvider): FoundSymptom[] {
  const lines = new Map<string, string[]>();
  for (const host of hosts) {
    const line = lineOf(reportOf(host, provider));
    if (line !== "") lines.set(line, [...(lines.get(line) ?? []), host.host]);
  }
  if (lines.size < 2) return [];
  const groups = [...lines].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1));
  const shown = groups.map(([line, names]) => `${line} on ${list(names)}`).join(", ");
  return [
    symptom({
      ...{ key: `versions||${provider}`, kind: "versions", fault: MeshFault.VERSION_SPLIT, host: "" },
      ...{ target: targetOf("versions", providerSlug(provider)), provider, parts: groups.map(([, names]) => names) },
      sentence: `Hosts of ${providerName(provider)} speak versions that cannot peer with each other: ${shown}.`,
    }),
  ];
}
