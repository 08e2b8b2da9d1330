/** Jobs beyond the process that ran them: what a window shows of earlier runs and of the command line. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Job, JobSchema, JobState } from "@wardline/api/wardline/console/v1/jobs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { isOver, type JobHistory } from "../jobs/job-runner.ts";
import type { Clock, Logger } from "../ports.ts";
import type { Store } from "./store.ts";

const KEPT = 50;
const CACHED_MS = 1_000;

interface JobRow {
  process_id: number;
  wire: Uint8Array;
}

export interface JobsTablePorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether a process of this machine still runs. */
  readonly isAlive?: (processId: number) => boolean;
  readonly processId?: number;
}

export class JobsTable implements JobHistory {
  readonly #ports: Required<JobsTablePorts>;
  #cached: { readonly atMs: number; readonly version: number; readonly jobs: readonly Job[] } | null = null;

  constructor(ports: JobsTablePorts) {
    this.#ports = { isAlive: isProcessAlive, processId: process.pid, ...ports };
  }

  save(job: Job): void {
    const { store, logger, processId } = this.#ports;
    try {
      store.transaction(() => {
        store.run(
          `INSERT INTO jobs (id, process_id, started_at_ms, wire) VALUES (?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET wire = excluded.wire`,
          job.id,
          processId,
          job.startedAt ? timestampMs(job.startedAt) : 0,
          toBinary(JobSchema, job),
        );
        if (!isOver(job)) return;
        store.run("DELETE FROM jobs WHERE id NOT IN (SELECT id FROM jobs ORDER BY started_at_ms DESC LIMIT ?)", KEPT);
      });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      logger.warn({ code: error.code, job: job.id }, "job not stored");
    }
  }

  others(): readonly Job[] {
    const { store, clock, processId } = this.#ports;
    const [nowMs, version] = [clock.nowMs(), store.dataVersion()];
    const isFresh = this.#cached?.version === version && nowMs - this.#cached.atMs < CACHED_MS;
    if (this.#cached && isFresh) return this.#cached.jobs;
    const rows = store.all<JobRow>(
      "SELECT process_id, wire FROM jobs WHERE process_id <> ? ORDER BY started_at_ms DESC LIMIT ?",
      processId,
      KEPT,
    );
    const jobs = rows.map((row) => this.#read(row));
    this.#cached = { atMs: nowMs, version, jobs };
    return jobs;
  }

  #read({ process_id, wire }: JobRow): Job {
    const job = fromBinary(JobSchema, wire);
    job.cancelable = false;
    if (!isOver(job) && !this.#ports.isAlive(process_id)) markAbandoned(job);
    return job;
  }
}

/** The process that ran it is gone: what had not ended by its last record never will. */
function markAbandoned(job: Job): void {
  job.state = JobState.FAILED;
  const detail = failureToDetail(
    new Failure({
      code: ErrorCode.CANCELED,
      message: "The console ended while this was under way.",
      hint: "Start it again: what is done already is found and left as it is.",
      retryable: true,
    }),
  );
  for (const host of job.hosts) {
    if (host.state !== JobState.RUNNING && host.state !== JobState.QUEUED && host.state !== JobState.WAITING) continue;
    host.state = JobState.FAILED;
    host.error = { ...detail, host: host.hostName };
  }
}

function isProcessAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
