import { create } from "@bufbuild/protobuf";
import { AccessChangeSchema, type AccessChange as WireAccessChange } from "@wardline/api/wardline/console/v1/ship";
import {
  DecisionSchema,
  DirectionEvaluationSchema,
  EvaluationSchema,
  WalkthroughStepSchema,
  type Decision as WireDecision,
  type DirectionEvaluation as WireDirectionEvaluation,
  type Evaluation as WireEvaluation,
  type WalkthroughStep as WireWalkthroughStep,
} from "@wardline/api/wardline/v1/policy";
import { type DecisionContent, describeDecision } from "../policy/decision.ts";
import type { AccessChange } from "../policy/diff/index.ts";
import type { DirectionEvaluation, Evaluation, WalkthroughStep } from "../policy/evaluation.ts";
import type { Direction, SourceRange } from "../policy/model.ts";
import { fromWireSourceRange, toWireSourceRange } from "./diagnostic.ts";
import {
  fromWireDirection,
  fromWireOutcome,
  fromWireReason,
  fromWireTier,
  fromWireTierOutcome,
  fromWireVerdict,
  toWireDirection,
  toWireOutcome,
  toWireReason,
  toWireTier,
  toWireTierOutcome,
  toWireVerdict,
} from "./policy-enums.ts";

const NOWHERE: SourceRange = { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 };

/** The direction completes the summary of denials without a rule; `null` where it is not known. */
export function toWireDecision(decision: DecisionContent, direction: Direction | null): WireDecision {
  const wire = create(DecisionSchema, {
    id: decision.id,
    verdict: toWireVerdict(decision.verdict),
    reason: toWireReason(decision.reason),
    tier: toWireTier(decision.tier),
    policyKeys: [...decision.policyKeys],
    rule: decision.rule ?? "",
    summary: describeDecision(decision, direction ?? undefined),
    observeOnly: decision.observeOnly,
  });
  if (decision.source) wire.source = toWireSourceRange(decision.source);
  return wire;
}

/** Values that this version does not know are read as the safe side: a denial, decided by a rule. */
export function fromWireDecision(wire: WireDecision): DecisionContent {
  return {
    id: wire.id,
    verdict: fromWireVerdict(wire.verdict),
    observeOnly: wire.observeOnly,
    reason: fromWireReason(wire.reason),
    tier: fromWireTier(wire.tier),
    policyKeys: wire.policyKeys,
    rule: wire.rule === "" ? null : wire.rule,
    source: wire.source ? fromWireSourceRange(wire.source) : null,
  };
}

export function toWireEvaluation(evaluation: Evaluation): WireEvaluation {
  return create(EvaluationSchema, {
    verdict: toWireVerdict(evaluation.verdict),
    directions: evaluation.directions.map(toWireDirectionEvaluation),
  });
}

function toWireDirectionEvaluation(evaluation: DirectionEvaluation): WireDirectionEvaluation {
  const { direction, modes } = evaluation;
  const wire = create(DirectionEvaluationSchema, {
    direction: toWireDirection(evaluation.direction),
    subjectKey: evaluation.subjectKey ?? "",
    verdict: toWireVerdict(evaluation.verdict),
    decision: toWireDecision(evaluation.decision, evaluation.direction),
    steps: evaluation.steps.map(toWireStep),
    tiers: evaluation.tiers.map(({ tier, outcome, selected, notSelected }) => ({
      tier: toWireTier(tier),
      outcome: toWireTierOutcome(outcome),
      selected,
      notSelected,
    })),
  });
  if (modes !== null) {
    wire.enforcedDecision = toWireDecision(modes.enforced, direction);
    wire.observedDecision = toWireDecision(modes.withObserved, direction);
  }
  return wire;
}

function toWireStep(step: WalkthroughStep): WireWalkthroughStep {
  return create(WalkthroughStepSchema, {
    tier: toWireTier(step.tier),
    policyKey: step.policyKey,
    rule: step.rule ?? "",
    outcome: toWireOutcome(step.outcome),
    reason: step.reason,
    source: toWireSourceRange(step.source),
  });
}

/** `null` when the message does not hold the two directions that every evaluation has. */
export function fromWireEvaluation(wire: WireEvaluation): Evaluation | null {
  const [egress, ingress] = wire.directions.map(fromWireDirectionEvaluation);
  if (!egress || !ingress) return null;
  return { verdict: fromWireVerdict(wire.verdict), directions: [egress, ingress] };
}

function fromWireDirectionEvaluation(wire: WireDirectionEvaluation): DirectionEvaluation | null {
  if (!wire.decision) return null;
  const { enforcedDecision, observedDecision } = wire;
  return {
    direction: fromWireDirection(wire.direction),
    subjectKey: wire.subjectKey === "" ? null : wire.subjectKey,
    verdict: fromWireVerdict(wire.verdict),
    decision: fromWireDecision(wire.decision),
    steps: wire.steps.map((step) => ({
      tier: fromWireTier(step.tier) ?? "application",
      policyKey: step.policyKey,
      rule: step.rule === "" ? null : step.rule,
      outcome: fromWireOutcome(step.outcome),
      reason: step.reason,
      source: step.source ? fromWireSourceRange(step.source) : NOWHERE,
    })),
    tiers: wire.tiers.map(({ tier, outcome, selected, notSelected }) => ({
      tier: fromWireTier(tier) ?? "application",
      outcome: fromWireTierOutcome(outcome),
      selected,
      notSelected,
    })),
    modes:
      enforcedDecision && observedDecision
        ? { enforced: fromWireDecision(enforcedDecision), withObserved: fromWireDecision(observedDecision) }
        : null,
  };
}

/** `recordedFlows`: flows seen in the last hour that the change touches. */
export function toWireAccessChange(change: AccessChange, recordedFlows = 0n): WireAccessChange {
  return create(AccessChangeSchema, {
    subjectKey: change.subjectKey,
    direction: toWireDirection(change.direction),
    peer: change.peer,
    peerNames: [...change.peerNames],
    protocol: change.protocol ?? 0,
    exceptProtocols: [...change.exceptProtocols],
    portLow: change.portLow,
    portHigh: change.portHigh,
    oldVerdict: toWireVerdict(change.oldVerdict),
    newVerdict: toWireVerdict(change.newVerdict),
    decision: toWireDecision(change.decision, change.direction),
    recordedFlows,
  });
}
