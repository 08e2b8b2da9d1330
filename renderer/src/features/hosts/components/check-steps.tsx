import { type CheckHostResponse, CheckStep, type Platform, StepState } from "@wardline/api/wardline/console/v1/fleet";
import { Check, CircleDashed, Minus, X } from "lucide-react";
import { failureFromDetail } from "../../../data/failure.ts";
import { FailureNotice, formatQuantity, Notice, Spinner, visibleText } from "../../../ui/index.ts";
import type { CheckRun } from "../model/check-run.ts";
import { TrustKey } from "./trust-key.tsx";
import "./check-steps.css";

const STEPS: readonly (readonly [CheckStep, string])[] = [
  [CheckStep.CONFIGURATION, "Configuration"],
  [CheckStep.NAME, "Name"],
  [CheckStep.ROUTE, "Route"],
  [CheckStep.PORT, "SSH port"],
  [CheckStep.HOST_KEY, "Host key"],
  [CheckStep.AUTHENTICATION, "Login"],
  [CheckStep.PLATFORM, "Platform"],
  [CheckStep.PRIVILEGE, "Privileges"],
  [CheckStep.AGENT, "Agent"],
  [CheckStep.VERSION, "Version"],
  [CheckStep.PERMISSION, "Your role"],
];

/** The way to a machine step by step, from its name to its agent: where it ends, why, and what to do. */
export function CheckSteps({ run, onTrust }: { run: CheckRun; onTrust: (fingerprint: string) => Promise<void> }) {
  const { steps, shownKey, platform, failure, isRunning } = run;
  const shown = isRunning ? STEPS : STEPS.filter(([step]) => isReached(steps.get(step)));
  const notReached = STEPS.length - shown.length;
  return (
    <div className="check" aria-busy={isRunning}>
      <ol className="check-steps" aria-label="Steps of the check">
        {shown.map(([step, name]) => {
          const found = steps.get(step);
          return (
            <li key={step} className="check-step" data-state={found?.state ?? StepState.UNSPECIFIED}>
              <StepMark state={found?.state ?? StepState.UNSPECIFIED} />
              <span className="check-name">{name}</span>
              <span className="check-detail soft wrap-anywhere">
                {found?.error ? visibleText(found.error.message) : visibleText(found?.detail ?? "")}
              </span>
              <span className="check-time faint">
                {found && found.state === StepState.PASSED && found.tookMs > 0 ? `${found.tookMs} ms` : ""}
              </span>
            </li>
          );
        })}
        {notReached > 0 ? (
          <li className="check-step">
            <Minus size={14} className="faint" aria-hidden="true" />
            <span className="check-rest faint">{formatQuantity(notReached, "further step")} not reached</span>
          </li>
        ) : null}
      </ol>
      {failure ? <FailureNotice failure={failure} title="The check could not be made" /> : null}
      {[...steps.values()].map((step) =>
        step.error && !shownKey ? (
          <FailureNotice key={step.step} failure={failureFromDetail(step.error)} title="It ends here" />
        ) : null,
      )}
      {shownKey ? <TrustKey shown={shownKey} onTrust={onTrust} /> : null}
      {platform ? <PlatformFacts platform={platform} /> : null}
    </div>
  );
}

function isReached(step: CheckHostResponse | undefined): boolean {
  return step !== undefined && step.state !== StepState.SKIPPED;
}

function StepMark({ state }: { state: StepState }) {
  if (state === StepState.RUNNING) return <Spinner />;
  if (state === StepState.PASSED) return <Check size={14} className="check-passed" aria-label="passed" />;
  if (state === StepState.FAILED) return <X size={14} className="check-failed" aria-label="failed" />;
  if (state === StepState.SKIPPED) return <Minus size={14} className="faint" aria-label="not reached" />;
  return <CircleDashed size={14} className="faint" aria-label="not begun" />;
}

/** What the machine is, and what speaks against an agent on it. */
function PlatformFacts({ platform }: { platform: Platform }) {
  return (
    <section className="check-platform" aria-label="Platform">
      <p className="wrap-anywhere">
        {visibleText(platform.operatingSystem)} · kernel {visibleText(platform.kernelRelease)} ·{" "}
        {visibleText(platform.architecture)} · {visibleText(platform.serviceManager)}
      </p>
      {platform.obstacles.length > 0 ? (
        <Notice tone="observed">
          <strong>The agent cannot be installed yet</strong>
          <ul className="host-limits">
            {platform.obstacles.map((obstacle) => (
              <li key={obstacle}>{visibleText(obstacle)}</li>
            ))}
          </ul>
        </Notice>
      ) : null}
      <details>
        <summary>What was found ({platform.capabilities.length})</summary>
        <ul className="capabilities">
          {platform.capabilities.map((capability) => (
            <li key={capability.name} data-available={capability.available ? "" : undefined}>
              {capability.available ? (
                <Check size={14} aria-label="available" />
              ) : (
                <Minus size={14} aria-label="missing" />
              )}
              <span className="wrap-anywhere">
                <code>{visibleText(capability.name)}</code>{" "}
                <span className="soft">{visibleText(capability.detail)}</span>
              </span>
            </li>
          ))}
        </ul>
      </details>
    </section>
  );
}
