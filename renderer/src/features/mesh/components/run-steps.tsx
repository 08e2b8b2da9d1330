import type { HealingRun, HealingStep } from "@wardline/api/wardline/v1/mesh";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Moment, Tag, visibleText } from "../../../ui/index.ts";
import { OUTCOMES, PHASE_NAMES } from "../model/healing-words.ts";

/** What happened, step by step, each with its time after the first symptom and its evidence. */
export function RunSteps({ run }: { run: HealingRun }) {
  const firstMs = optionalMs(run.firstSymptomAt);
  return (
    <section className="mesh-section" aria-labelledby="run-steps">
      <h3 id="run-steps">Step by step</h3>
      {run.steps.length === 0 ? <p className="soft">Nothing was done yet.</p> : null}
      <ol className="run-steps">
        {run.steps.map((step, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: steps are only ever added at the end.
          <Step key={index} step={step} firstMs={firstMs} />
        ))}
      </ol>
    </section>
  );
}

function Step({ step, firstMs }: { step: HealingStep; firstMs: number | null }) {
  const ms = optionalMs(step.at);
  const outcome = OUTCOMES[step.outcome];
  return (
    <li className="run-step">
      <span className="run-step-phase">{PHASE_NAMES[step.phase]}</span>
      <div className="run-step-body">
        <p className="mesh-line">
          <span className="wrap-anywhere">{visibleText(step.sentence)}</span>
          {outcome.words ? <Tag tone={outcome.tone}>{outcome.words}</Tag> : null}
          {step.dryRun ? <Tag>only tried out</Tag> : null}
        </p>
        {step.evidence.length > 0 ? (
          <ul className="run-evidence">
            {step.evidence.slice(0, 20).map((line, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines of evidence never move.
              <li key={index} className="wrap-anywhere">
                {visibleText(line)}
              </li>
            ))}
          </ul>
        ) : null}
      </div>
      <span className="run-step-time faint">
        {ms === null ? null : <Moment timeMs={ms} form="clock-ms" />}
        {ms === null || firstMs === null ? null : (
          <>
            <br />+{((ms - firstMs) / 1000).toFixed(1)} s
          </>
        )}
      </span>
    </li>
  );
}
