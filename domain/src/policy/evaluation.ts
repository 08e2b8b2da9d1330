/** What the evaluator answers: a verdict and every step that led to it. */

import type { DecisionContent } from "./decision.ts";
import type { Direction, ProtocolNumber, SourceRange, Tier, Verdict } from "./model.ts";

/** One end of a connection. The address decides; the key only says whose address it is. */
export interface FlowEnd {
  /** Key of the endpoint meant, or `null` for an address that belongs to nobody in the inventory. */
  readonly endpointKey: string | null;
  /** Canonical text. Both ends of a flow are of one family. */
  readonly address: string;
}

/** A new connection (its first packet). Replies follow it. */
export interface PolicyFlow {
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  readonly protocol: ProtocolNumber;
  /** Destination port; `type << 8 | code` for ICMP; 0 for protocols without ports. */
  readonly port: number;
}

export interface WalkthroughStep {
  readonly tier: Tier;
  readonly policyKey: string;
  /** `ingress[0]`, or the rule's own name; `null` when the step is about the policy as a whole. */
  readonly rule: string | null;
  readonly outcome: "decided" | "passed" | "no-match" | "not-selected";
  /** One sentence: why. */
  readonly reason: string;
  readonly source: SourceRange;
}

/** One tier as it was asked. */
export interface TierWalk {
  readonly tier: Tier;
  /** `passed`: a rule handed the packet on; `undecided`: no rule matched; `not-reached`: decided before. */
  readonly outcome: "decided" | "passed" | "undecided" | "not-reached";
  /** How many policies of the tier are asked about the subject in this direction, and how many are not. */
  readonly selected: number;
  readonly notSelected: number;
}

/** What the enforced policies decide alone, and what they would decide together with the observed ones. */
export interface ModeComparison {
  readonly enforced: DecisionContent;
  readonly withObserved: DecisionContent;
}

export interface DirectionEvaluation {
  readonly direction: Direction;
  /** Endpoint whose policies were asked; `null` when the address is nobody's (then nothing restricts this side). */
  readonly subjectKey: string | null;
  readonly verdict: Verdict;
  readonly decision: DecisionContent;
  /** Everything that was asked, in order; policies that are not about the subject only on request. */
  readonly steps: readonly WalkthroughStep[];
  /** All tiers in order; none when no policy was asked. */
  readonly tiers: readonly TierWalk[];
  /** `null` when no observed policy is asked about the subject. */
  readonly modes: ModeComparison | null;
}

export interface Evaluation {
  /** `allow` only when both directions allow. */
  readonly verdict: Verdict;
  /** Egress of the source, then ingress of the destination. */
  readonly directions: readonly [DirectionEvaluation, DirectionEvaluation];
}
