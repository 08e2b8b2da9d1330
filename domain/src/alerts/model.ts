/** Rules, alerts and messages in the words of pure logic. `console/v1/alerts.proto` is what they look like on the wire. */
import type { AnomalySeverity, DetectorKind } from "../anomaly/finding.ts";

export const HOST_CONDITIONS = ["unreachable", "drifted", "rolled-back", "not-enforcing", "events-lost"] as const;
export type HostCondition = (typeof HOST_CONDITIONS)[number];

export const CLUSTER_CONDITIONS = ["no-leader", "store-unavailable", "member-unhealthy", "set-refused"] as const;
export type ClusterCondition = (typeof CLUSTER_CONDITIONS)[number];

export const MESH_CONDITIONS = ["escalated", "waiting-for-approval", "partitioned"] as const;
export type MeshCondition = (typeof MESH_CONDITIONS)[number];

/** In what alerts may be alike to share a message. */
export const GROUP_KEYS = ["rule", "host", "detector", "severity"] as const;
export type GroupKey = (typeof GROUP_KEYS)[number];

/** What a silence may ask for. */
export const MATCH_KEYS = ["rule", "host", "detector", "severity", "process", "remote"] as const;

export type RuleSource =
  /** No detectors = all. */
  | { readonly kind: "finding"; readonly minSeverity: AnomalySeverity; readonly detectors: readonly DetectorKind[] }
  /** At least so many denied packets of one host that match a flow query, in so many seconds. */
  | { readonly kind: "denies"; readonly query: string; readonly threshold: number; readonly windowSeconds: number }
  | { readonly kind: "host"; readonly condition: HostCondition }
  | { readonly kind: "cluster"; readonly condition: ClusterCondition }
  /** Of runs of healing, and of the meshes themselves. */
  | { readonly kind: "mesh"; readonly condition: MeshCondition };

/** Unless it was acknowledged or ended before: after so long these too. */
export interface EscalationStep {
  readonly afterSeconds: number;
  readonly receivers: readonly string[];
}

export interface AlertRule {
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly source: RuleSource;
  /** Must hold so long, while somebody looks, before it fires. */
  readonly forSeconds: number;
  /** Only hosts that match; empty = all. */
  readonly hostSelector: string;
  /** `null` = that of the finding. */
  readonly severity: AnomalySeverity | null;
  /** Never empty. */
  readonly groupBy: readonly GroupKey[];
  readonly groupWaitSeconds: number;
  /** Shortest time between two messages of one group to one receiver, and how often a reminder comes. */
  readonly repeatSeconds: number;
  readonly steps: readonly EscalationStep[];
}

/** What a receiver is to the book. */
export interface ReceiverTraits {
  readonly name: string;
  /** It keeps a state of its own and groups by itself: it is told each change at once, and again before it would forget. */
  readonly keepsState: boolean;
}

/** What a rule says of one thing at one moment. */
export interface Observation {
  readonly rule: string;
  /** What it is about: with the rule's name the identity of an alert while it lasts. */
  readonly key: string;
  readonly holds: boolean;
  /** It may be over already and still has to be told: findings are events. */
  readonly isEvent: boolean;
  readonly severity: AnomalySeverity;
  readonly sentence: string;
  /** Empty when it is about no host of this console. */
  readonly hostId: string;
  readonly host: string;
  readonly findingId: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type AlertState = "pending" | "firing" | "resolved";

export interface Alert {
  /** From rule, what it is about, and when it began. */
  readonly id: string;
  readonly rule: string;
  readonly key: string;
  readonly state: AlertState;
  readonly severity: AnomalySeverity;
  readonly sentence: string;
  readonly hostId: string;
  readonly host: string;
  readonly findingId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly groupKey: string;
  /** Since when the condition holds; moved on by time in which nobody looked. */
  readonly beganAtMs: number;
  readonly firedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly seenAtMs: number;
  /** Id of the silence that holds it back; empty = none. */
  readonly silencedBy: string;
  readonly acknowledgedBy: string;
  readonly acknowledgedAtMs: number | null;
  /** Index of the last step that was reached. */
  readonly escalationStep: number;
  /** Receivers that were told that it fires, and those that were told that it ended. */
  readonly toldTo: readonly string[];
  readonly endToldTo: readonly string[];
}

export interface Silence {
  readonly id: string;
  /** All must be equal to the alert's labels. */
  readonly matches: Readonly<Record<string, string>>;
  readonly untilMs: number;
  readonly reason: string;
  readonly author: string;
  readonly createdAtMs: number;
}

/** One message to one receiver. */
export interface AlertMessage {
  readonly id: string;
  readonly receiver: string;
  /** Empty when several groups were put together because there were too many. */
  readonly groupKey: string;
  readonly rules: readonly string[];
  readonly kind: "firing" | "resolved";
  readonly isReminder: boolean;
  readonly severity: AnomalySeverity;
  readonly madeAtMs: number;
  /** Worst first, at most `MOST_LISTED`; the counts are of all. */
  readonly firing: readonly Alert[];
  readonly firingCount: number;
  readonly resolved: readonly Alert[];
  readonly resolvedCount: number;
  readonly groupCount: number;
  /** While something of it fires it is told again after so long at the latest, unless somebody acknowledged it. */
  readonly repeatSeconds: number;
}

export const SEVERITY_RANK: Readonly<Record<AnomalySeverity, number>> = { low: 1, medium: 2, high: 3, critical: 4 };

export const MOST_ALERTS = 10_000;
/** Listed in one message for people, and in one for a receiver that keeps state. */
export const MOST_LISTED = 50;
export const MOST_LISTED_WITH_STATE = 500;
