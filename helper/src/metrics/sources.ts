/** What the metrics are read from. Everything is asked at the time of a scrape; only what has no lasting value is told. */
import type { ClusterStatus, SyncReport } from "@wardline/api/wardline/v1/cluster";
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import type { AnomalyFigures } from "../anomaly/ports.ts";
import type { EventLosses } from "../enforce/enforcer.ts";
import type { JournalFigures } from "../flows/records/recordJournal.ts";
import type { RollerFigures } from "../flows/records/recordRoller.ts";
import type { MeshFigures } from "../mesh/ports.ts";

export interface VerdictCounts {
  readonly allowedPackets: bigint;
  readonly deniedPackets: bigint;
  readonly allowedBytes: bigint;
  readonly deniedBytes: bigint;
}

/** Counted since the agent started. */
export type RecordFigures = JournalFigures & RollerFigures;

export interface MetricsSources {
  readonly status: () => HostStatus;
  readonly losses: () => EventLosses;
  readonly records?: () => RecordFigures;
  /** `null` = detection is off, or not loaded yet. */
  readonly anomaly?: () => AnomalyFigures | null;
  /** `null` = the agent was told to do without meshes. */
  readonly mesh?: () => MeshFigures | null;
  /** Whether a decision of the enforced program allows; `null` = the id belongs to no decision of it. */
  readonly allows: (decisionId: string) => boolean | null;
  /** `null` = this host is in no cluster. */
  readonly cluster: () => Promise<ClusterStatus | null>;
}

/** Things that happen. Called by the parts that do them. */
export interface MetricsEvents {
  /** An apply reached the kernel. Microseconds from the request to the flip. */
  applied(totalUs: number): void;
  /** This host reported what it made of a set. */
  reported(report: SyncReport): void;
}
