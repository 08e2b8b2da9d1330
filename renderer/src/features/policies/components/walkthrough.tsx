import {
  Direction,
  type DirectionEvaluation,
  type Evaluation,
  Tier,
  TierOutcome,
  Verdict,
  WalkthroughOutcome,
  type WalkthroughStep,
} from "@wardline/api/wardline/v1/policy";
import { verdictKind } from "../../../data/flow-buffer.ts";
import { useWindow } from "../../../data/window-store.ts";
import { formatCount, shortKey, VerdictMark, visibleText } from "../../../ui/index.ts";
import "./walkthrough.css";

const TIER_NAMES: Record<Tier, string> = {
  [Tier.UNSPECIFIED]: "",
  [Tier.SAFETY]: "safety",
  [Tier.ADMIN]: "admin",
  [Tier.APPLICATION]: "application",
  [Tier.BASELINE]: "baseline",
};
const OUTCOME_WORDS: Record<WalkthroughOutcome, string> = {
  [WalkthroughOutcome.UNSPECIFIED]: "",
  [WalkthroughOutcome.DECIDED]: "decides",
  [WalkthroughOutcome.PASSED]: "passes on",
  [WalkthroughOutcome.NO_MATCH]: "no match",
  [WalkthroughOutcome.NOT_SELECTED]: "not about it",
};

interface WalkthroughProps {
  readonly evaluation: Evaluation;
  readonly title: string;
  readonly basis: string;
}

/** The verdict, and every step that led to it; each step leads to its line. */
export function Walkthrough({ evaluation, title, basis }: WalkthroughProps) {
  return (
    <section className="walkthrough" aria-label="Walkthrough">
      <p className="walkthrough-verdict">
        <VerdictMark
          verdict={verdictKind(evaluation.verdict)}
          words={evaluation.verdict === Verdict.ALLOW ? "Would pass" : "Would be denied"}
        />
      </p>
      <p className="soft wrap-anywhere">
        {title} · {basis}
      </p>
      {evaluation.directions.map((direction) => (
        <section key={direction.direction}>
          <h3 className="walkthrough-direction">
            <VerdictMark verdict={verdictKind(direction.verdict)} words={null} />
            {direction.direction === Direction.EGRESS ? "Leaving" : "Arriving at"}{" "}
            {direction.subjectKey === ""
              ? direction.direction === Direction.EGRESS
                ? "the source"
                : "the destination"
              : visibleText(shortKey(direction.subjectKey))}
          </h3>
          {direction.steps.length > 0 ? (
            <ol className="steps">
              {direction.steps.map((step, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the steps of one answer never change order.
                <Step key={index} step={step} verdict={direction.verdict} />
              ))}
            </ol>
          ) : null}
          {countNotSelected(direction) > 0 ? (
            <p className="faint">{formatCount(countNotSelected(direction))} more policies are about others.</p>
          ) : null}
          {direction.enforcedDecision && direction.observedDecision ? (
            <p className="soft wrap-anywhere">
              Enforced policies alone: {visibleText(direction.enforcedDecision.summary)}. With those in observe mode:{" "}
              {visibleText(direction.observedDecision.summary)}.
            </p>
          ) : null}
          {direction.decision ? (
            <p className="walkthrough-end soft wrap-anywhere">{visibleText(direction.decision.summary)}</p>
          ) : null}
        </section>
      ))}
    </section>
  );
}

/** Policies of the tiers that were asked; the steps do not list them. */
function countNotSelected({ tiers }: DirectionEvaluation): number {
  return tiers
    .filter(({ outcome }) => outcome !== TierOutcome.NOT_REACHED)
    .reduce((sum, { notSelected }) => sum + notSelected, 0);
}

function Step({ step, verdict }: { step: WalkthroughStep; verdict: Verdict }) {
  const openFile = useWindow((state) => state.openFile);
  const isDecided = step.outcome === WalkthroughOutcome.DECIDED;
  const { source } = step;
  return (
    <li className="step wrap-anywhere" data-decided={isDecided ? verdictKind(verdict) : undefined}>
      <p>
        <span className="step-policy">{visibleText(shortKey(step.policyKey))}</span>{" "}
        {step.rule ? <code>{visibleText(step.rule)}</code> : null}{" "}
        <span className="faint">{TIER_NAMES[step.tier]}</span>
        <span className="step-outcome">{OUTCOME_WORDS[step.outcome]}</span>
      </p>
      <p className="soft">
        {visibleText(step.reason)}{" "}
        {source?.file ? (
          <button type="button" className="link" onClick={() => openFile(source.file, source.line, source.column)}>
            {visibleText(source.file)}:{source.line}
          </button>
        ) : null}
      </p>
    </li>
  );
}
