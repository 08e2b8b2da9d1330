/** Verify: is what a run is about there, gone, or not to be seen? Asked of the same symptoms that the monitor finds. */
import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import type { Diagnosis } from "./analyse.ts";
import { isPart } from "./analyse-hosts.ts";
import { type Fleet, type FleetHost, isUp, peersUp, reportOf } from "./fleet.ts";
import { isFlapping, type MonitorMemory } from "./memory.ts";
import { HealingAction, HealingOutcome, type KeptRun, MeshFault, type SentOrder } from "./model.ts";
import { LIMITS } from "./thresholds.ts";

/** `unknown` counts neither for nor against: a host that says nothing has not become healthy. */
export type Health = "faulty" | "healthy" | "unknown";

export interface Look {
  readonly fleet: Fleet;
  readonly memory: MonitorMemory;
  readonly diagnoses: ReadonlyMap<string, Diagnosis>;
  /** Keys of all symptoms of this look but those of links that another way replaces. */
  readonly present: ReadonlySet<string>;
}

export function healthOf(run: KeptRun, look: Look): Health {
  const { fleet, memory, diagnoses, present } = look;
  if (diagnoses.has(run.target)) return "faulty";
  if (run.work.symptoms.some((key) => isOwnSymptom(run, key) && present.has(key))) return "faulty";
  if (isFlapping(memory, run.target, fleet.atMs)) return "faulty";
  const observers = run.work.observers.filter((host) => fleet.hosts.has(host)).map((host) => fleet.hosts.get(host)!);
  return observers.every((host) => host.isFresh && canTell(run, host)) ? "healthy" : "unknown";
}

/** What a run merely explains may have other causes too. */
function isOwnSymptom({ fault, target }: KeptRun, key: string): boolean {
  const kind = key.slice(0, key.indexOf("|"));
  switch (isPart(target) ? MeshFault.HOST_GONE : fault) {
    case MeshFault.PEER_DOWN:
    case MeshFault.LINK_FLAPPING:
      return kind === "peer-down";
    case MeshFault.PARTITION:
      return kind === "partition";
    case MeshFault.HOST_GONE:
      return kind === "host-silent" || kind === "probe-lost";
    case MeshFault.DAEMON_DOWN:
    case MeshFault.DAEMON_HUNG:
    case MeshFault.DAEMON_UNSUPPORTED:
      return kind === "daemon";
    case MeshFault.VERSION_SPLIT:
      return kind === "versions";
    default:
      return true;
  }
}

const DAEMON_FAULTS: readonly MeshFault[] = [
  MeshFault.DAEMON_DOWN,
  MeshFault.DAEMON_HUNG,
  MeshFault.DAEMON_UNSUPPORTED,
];
const MESH_FAULTS: readonly MeshFault[] = [
  MeshFault.PEER_DOWN,
  MeshFault.GATEWAY_LOST,
  MeshFault.REDUNDANCY_LOST,
  MeshFault.PARTITION,
  MeshFault.VERSION_SPLIT,
];

/** Whether the absence of a symptom in what this host says means anything for this run. */
function canTell({ fault, target, work }: KeptRun, host: FleetHost): boolean {
  const report = reportOf(host, work.provider);
  if (DAEMON_FAULTS.includes(fault)) {
    return report?.state === MeshProviderState.UP || report?.state === MeshProviderState.ABSENT;
  }
  if (MESH_FAULTS.includes(fault) && !isPart(target)) return isUp(report);
  return work.symptoms.every((key) => isMeasured(key, host));
}

/** A probe that was not sent again, as after a start of the agent, found nothing. */
function isMeasured(key: string, host: FleetHost): boolean {
  const [kind, from, provider, target, address] = key.split("|");
  if (from !== host.host) return true;
  if (kind === "peer-poor") return isUp(reportOf(host, Number(provider)));
  if (kind !== "probe-lost" && kind !== "probe-poor") return true;
  const probe = host.observation?.probes.find(
    (each) => each.targetHost === target && each.address === address && `${each.provider}` === provider,
  );
  // No longer a target: nobody measures it any more, and nobody has to.
  return probe === undefined || probe.sent >= LIMITS.fewestEchoes;
}

export interface Bypasses {
  /** Keys of symptoms of links that another way replaces. */
  readonly symptoms: ReadonlySet<string>;
  /** Ids of the runs that made it. */
  readonly runs: ReadonlySet<string>;
}

/** Links for which the loop added another way, which is up now: they are down, and nothing is missing. */
export function bypasses(runs: readonly KeptRun[], fleet: Fleet): Bypasses {
  const standing = runs.filter(
    (run) =>
      (run.fault === MeshFault.PEER_DOWN || run.fault === MeshFault.PARTITION) &&
      run.work.orders.some((order) => isStandingBypass(run, order, fleet)),
  );
  const symptoms = standing.flatMap(({ work }) => work.symptoms.filter((key) => key.startsWith("peer-down|")));
  return { symptoms: new Set(symptoms), runs: new Set(standing.map(({ id }) => id)) };
}

function isStandingBypass(run: KeptRun, order: SentOrder, fleet: Fleet): boolean {
  if (!needsRollback(order) || isRolledBack(run, order)) return false;
  const peers = peersUp(reportOf(fleet.hosts.get(order.host), order.provider));
  return peers.some(({ uri }) => uri === order.peerUri);
}

/** It added something that is to go again where it did not help. */
export function needsRollback({ action, outcome, isDryRun, isRollback }: SentOrder): boolean {
  const mayHaveActed = outcome === HealingOutcome.DONE || outcome === HealingOutcome.INTERRUPTED;
  return action === HealingAction.ADD_PEER && mayHaveActed && !isDryRun && !isRollback;
}

export function isRolledBack(run: KeptRun, { host, peerUri }: SentOrder): boolean {
  return run.work.orders.some((order) => order.isRollback && order.host === host && order.peerUri === peerUri);
}
