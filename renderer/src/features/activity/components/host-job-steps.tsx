import type { HostJob } from "@wardline/api/wardline/console/v1/jobs";
import { JobState } from "@wardline/api/wardline/console/v1/jobs";
import { Check, CircleDashed, X } from "lucide-react";
import { failureFromDetail } from "../../../data/failure.ts";
import { FailureNotice, Spinner, visibleText } from "../../../ui/index.ts";
import "./jobs.css";

/** The steps of one host, the last of which is under way, and how it ended. */
export function HostJobSteps({ host }: { host: HostJob }) {
  const isRunning = host.state === JobState.RUNNING;
  const hasFailed = host.state === JobState.FAILED;
  return (
    <div className="job-host">
      <ol className="job-steps">
        {host.steps.map((step, index) => {
          const isLast = index === host.steps.length - 1;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: steps are only added at the end.
            <li key={index} className="job-step">
              {isLast && isRunning ? (
                <Spinner />
              ) : isLast && hasFailed ? (
                <X size={14} className="job-failed" aria-label="failed" />
              ) : (
                <Check size={14} className="job-done" aria-label="done" />
              )}
              <span className="wrap-anywhere">{visibleText(step.text)}</span>
              {isLast && isRunning && step.percent > 0 ? (
                <progress max={100} value={step.percent} aria-label={visibleText(step.text)} />
              ) : null}
            </li>
          );
        })}
        {host.steps.length === 0 ? (
          <li className="job-step soft">
            <CircleDashed size={14} aria-hidden="true" />
            {host.state === JobState.CANCELED ? "not begun: it was stopped before" : "waits for its turn"}
          </li>
        ) : null}
      </ol>
      {host.error ? <FailureNotice isCompact failure={failureFromDetail(host.error)} /> : null}
    </div>
  );
}
