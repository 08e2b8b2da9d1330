/** How detection on this host, its service, the metrics and the cluster see each other. */
import type { AnomalyModelStatus, FeedbackKind, Finding as WireFinding } from "@wardline/api/wardline/v1/anomaly";
import type { AnomalySettings, GroupBaseline, HostSummary } from "@wardline/domain/anomaly";

/** What the wire shows of the findings of this host, and what a person may do about them. */
export interface AnomalyAccess {
  /** Newest first, without evidence and series. Throws `Failure` NOT_FOUND when `afterId` is not kept. */
  list(limit: number, afterId: string): Promise<{ readonly findings: readonly WireFinding[]; readonly total: number }>;
  /** Whole. Throws `Failure` NOT_FOUND. */
  finding(id: string): Promise<WireFinding>;
  model(): { readonly status: AnomalyModelStatus; readonly settings: AnomalySettings };
  /** Throws `Failure` UNSUPPORTED while detection is off, CONFLICT while training runs. */
  train(request: { readonly days: number; readonly leaveOutFindings: boolean }): Promise<void>;
  /** Throws `Failure` NOT_FOUND. */
  feedback(id: string, given: GivenFeedback): Promise<WireFinding>;
  configure(settings: AnomalySettings): Promise<void>;
  /** Each finding that came or changed, whole, and `null` when only the model did. Returns the unsubscriber. */
  onChange(listener: (findings: readonly WireFinding[] | null) => void): () => void;
}

export interface GivenFeedback {
  readonly kind: FeedbackKind;
  readonly actor: string;
  readonly reason: string;
}

/** What the cluster takes from this host's detection, and gives it. */
export interface AnomalySharing {
  /** `null` = not enough was learned to have a vote. */
  summary(): Promise<HostSummary | null>;
  setGroup(baseline: GroupBaseline | null): Promise<void>;
  /** Findings of lateral movement, newest first, at most 50: whole. */
  lateralFindings(): Promise<readonly WireFinding[]>;
  /** Ids of findings (of any host) that the leader found to be one movement with one of this host. */
  setChains(chains: ReadonlyMap<string, readonly string[]>): Promise<void>;
  /** Called after training, and when lateral findings changed. Returns the unsubscriber. */
  onNews(listener: () => void): () => void;
}

/** What the metrics show. Cheap: asked at each scrape. */
export interface AnomalyFigures {
  readonly status: AnomalyModelStatus;
  /** Highest score of an ongoing finding that nobody called normal, 0 to 100. */
  readonly highestScore: number;
  /** Kept findings. */
  readonly kept: number;
  /** Findings that were begun since the agent started, by detector and severity. */
  readonly begun: ReadonlyMap<string, number>;
  /** Processor time of the detectors, in seconds since the agent started. */
  readonly scoringSeconds: number;
  readonly windows: number;
}
