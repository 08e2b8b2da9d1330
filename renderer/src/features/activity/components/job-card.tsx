import { type Job, JobState } from "@wardline/api/wardline/console/v1/jobs";
import { useState } from "react";
import { isRunning } from "../../../data/activity.ts";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, formatQuantity, Moment, type NoticeTone, Tag, visibleText } from "../../../ui/index.ts";
import { HostJobSteps } from "./host-job-steps.tsx";
import "./jobs.css";

const STATES: Record<JobState, { readonly text: string; readonly tone: NoticeTone }> = {
  [JobState.UNSPECIFIED]: { text: "unknown", tone: "unknown" },
  [JobState.RUNNING]: { text: "running", tone: "info" },
  [JobState.DONE]: { text: "done", tone: "allow" },
  [JobState.FAILED]: { text: "failed", tone: "deny" },
  [JobState.CANCELED]: { text: "stopped", tone: "unknown" },
  [JobState.WAITING]: { text: "waiting", tone: "observed" },
  [JobState.QUEUED]: { text: "queued", tone: "unknown" },
};

/** One job: what it is, how far each host is, and what a person can do about it. */
export function JobCard({ job }: { job: Job }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const act = (action: Promise<unknown>) => {
    setFailure(null);
    action.catch((error: unknown) => setFailure(shownFailure(error)));
  };
  const state = STATES[job.state];
  const startedMs = optionalMs(job.startedAt);
  const failed = job.hosts.filter((host) => host.state === JobState.FAILED || host.state === JobState.CANCELED);
  const done = job.hosts.filter((host) => host.state === JobState.DONE).length;
  return (
    <section className="job-card" aria-label={visibleText(job.title)}>
      <header className="job-header">
        <strong className="wrap-anywhere">{visibleText(job.title)}</strong>
        <Tag tone={state.tone}>{state.text}</Tag>
        <span className="soft job-count">
          {done} of {formatQuantity(job.hosts.length, "host")}
        </span>
      </header>
      <p className="faint">
        {visibleText(job.author)}{" "}
        {startedMs === null ? null : (
          <>
            · <Moment timeMs={startedMs} nowMs={nowMs} />
          </>
        )}
      </p>
      {job.hosts.map((host) => (
        <details key={host.hostId} open={job.hosts.length <= 3 || host.state === JobState.FAILED}>
          <summary>
            <span className="truncate">{visibleText(host.hostName)}</span>{" "}
            <Tag tone={STATES[host.state].tone}>{STATES[host.state].text}</Tag>
          </summary>
          <HostJobSteps host={host} />
        </details>
      ))}
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      <div className="job-buttons">
        {isRunning(job) && job.cancelable ? (
          <Button size="small" onPress={() => act(connection.jobs.cancelJob({ jobId: job.id }))}>
            Stop
          </Button>
        ) : null}
        {!isRunning(job) && failed.length > 0 ? (
          <Button size="small" onPress={() => act(connection.jobs.retryJob({ jobId: job.id }))}>
            Try {formatQuantity(failed.length, "host")} again
          </Button>
        ) : null}
      </div>
    </section>
  );
}
