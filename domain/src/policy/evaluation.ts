/** What the evaluator answers: a verdict and every step that led to it. */
import type { Direction, ProtocolNumber, SourceRange, Tier, Verdict } from "./model.ts";
import type { Decision } from "./program.ts";

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

export interface DirectionEvaluation {
  readonly direction: Direction;
  /** Endpoint whose policies were asked; `null` when the address is nobody's (then nothing restricts this side). */
  readonly subjectKey: string | null;
  readonly verdict: Verdict;
  readonly decision: Omit<Decision, "index">;
  readonly steps: readonly WalkthroughStep[];
}

export interface Evaluation {
  /** `allow` only when both directions allow. */
  readonly verdict: Verdict;
  /** Egress of the source, then ingress of the destination. */
  readonly directions: readonly [DirectionEvaluation, DirectionEvaluation];
}
