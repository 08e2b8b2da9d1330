/** How the findings that the console keeps are seen by others: the activity stream, alerts, the command line. */
import type { AnomalyList } from "@wardline/api/wardline/console/v1/anomalies";
import type { Finding } from "@wardline/api/wardline/v1/anomaly";
import type { ChangeSignal } from "../async/signal.ts";

export interface KeptFinding {
  readonly hostId: string;
  /** Without evidence and series. Bounded, and harmless to show. */
  readonly finding: Finding;
  /** Of the last change on this console; grows with each. */
  readonly revision: number;
  /** Nobody has said yet whether it is normal or confirmed. */
  readonly isOpen: boolean;
}

export interface FindingFeed {
  /** Notifies after findings or models were kept or changed by this process. */
  readonly changes: ChangeSignal;
  /** Revision of the newest change, whichever process made it; 0 = there never was one. */
  revision(): number;
  /** What changed after a revision, in the order of revisions: each finding once, as it is now. */
  changedSince(revision: number, limit: number): readonly KeptFinding[];
  /** For the activity stream. */
  list(): AnomalyList;
}
