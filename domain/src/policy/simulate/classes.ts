/** What a candidate makes of recorded flows, in words and counts. */
import type { DecisionContent } from "../decision.ts";
import type { Direction, Verdict } from "../model.ts";
import type { RecordedFlow } from "./recorded-flow.ts";

/**
 * How a flow stands under the candidate against what it is compared with. `unmatched` = there is no answer, see
 * {@link UnmatchedReason}.
 */
export type FlowClass = "newly-blocked" | "newly-allowed" | "stays-allowed" | "still-blocked" | "unmatched";

/** In the order in which people want to see them. */
export const FLOW_CLASSES: readonly FlowClass[] = [
  "newly-blocked",
  "newly-allowed",
  "unmatched",
  "still-blocked",
  "stays-allowed",
];

export type UnmatchedReason =
  /** Neither address belongs to anything in the inventory, so no policy is asked. */
  | "ends-unknown"
  /** Several endpoints have the address of an end, and the policies treat them differently. */
  | "several-endpoints"
  /** The two addresses are not of one family. */
  | "mixed-families"
  /** The record does not say what happened (only against the recorded verdict). */
  | "no-recorded-verdict";

export const UNMATCHED_REASONS: readonly UnmatchedReason[] = [
  "ends-unknown",
  "several-endpoints",
  "mixed-families",
  "no-recorded-verdict",
];

export type ClassCounts = Readonly<Record<FlowClass, number>>;

/** What a world says of one flow. */
export type FlowAnswer =
  | {
      readonly verdict: Verdict;
      readonly fromKey: string | null;
      readonly toKey: string | null;
      /** The end that decides: the first one that denies, or egress. */
      readonly direction: Direction;
      readonly decision: DecisionContent;
      /** Allowed only because a policy that would deny is in observe mode. */
      readonly isObserved: boolean;
    }
  | {
      readonly verdict: null;
      readonly reason: UnmatchedReason;
      readonly fromKey: string | null;
      readonly toKey: string | null;
    };

export function classOf(before: Verdict | null, after: Verdict | null): FlowClass {
  if (before === null || after === null) return "unmatched";
  if (after === "allow") return before === "allow" ? "stays-allowed" : "newly-allowed";
  return before === "allow" ? "newly-blocked" : "still-blocked";
}

export interface SimulationGroup {
  /** Against what was recorded. */
  readonly recordedClass: FlowClass;
  /** Against what the base policies say; `null` without a base. */
  readonly baseClass: FlowClass | null;
  /** Why it is unmatched against either; `null` when both have an answer. */
  readonly reason: UnmatchedReason | null;
  /** Label groups as text, or a network of addresses that nobody in the inventory has. */
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly port: number;
  /** Records, and how many of them only complete a connection whose start may be another record. */
  readonly flows: number;
  readonly ends: number;
  readonly firstSeenMs: number | null;
  readonly lastSeenMs: number | null;
  /** The first flow of the group, with what the candidate says of it. */
  readonly example: { readonly flow: RecordedFlow; readonly answer: FlowAnswer };
}

/** Flows of groups that are not listed. */
export interface OtherGroups {
  readonly recorded: ClassCounts;
  readonly base: ClassCounts | null;
}

export interface SimulationCounts {
  /** Flows that were read. `read = judged + sampledOut`. */
  readonly read: number;
  /** Flows that the candidate was asked about; the classes add up to it. */
  readonly judged: number;
  readonly sampledOut: number;
  /** Lines that are no flows. */
  readonly unreadable: number;
  /** Against what the hosts recorded: what was done with the packet then. */
  readonly recorded: ClassCounts;
  /** Against what the base policies say today of the same flow; `null` without a base. */
  readonly base: ClassCounts | null;
  readonly unmatched: Readonly<Record<UnmatchedReason, number>>;
  /** Among the allowed: what policies in observe mode would deny. */
  readonly observed: number;
  readonly firstSeenMs: number | null;
  readonly lastSeenMs: number | null;
}

export interface SimulationResult extends SimulationCounts {
  /** Changes first, then by number of flows. */
  readonly groups: readonly SimulationGroup[];
  readonly other: OtherGroups;
  /** True when it ended before the flows did. */
  readonly isCancelled: boolean;
}
