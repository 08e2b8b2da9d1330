/** What is not normal, with everything that explains it: `wardline.v1.Finding` in the words of pure logic. */
import type { FlowRecord } from "../flows/record.ts";
import type { Direction } from "../policy/model.ts";

export const DETECTORS = [
  "baseline",
  "isolation-forest",
  "port-scan",
  "host-scan",
  "beacon",
  "exfiltration",
  "lateral-movement",
  "deny-burst",
  "brute-force",
  "novelty",
] as const;
export type DetectorKind = (typeof DETECTORS)[number];

export const SEVERITIES = ["low", "medium", "high", "critical"] as const;
export type AnomalySeverity = (typeof SEVERITIES)[number];

export interface FindingFeature {
  /** Stable: `new_destination_ports`. */
  readonly key: string;
  /** For a person: `different ports tried`. */
  readonly name: string;
  readonly value: number;
  /** Where it usually lies; `null` = not known yet. */
  readonly normal: { readonly low: number; readonly high: number } | null;
  /** Empty = a plain number. */
  readonly unit: string;
  /** Share of the score; the features of a finding sum to 1. */
  readonly contribution: number;
}

export interface Finding {
  /** From host, detector, what it is about and when it began: the same on every run over the same records. */
  readonly id: string;
  readonly host: string;
  readonly detector: DetectorKind;
  readonly severity: AnomalySeverity;
  readonly state: "ongoing" | "over";
  /** One sentence that a person can agree or disagree with. */
  readonly sentence: string;
  /** 0 to 1: how rarely normal windows of this host score as high. */
  readonly score: number;
  /** `null` = not calibrated. */
  readonly falseAlarmsPerDay: number | null;
  readonly beganAtMs: number;
  readonly lastAtMs: number;
  readonly detectedAtMs: number;
  readonly subjectKey: string;
  readonly process: string;
  /** Address or CIDR; empty when several. */
  readonly remote: string;
  readonly port: number;
  readonly direction: Direction;
  readonly features: readonly FindingFeature[];
  /** At most 50. */
  readonly evidence: readonly FlowRecord[];
  readonly evidenceTotal: number;
  /** In the flow query language. */
  readonly evidenceQuery: string;
  readonly actions: readonly FindingAction[];
  readonly series: { readonly feature: string; readonly points: readonly FindingPoint[] };
}

export type FindingAction =
  | {
      readonly kind: "deny";
      readonly subjectKey: string;
      readonly direction: Direction;
      readonly remoteCidr: string;
      readonly protocol: number;
      readonly port: number;
    }
  | { readonly kind: "quarantine"; readonly subjectKey: string };

export interface FindingPoint {
  readonly timeMs: number;
  readonly value: number;
  readonly normalLow: number;
  readonly normalHigh: number;
}
