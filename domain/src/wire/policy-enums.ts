/** The enums of `wardline.v1.policy` and their words in the domain. */
import {
  DecisionReason as WireDecisionReason,
  Direction as WireDirection,
  WalkthroughOutcome as WireOutcome,
  Tier as WireTier,
  TierOutcome as WireTierOutcome,
  Verdict as WireVerdict,
} from "@wardline/api/wardline/v1/policy";
import type { TierWalk, WalkthroughStep } from "../policy/evaluation.ts";
import type { Direction, Tier, Verdict } from "../policy/model.ts";
import type { DecisionReason } from "../policy/program.ts";

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

const REASONS: Record<DecisionReason, WireDecisionReason> = {
  rule: WireDecisionReason.RULE,
  isolated: WireDecisionReason.ISOLATED,
  "not-isolated": WireDecisionReason.NOT_ISOLATED,
  builtin: WireDecisionReason.BUILTIN,
};

const OUTCOMES: Record<WalkthroughStep["outcome"], WireOutcome> = {
  decided: WireOutcome.DECIDED,
  passed: WireOutcome.PASSED,
  "no-match": WireOutcome.NO_MATCH,
  "not-selected": WireOutcome.NOT_SELECTED,
};

function reader<Word extends string, Wire>(words: Record<Word, Wire>): (wire: Wire) => Word | null {
  const byWire = new Map((Object.keys(words) as Word[]).map((word) => [words[word], word]));
  return (wire) => byWire.get(wire) ?? null;
}

const readVerdict = reader(VERDICTS);
const readDirection = reader(DIRECTIONS);
const readReason = reader(REASONS);
const TIER_OUTCOMES: Record<TierWalk["outcome"], WireTierOutcome> = {
  decided: WireTierOutcome.DECIDED,
  passed: WireTierOutcome.PASSED,
  undecided: WireTierOutcome.UNDECIDED,
  "not-reached": WireTierOutcome.NOT_REACHED,
};

const readTierOutcome = reader(TIER_OUTCOMES);
const readOutcome = reader(OUTCOMES);

export const toWireVerdict = (verdict: Verdict): WireVerdict => VERDICTS[verdict];

/** An unknown verdict is read as a denial. */
export const fromWireVerdict = (wire: WireVerdict): Verdict => readVerdict(wire) ?? "deny";

export const toWireDirection = (direction: Direction): WireDirection => DIRECTIONS[direction];

export const fromWireDirection = (wire: WireDirection): Direction => readDirection(wire) ?? "ingress";

export const toWireTier = (tier: Tier | null): WireTier => (tier === null ? WireTier.UNSPECIFIED : TIERS[tier]);

/** `null` for decisions that no tier took. */
export const fromWireTier: (wire: WireTier) => Tier | null = reader(TIERS);

export const toWireReason = (reason: DecisionReason): WireDecisionReason => REASONS[reason];

export const fromWireReason = (wire: WireDecisionReason): DecisionReason => readReason(wire) ?? "rule";

export const toWireOutcome = (outcome: WalkthroughStep["outcome"]): WireOutcome => OUTCOMES[outcome];

export const fromWireOutcome = (wire: WireOutcome): WalkthroughStep["outcome"] => readOutcome(wire) ?? "no-match";

export const toWireTierOutcome = (outcome: TierWalk["outcome"]): WireTierOutcome => TIER_OUTCOMES[outcome];

export const fromWireTierOutcome = (wire: WireTierOutcome): TierWalk["outcome"] => readTierOutcome(wire) ?? "undecided";
