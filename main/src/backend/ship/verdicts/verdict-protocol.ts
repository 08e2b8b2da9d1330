/** What goes between the service of verdicts and the threads that compute them. */
import type { QuarantineScope } from "@wardline/domain/policy";
import type { RecordFate, ReportedRecord, Stance } from "@wardline/domain/policy/verdicts";

/**
 * `observed`: nothing of it is enforced but quarantines, as in a generation in observe mode. `promoted`: policies in observe
 * mode as if they were enforced.
 */
export type StateVariant = "plain" | "observed" | "promoted";

export interface LoadRequest {
  readonly stateDigest: string;
  /** `null` = as the thread knows it. */
  readonly files: readonly { readonly path: string; readonly text: string }[] | null;
}

export type LoadAnswer =
  | { readonly kind: "missing" }
  /** The policies have errors, as somebody else's version reads them. */
  | { readonly kind: "unreadable" }
  | { readonly kind: "loaded"; readonly hasObservedPolicies: boolean };

/** A state that was loaded, as hosts follow it. */
export interface WorldReference {
  readonly stateDigest: string;
  readonly variant: StateVariant;
}

/** What counts besides the texts. */
export interface WorldFrame {
  /** Policies that have expired by then are left out. */
  readonly nowMs: number;
  readonly quarantines: readonly { readonly hostName: string; readonly scopes: readonly QuarantineScope[] }[];
}

export interface HostStandings {
  readonly hostName: string;
  readonly enforced: Stance;
  /** `null` = nothing is staged there. */
  readonly staged: Stance | null;
}

export interface OpenRequest extends WorldFrame {
  /** The draft first; stances name them by their place. */
  readonly worlds: readonly WorldReference[];
  readonly draftVersion: number;
  /** Nobody of whom the console knows enforces anything on other hosts. */
  readonly hosts: readonly HostStandings[];
  /** `null` = every host is looked at. */
  readonly lookedAt: readonly string[] | null;
}

export type Fates = Readonly<Partial<Record<RecordFate, number>>>;

export interface AddRequest {
  readonly records: readonly ReportedRecord[];
}

export interface RowsRequest {
  /** A `ListVerdictsRequest`: which rows, in which order. */
  readonly request: Uint8Array;
  readonly maxRows: number;
}

export interface RowsAnswer {
  readonly shown: number;
  readonly matching: number;
  readonly disagreeing: number;
  readonly comparedPairs: number;
}

export interface PageRequest {
  readonly start: number;
  readonly count: number;
}

/** What only the console knows of a part of a reported cell. */
export interface ReportedFact {
  readonly row: number;
  readonly part: number;
  readonly hostId: string;
  readonly generation: number;
  readonly decision: string;
}

export interface PageAnswer {
  /** A `VerdictRows`. */
  readonly rows: Uint8Array;
  readonly reported: readonly ReportedFact[];
}

export interface ExplainRequest extends WorldFrame {
  readonly world: WorldReference;
  readonly index: 0 | 1;
  readonly fromKey: string;
  readonly fromAddress: string;
  readonly toKey: string;
  readonly toAddress: string;
  readonly protocol: number;
  readonly port: number;
}

export interface ExplainAnswer {
  /** An `Evaluation` with the one direction that was asked for. */
  readonly evaluation: Uint8Array;
  readonly isAllowed: boolean;
}
