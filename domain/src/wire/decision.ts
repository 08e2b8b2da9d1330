import { create } from "@bufbuild/protobuf";
import {
  DecisionSchema,
  type Decision as WireDecision,
  Direction as WireDirection,
  DecisionReason as WireReason,
  Tier as WireTier,
  Verdict as WireVerdict,
} from "@wardline/api/wardline/v1/policy";
import { describeDecision } from "../policy/decision.ts";
import type { Direction, Tier, Verdict } from "../policy/model.ts";
import type { Decision, DecisionReason } from "../policy/program.ts";
import { toWireSourceRange } from "./diagnostic.ts";

const VERDICTS: Record<Verdict, WireVerdict> = { allow: WireVerdict.ALLOW, deny: WireVerdict.DENY };
const DIRECTIONS: Record<Direction, WireDirection> = {
  ingress: WireDirection.INGRESS,
  egress: WireDirection.EGRESS,
};
const TIERS: Record<Tier, WireTier> = {
  safety: WireTier.SAFETY,
  admin: WireTier.ADMIN,
  application: WireTier.APPLICATION,
  baseline: WireTier.BASELINE,
};
const REASONS: Record<DecisionReason, WireReason> = {
  rule: WireReason.RULE,
  isolated: WireReason.ISOLATED,
  "not-isolated": WireReason.NOT_ISOLATED,
  builtin: WireReason.BUILTIN,
};

export function toWireVerdict(verdict: Verdict): WireVerdict {
  return VERDICTS[verdict];
}

export function toWireDirection(direction: Direction): WireDirection {
  return DIRECTIONS[direction];
}

export function toWireTier(tier: Tier): WireTier {
  return TIERS[tier];
}

/** The direction completes the summary of denials without a rule; `null` where it is not known. */
export function toWireDecision(decision: Omit<Decision, "index">, direction: Direction | null): WireDecision {
  const wire = create(DecisionSchema, {
    id: decision.id,
    verdict: VERDICTS[decision.verdict],
    reason: REASONS[decision.reason],
    tier: decision.tier === null ? WireTier.UNSPECIFIED : TIERS[decision.tier],
    policyKeys: [...decision.policyKeys],
    rule: decision.rule ?? "",
    summary: describeDecision(decision, direction ?? undefined),
    observeOnly: decision.observeOnly,
  });
  if (decision.source) wire.source = toWireSourceRange(decision.source);
  return wire;
}
