/** What columns, cells and rows of the verdict table are. */
import type { DecisionContent } from "../decision.ts";
import type { Direction, PolicyWorld } from "../model.ts";

/**
 * `observed`: a policy denies, and the packet passes. `unknown`: nobody can say. `nothing`: the column has no opinion.
 * `mixed`: the parts of a cell differ.
 */
export type ShownVerdict = "allow" | "deny" | "observed" | "unknown" | "nothing" | "mixed";

/** The columns that are computed; reports are counted. */
export type ComputedColumn = "draft" | "staged" | "enforced";
export const COMPUTED_COLUMNS: readonly ComputedColumn[] = ["draft", "staged", "enforced"];

/** What one host does about its ends of connections. `version` is the caller's number for what stands behind it. */
export type Stance =
  /** It follows a world; unless `isEnforcing`, what that denies passes and is reported. */
  | { readonly kind: "world"; readonly world: number; readonly isEnforcing: boolean; readonly version: number }
  /** Nothing is applied: everything passes. */
  | { readonly kind: "nothing"; readonly version: number }
  /** The emergency brake says closed: nothing passes but what passes before any policy is asked. */
  | { readonly kind: "closed"; readonly version: number }
  | { readonly kind: "unknown"; readonly version: number };

export interface VerdictTableOptions {
  /** The draft first; then each other state that a stance names. */
  readonly worlds: readonly [draft: PolicyWorld, ...others: PolicyWorld[]];
  readonly draftVersion: number;
  /**
   * Of a host; asked with `null` for a workload of which nobody knows where it runs. An answer of `null` = nobody of whom we
   * know enforces anything there: that end restricts nothing.
   */
  readonly enforcedOf: (hostName: string | null) => Stance | null;
  /** `null` = nothing is staged there: what is enforced stays. */
  readonly stagedOf: (hostName: string | null) => Stance | null;
  /** Only connections with an end on one of these; default all. */
  readonly isLookedAt?: (hostName: string | null) => boolean;
  /** Records are put together by groups, port, host, generation and decision: most of those; default 400,000. */
  readonly mostParts?: number;
}

/** The answer of one end, whichever version of what it follows says so. */
export interface SideDecision {
  readonly direction: Direction;
  readonly verdict: ShownVerdict;
  /** `null` where nothing is applied, or nobody knows. */
  readonly decision: DecisionContent | null;
}

/** The answer of one end. */
export interface SideVerdict extends SideDecision {
  /** `null` = an address that belongs to nobody, or an end where nobody enforces: nothing restricts it. */
  readonly version: number | null;
}

export interface ColumnVerdict {
  readonly verdict: ShownVerdict;
  /** Source's egress, destination's ingress; none when the column has nothing to say. */
  readonly sides: readonly SideDecision[];
}

/**
 * Everything that is decided about some connections: alike for all of them, while the versions that decide it may be others
 * for each. A host that nobody can reach has a version of its own; there may be hundreds of those.
 */
export interface Outcome extends Readonly<Record<ComputedColumn, ColumnVerdict>> {
  /** The columns that know an answer have different ones. */
  readonly disagrees: boolean;
}

/** One place of a connection, as an example. */
export interface ExampleEnd {
  /** `null` = an address that belongs to nobody. */
  readonly key: string | null;
  readonly address: string;
}

export interface ComputedPart {
  readonly verdict: ShownVerdict;
  readonly sides: readonly SideVerdict[];
  /** Names of the hosts whose policies decide it, sorted. */
  readonly hostNames: readonly string[];
  readonly from: ExampleEnd;
  readonly to: ExampleEnd;
}

export interface ComputedCell {
  readonly verdict: ShownVerdict;
  readonly parts: readonly ComputedPart[];
}

/** A record of a host, or a sum of them that differ in nothing but time. */
export interface ReportedRecord {
  readonly hostId: string;
  readonly direction: Direction;
  /** Canonical; the end that opened the connection. */
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  readonly protocol: number;
  /** `type << 8 | code` for ICMP. */
  readonly port: number;
  /** Of the end that recorded it; empty when unknown. */
  readonly subjectKey: string;
  readonly verdict: "allow" | "deny" | "observed" | "unknown";
  /** The caller's name for what decided. */
  readonly decision: string;
  readonly policyKeys: readonly string[];
  /** 0 = several, or unknown. */
  readonly generation: number;
  readonly count: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

export interface Talker {
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

export interface ReportedPart
  extends Pick<
    ReportedRecord,
    | "hostId"
    | "direction"
    | "verdict"
    | "decision"
    | "policyKeys"
    | "generation"
    | "count"
    | "firstSeenMs"
    | "lastSeenMs"
  > {
  readonly talkers: readonly Talker[];
  readonly from: ExampleEnd;
  readonly to: ExampleEnd;
}

export interface ReportedCell {
  readonly verdict: ShownVerdict;
  /** Most first. */
  readonly parts: readonly ReportedPart[];
}

/** What became of a record. */
export type RecordFate = "counted" | "builtin" | "unowned" | "elsewhere" | "too-many";

const ORDER: readonly ShownVerdict[] = ["deny", "unknown", "observed"];

/** Both ends have to let a packet pass. */
export function joinSides(sides: readonly { readonly verdict: ShownVerdict }[]): ShownVerdict {
  return ORDER.find((verdict) => sides.some((side) => side.verdict === verdict)) ?? "allow";
}

/** One verdict for several parts. Those that have nothing to say do not make it mixed. */
export function joinParts(verdicts: Iterable<ShownVerdict>): ShownVerdict {
  const distinct = new Set(verdicts);
  if (distinct.size > 1) distinct.delete("nothing");
  const [only] = distinct;
  return only === undefined ? "nothing" : distinct.size === 1 ? only : "mixed";
}

/** Whether answers that are known differ. */
export function differ(verdicts: Iterable<ShownVerdict>): boolean {
  const known = new Set<ShownVerdict>();
  for (const verdict of verdicts) if (verdict !== "unknown" && verdict !== "nothing") known.add(verdict);
  return known.size > 1 || known.has("mixed");
}
