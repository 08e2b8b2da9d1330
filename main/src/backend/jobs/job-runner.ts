/** Runs jobs: so many hosts at once, each with its steps and its own end, and keeps what became of the newest ones. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type HostJob,
  HostJobSchema,
  type Job,
  JobSchema,
  JobState,
  JobStepSchema,
} from "@wardline/api/wardline/console/v1/jobs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { ChangeSignal } from "../async/signal.ts";
import type { Clock, Logger } from "../ports.ts";
import type { HostProgress, JobRunner, JobSpecification } from "./jobs.ts";

const MAX_STEPS = 50;
const MAX_STEP_TEXT_LENGTH = 300;
const MAX_PARALLEL = 64;
/** A job that ended is forgotten when so many newer ones ended, or when the newer ones have so many hosts together. */
const KEPT_JOBS = 50;
const KEPT_HOSTS = 4_000;
/** Of larger jobs only the last step of a host that succeeded is kept. */
const MANY_HOSTS = 50;
/** While a job runs, the history gets it at most this often. */
const SAVE_INTERVAL_MS = 2_000;

/** Where jobs are remembered beyond the process. Saving never fails a job. */
export interface JobHistory {
  save(job: Job): void;
  /** Jobs of other processes and earlier runs, newest first. */
  others(): readonly Job[];
}

export interface JobRunnerPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly history?: JobHistory;
}

interface RunningJob {
  readonly wire: Job;
  readonly specification: JobSpecification;
  readonly canceling: AbortController;
  readonly finished: Promise<void>;
  savedAtMs: number;
}

export class Jobs implements JobRunner {
  readonly changes = new ChangeSignal();
  readonly #ports: JobRunnerPorts;
  /** In the order of starting. */
  readonly #jobs = new Map<string, RunningJob>();
  #isClosed = false;

  constructor(ports: JobRunnerPorts) {
    this.#ports = ports;
  }

  start(specification: JobSpecification): string {
    if (this.#isClosed) throw closingFailure();
    if (specification.hosts.length === 0) {
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "No host was named." });
    }
    const wire = create(JobSchema, {
      id: randomUUID(),
      kind: specification.kind,
      title: specification.title,
      author: specification.author,
      state: JobState.RUNNING,
      startedAt: timestampFromMs(this.#ports.clock.nowMs()),
      cancelable: true,
      hosts: specification.hosts.map(({ id, name }) =>
        create(HostJobSchema, { hostId: id, hostName: name, state: JobState.QUEUED }),
      ),
    });
    const { promise: finished, resolve } = Promise.withResolvers<void>();
    const job: RunningJob = { wire, specification, canceling: new AbortController(), finished, savedAtMs: 0 };
    this.#jobs.set(wire.id, job);
    this.#changed(job);
    this.#run(job).then(resolve, (error: unknown) => {
      this.#ports.logger.error({ err: error, job: wire.id }, "a job ended by a defect");
      resolve();
    });
    return wire.id;
  }

  job(id: string): Job {
    const own = this.#jobs.get(id)?.wire;
    if (own) return own;
    const other = this.#ports.history?.others().find((job) => job.id === id);
    if (other) return other;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no job ${JSON.stringify(id.slice(0, 100))} on this console any more.`,
      hint: "The list of jobs keeps the newest ones.",
    });
  }

  async finished(id: string): Promise<Job> {
    const running = this.#jobs.get(id);
    await running?.finished;
    return running?.wire ?? this.job(id);
  }

  /** Newest first: those of this process, and what the history has of others. */
  list(): readonly Job[] {
    const own = [...this.#jobs.values()].map(({ wire }) => wire);
    const others = (this.#ports.history?.others() ?? []).filter(({ id }) => !this.#jobs.has(id));
    return [...own, ...others].sort((a, b) => startedAtMs(b) - startedAtMs(a));
  }

  /** Idempotent; a job that has ended stays as it is. @throws Failure NOT_FOUND */
  cancel(id: string): void {
    const job = this.#jobs.get(id);
    if (!job) {
      if (isOver(this.job(id))) return;
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "This job runs in another process of this console.",
        hint: "Stop it where it was started.",
      });
    }
    if (isOver(job.wire)) return;
    job.wire.cancelable = false;
    job.canceling.abort(canceledFailure());
    this.#changed(job);
  }

  /** A new job for the hosts that failed or were not reached before it was canceled. @throws Failure */
  retry(id: string, author: string): string {
    const job = this.#jobs.get(id);
    if (!job) {
      this.job(id);
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message:
          "This job was run by an earlier start of the console, so what it was asked to do is not known any more.",
        hint: "Start it anew for the hosts that failed.",
      });
    }
    if (!isOver(job.wire)) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "This job is still running.",
        hint: "Wait for its end, or cancel it.",
        retryable: true,
      });
    }
    const failed = new Set(job.wire.hosts.filter(({ state }) => state !== JobState.DONE).map(({ hostId }) => hostId));
    if (failed.size === 0) {
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "Every host of this job succeeded." });
    }
    const hosts = job.specification.hosts.filter((host) => failed.has(host.id));
    return this.start({ ...job.specification, hosts, author });
  }

  /** Cancels everything and waits until each step that was under way has come to its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const running = [...this.#jobs.values()].filter(({ wire }) => !isOver(wire));
    for (const { canceling } of running) canceling.abort(closingFailure());
    await Promise.all(running.map(({ finished }) => finished));
  }

  async #run(job: RunningJob): Promise<void> {
    const { wire, specification } = job;
    const waiting = wire.hosts.values();
    const workers = Math.max(1, Math.min(MAX_PARALLEL, specification.parallel, wire.hosts.length));
    const work = async () => {
      for (const host of waiting) await this.#runHost(job, host);
    };
    await Promise.all(Array.from({ length: workers }, work));
    wire.state = outcomeOf(wire);
    wire.endedAt = timestampFromMs(this.#ports.clock.nowMs());
    wire.cancelable = false;
    if (wire.hosts.length > MANY_HOSTS) {
      for (const host of wire.hosts) if (host.state === JobState.DONE) host.steps = host.steps.slice(-1);
    }
    this.#changed(job);
    this.#forgetOld();
  }

  async #runHost(job: RunningJob, host: HostJob): Promise<void> {
    const { signal } = job.canceling;
    try {
      signal.throwIfAborted();
      host.state = JobState.RUNNING;
      this.#changed(job);
      await job.specification.run(host.hostId, this.#progressOf(job, host, signal));
      host.state = JobState.DONE;
    } catch (error) {
      const failure = this.#failureOf(error, job.wire.id, host.hostId);
      host.state = failure.code === ErrorCode.CANCELED ? JobState.CANCELED : JobState.FAILED;
      host.error = failureToDetail(failure);
      host.error.host = host.hostName;
    }
    this.#changed(job);
  }

  #progressOf(job: RunningJob, host: HostJob, signal: AbortSignal): HostProgress {
    return {
      signal,
      step: (name, text, percent = 0) => {
        const last = host.steps.at(-1);
        const wire = create(JobStepSchema, {
          name,
          text: text.slice(0, MAX_STEP_TEXT_LENGTH),
          at: last?.name === name && last.at ? last.at : timestampFromMs(this.#ports.clock.nowMs()),
          percent: Math.max(0, Math.min(100, Math.round(percent))),
        });
        if (last?.name === name || host.steps.length === MAX_STEPS) host.steps[host.steps.length - 1] = wire;
        else host.steps.push(wire);
        this.#changed(job);
      },
    };
  }

  #failureOf(error: unknown, job: string, host: string): Failure {
    if (error instanceof Failure) return error;
    this.#ports.logger.error({ err: error, job, host }, "a job failed by a defect");
    return new Failure({
      code: ErrorCode.INTERNAL,
      message: `The console failed: ${error instanceof Error ? error.message : String(error)}`,
      hint: "This is a defect; the console's log has the details.",
    });
  }

  #changed(job: RunningJob): void {
    const nowMs = this.#ports.clock.nowMs();
    if (isOver(job.wire) || nowMs - job.savedAtMs >= SAVE_INTERVAL_MS) {
      job.savedAtMs = nowMs;
      this.#ports.history?.save(job.wire);
    }
    this.changes.notify();
  }

  #forgetOld(): void {
    let [jobs, hosts] = [0, 0];
    for (const { wire } of [...this.#jobs.values()].reverse()) {
      if (!isOver(wire)) continue;
      jobs++;
      hosts += wire.hosts.length;
      // The newest one is always kept.
      if (jobs > 1 && (jobs > KEPT_JOBS || hosts > KEPT_HOSTS)) this.#jobs.delete(wire.id);
    }
  }
}

export function isOver({ state }: Job): boolean {
  return state === JobState.DONE || state === JobState.FAILED || state === JobState.CANCELED;
}

function outcomeOf({ hosts }: Job): JobState {
  const any = (state: JobState) => hosts.some((host) => host.state === state);
  if (any(JobState.CANCELED)) return JobState.CANCELED;
  return any(JobState.FAILED) ? JobState.FAILED : JobState.DONE;
}

function startedAtMs({ startedAt }: Job): number {
  return startedAt ? Number(startedAt.seconds) * 1000 + startedAt.nanos / 1e6 : 0;
}

/** What a canceled step ends with. */
export function canceledFailure(): Failure {
  return new Failure({
    code: ErrorCode.CANCELED,
    message: "Canceled.",
    hint: "What was done until then stays; the same work can be started again.",
    retryable: true,
  });
}

function closingFailure(): Failure {
  return new Failure({
    code: ErrorCode.CANCELED,
    message: "The console was closed.",
    hint: "Start the same work again.",
    retryable: true,
  });
}
