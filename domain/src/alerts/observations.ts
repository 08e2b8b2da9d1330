/** From what the console knows to what rules say of it. */
import type { AnomalySeverity, DetectorKind } from "../anomaly/finding.ts";
import type { AlertRule, ClusterCondition, HostCondition, MeshCondition, Observation } from "./model.ts";
import { SEVERITY_RANK } from "./model.ts";

/** What of a finding alerts go by. */
export interface FindingFact {
  readonly id: string;
  readonly hostId: string;
  readonly host: string;
  readonly detector: DetectorKind;
  readonly severity: AnomalySeverity;
  readonly state: "ongoing" | "over";
  readonly sentence: string;
  readonly process: string;
  readonly remote: string;
  /** A person said that it belongs there. */
  readonly isNormal: boolean;
}

export interface DenyFact {
  readonly hostId: string;
  readonly host: string;
  /** In the window of the rule. */
  readonly deniedPackets: number;
}

export interface HostFact {
  readonly hostId: string;
  readonly host: string;
  readonly condition: HostCondition;
  readonly sentence: string;
}

export interface ClusterFact {
  readonly cluster: string;
  readonly condition: ClusterCondition;
  /** A member's name; empty when it is about the cluster as a whole. */
  readonly about: string;
  readonly sentence: string;
}

export interface MeshFact {
  readonly condition: MeshCondition;
  /** Id of the run; of a partition the mesh that fell apart. */
  readonly about: string;
  /** Whom to ask; empty when it is about no single host of this console. */
  readonly hostId: string;
  readonly host: string;
  readonly sentence: string;
}

/** `null` when the rule says nothing of it. */
export function observeFinding(rule: AlertRule, fact: FindingFact): Observation | null {
  const { source } = rule;
  if (source.kind !== "finding") return null;
  if (source.detectors.length > 0 && !source.detectors.includes(fact.detector)) return null;
  if (SEVERITY_RANK[fact.severity] < SEVERITY_RANK[source.minSeverity]) return null;
  const { id, hostId, host, detector, sentence, process, remote, isNormal, state } = fact;
  return {
    rule: rule.name,
    key: JSON.stringify([hostId, id]),
    holds: state === "ongoing" && !isNormal,
    // What a person has called normal is no news.
    isEvent: !isNormal,
    severity: rule.severity ?? fact.severity,
    sentence,
    hostId,
    host,
    findingId: id,
    labels: withoutEmpty({ host, detector, process, remote }),
  };
}

/** Of all hosts of which the rule says something; the threshold decides. */
export function observeDenies(rule: AlertRule, facts: readonly DenyFact[]): Observation[] {
  const { source } = rule;
  if (source.kind !== "denies") return [];
  return facts
    .filter(({ deniedPackets }) => deniedPackets >= source.threshold)
    .map(({ hostId, host }) =>
      standing(rule, {
        key: hostId,
        hostId,
        host,
        // The count goes up and down: it is not part of what makes an alert another one.
        sentence: `${host} denied ${source.threshold.toLocaleString("en")} packets or more in ${source.windowSeconds} s that match "${source.query || "everything"}".`,
        labels: { host },
      }),
    );
}

export function observeHosts(rule: AlertRule, facts: readonly HostFact[]): Observation[] {
  const { source } = rule;
  if (source.kind !== "host") return [];
  return facts
    .filter(({ condition }) => condition === source.condition)
    .map(({ hostId, host, sentence }) => standing(rule, { key: hostId, hostId, host, sentence, labels: { host } }));
}

export function observeClusters(rule: AlertRule, facts: readonly ClusterFact[]): Observation[] {
  const { source } = rule;
  if (source.kind !== "cluster") return [];
  return facts
    .filter(({ condition }) => condition === source.condition)
    .map(({ cluster, about, sentence }) =>
      standing(rule, {
        key: JSON.stringify([cluster, about]),
        hostId: "",
        host: about,
        sentence,
        labels: withoutEmpty({ cluster, host: about }),
      }),
    );
}

export function observeMeshes(rule: AlertRule, facts: readonly MeshFact[]): Observation[] {
  const { source } = rule;
  if (source.kind !== "mesh") return [];
  return facts
    .filter(({ condition }) => condition === source.condition)
    .map(({ about, hostId, host, sentence }) =>
      standing(rule, { key: about, hostId, host, sentence, labels: withoutEmpty({ host, mesh: about }) }),
    );
}

function standing(
  rule: AlertRule,
  what: Pick<Observation, "key" | "hostId" | "host" | "sentence" | "labels">,
): Observation {
  const severity = rule.severity ?? "high";
  return { rule: rule.name, holds: true, isEvent: false, severity, findingId: "", ...what };
}

function withoutEmpty(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}
