/** The rules of a console to which nobody has said anything yet. They tell the person who sits there and nobody else. */
import type { AlertRule, RuleSource } from "./model.ts";

export const DESKTOP_RECEIVER = "desktop";

const USUAL: Omit<AlertRule, "name" | "description" | "source" | "severity"> = {
  enabled: true,
  forSeconds: 0,
  hostSelector: "",
  groupBy: ["rule", "host"],
  groupWaitSeconds: 10,
  repeatSeconds: 3_600,
  steps: [{ afterSeconds: 0, receivers: [DESKTOP_RECEIVER] }],
};

const finding = (minSeverity: "high" | "critical"): RuleSource => ({ kind: "finding", minSeverity, detectors: [] });

export const USUAL_RULES: readonly AlertRule[] = [
  {
    ...USUAL,
    name: "findings",
    description: "Something is not normal on a host, and it is serious.",
    source: finding("high"),
    severity: null,
    groupBy: ["rule", "host", "detector", "severity"],
  },
  {
    ...USUAL,
    name: "host-unreachable",
    description: "A host has not been reached for five minutes.",
    source: { kind: "host", condition: "unreachable" },
    severity: "high",
    forSeconds: 300,
    groupBy: ["rule"],
    groupWaitSeconds: 30,
  },
  {
    ...USUAL,
    name: "host-drifted",
    description: "A host enforces something else than what was confirmed for it.",
    source: { kind: "host", condition: "drifted" },
    severity: "medium",
    forSeconds: 120,
    groupBy: ["rule"],
    groupWaitSeconds: 30,
  },
  {
    ...USUAL,
    name: "cluster-without-leader",
    description: "Nobody leads a cluster: nothing can be changed in it.",
    source: { kind: "cluster", condition: "no-leader" },
    severity: "critical",
    forSeconds: 30,
    groupBy: ["rule"],
  },
  {
    ...USUAL,
    name: "mesh-not-healed",
    description: "A fault of a mesh could not be healed: a person has to look.",
    source: { kind: "mesh", condition: "escalated" },
    severity: "high",
    groupBy: ["rule"],
  },
  {
    ...USUAL,
    name: "mesh-waits-for-approval",
    description: "Healing of a mesh waits for a person to approve it.",
    source: { kind: "mesh", condition: "waiting-for-approval" },
    severity: "medium",
    groupBy: ["rule"],
  },
  {
    ...USUAL,
    name: "mesh-partitioned",
    description: "A mesh has been in parts that do not reach each other for a minute.",
    source: { kind: "mesh", condition: "partitioned" },
    severity: "high",
    forSeconds: 60,
    groupBy: ["rule"],
  },
];
