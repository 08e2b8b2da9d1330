/** The states of the world that views are looked at in, by name: `dev.html#scenario=NAME`. */
import type { AnomalyKind } from "./fake-anomalies.ts";
import type { ClusterKind } from "./fake-cluster.ts";
import type { HostKind } from "./fake-data.ts";
import type { FleetKind } from "./fake-fleet.ts";
import type { MeshKind } from "./fake-mesh.ts";
import type { PictureKind } from "./fake-picture.ts";
import type { SettingsKind } from "./fake-settings.ts";
import type { VerdictKind } from "./fake-verdicts.ts";

export interface Scenario {
  readonly files: "normal" | "empty" | "errors" | "hostile";
  readonly host: HostKind;
  /** Flows in the store at the start, and new ones per second. */
  readonly flowHistory: number;
  readonly flowsPerSecond: number;
  /** The backend is not there at all. */
  readonly isDown?: boolean;
  /** Nothing ever answers (loading states). */
  readonly isSilent?: boolean;
  /** A policy test of the workspace fails. */
  readonly hasFailingTest?: boolean;
  /** Other machines than this one, and what goes on with them. */
  readonly fleet?: FleetKind;
  readonly cluster?: ClusterKind;
  readonly anomalies?: AnomalyKind;
  readonly mesh?: MeshKind;
  readonly settings?: SettingsKind;
  readonly verdicts?: VerdictKind;
  readonly picture?: PictureKind;
  /** An applied generation waits, with this many seconds left. */
  readonly pendingSeconds?: number;
}

const NORMAL: Scenario = { files: "normal", host: "normal", flowHistory: 400, flowsPerSecond: 6 };

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  normal: NORMAL,
  empty: { files: "empty", host: "normal", flowHistory: 0, flowsPerSecond: 0 },
  errors: { ...NORMAL, files: "errors" },
  hostile: { ...NORMAL, files: "hostile" },
  "no-agent": { ...NORMAL, host: "no-agent", flowHistory: 0, flowsPerSecond: 0 },
  observe: { ...NORMAL, host: "observe", flowHistory: 0, flowsPerSecond: 0 },
  lost: { ...NORMAL, host: "lost", flowsPerSecond: 0 },
  viewer: { ...NORMAL, host: "viewer" },
  "failing-test": { ...NORMAL, hasFailingTest: true },
  pending: { ...NORMAL, pendingSeconds: 272 },
  expiring: { ...NORMAL, pendingSeconds: 4 },
  many: { ...NORMAL, flowHistory: 2_000, flowsPerSecond: 400 },
  flood: { ...NORMAL, flowHistory: 2_000, flowsPerSecond: 2_000 },
  everything: { ...NORMAL, fleet: "fleet", cluster: "well", anomalies: "findings", mesh: "mesh" },
  storm: {
    ...NORMAL,
    fleet: "fleet",
    cluster: "well",
    anomalies: "findings",
    mesh: "mesh",
    flowHistory: 2_000,
    flowsPerSecond: 2_000,
  },
  down: { ...NORMAL, isDown: true },
  silent: { ...NORMAL, isSilent: true },
  fleet: { ...NORMAL, fleet: "fleet" },
  question: { ...NORMAL, fleet: "question" },
  rollout: { ...NORMAL, fleet: "rollout" },
  jobs: { ...NORMAL, fleet: "jobs" },
  cluster: { ...NORMAL, fleet: "fleet", cluster: "well" },
  "cluster-pending": { ...NORMAL, fleet: "fleet", cluster: "pending" },
  "cluster-degraded": { ...NORMAL, fleet: "fleet", cluster: "degraded" },
  "cluster-alone": { ...NORMAL, fleet: "fleet", cluster: "alone" },
  anomalies: { ...NORMAL, fleet: "fleet", anomalies: "findings" },
  "anomalies-hostile": { ...NORMAL, fleet: "fleet", anomalies: "hostile" },
  mesh: { ...NORMAL, fleet: "fleet", mesh: "mesh" },
  "settings-broken": { ...NORMAL, settings: "broken" },
  "settings-locked": { ...NORMAL, settings: "locked" },
  "settings-hostile": { ...NORMAL, settings: "hostile" },
  "safe-mode": { ...NORMAL, settings: "safe-mode" },
  "mesh-healing": { ...NORMAL, fleet: "fleet", mesh: "healing" },
  "verdicts-agree": { ...NORMAL, verdicts: "agree" },
  "verdicts-many": { ...NORMAL, verdicts: "many" },
  "verdicts-slow": { ...NORMAL, verdicts: "slow" },
  "mesh-large": { ...NORMAL, fleet: "fleet", mesh: "large" },
  "mesh-hostile": { ...NORMAL, fleet: "fleet", mesh: "hostile" },
  "mesh-outdated": { ...NORMAL, fleet: "fleet", mesh: "outdated" },
  "mesh-old": { ...NORMAL, fleet: "fleet", mesh: "old" },
  "picture-large": { ...NORMAL, picture: "large" },
  "cluster-hostile": { ...NORMAL, fleet: "fleet", cluster: "hostile" },
};
