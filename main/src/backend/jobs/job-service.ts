import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type CancelJobRequest,
  CancelJobResponseSchema,
  type JobService,
  type RetryJobRequest,
  RetryJobResponseSchema,
  type WatchJobsRequest,
  WatchJobsResponseSchema,
} from "@wardline/api/wardline/console/v1/jobs";
import type { Clock } from "../ports.ts";
import type { Guard } from "../rpc/guard.ts";
import type { Jobs } from "./job-runner.ts";

/** Uploads report often: a list is sent at most this often. */
const SHORTEST_PAUSE_MS = 100;
/** Other processes write into the same history. */
const LONGEST_SILENCE_MS = 2_000;

export interface JobServicePorts {
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly userName: string;
}

export class JobServiceImpl {
  readonly #ports: JobServicePorts;

  constructor(ports: JobServicePorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof JobService> {
    return {
      watchJobs: guard.stream((request: WatchJobsRequest, signal) => this.watch(request, signal)),
      cancelJob: guard.unary((request: CancelJobRequest) => this.cancel(request)),
      retryJob: guard.unary((request: RetryJobRequest) => this.retry(request)),
    };
  }

  async *watch(_request: WatchJobsRequest, signal: AbortSignal) {
    const { jobs, clock } = this.#ports;
    for (let sequence = 1n; !signal.aborted; sequence++) {
      const seen = jobs.changes.version;
      yield create(WatchJobsResponseSchema, { sequence, jobs: [...jobs.list()] });
      await clock.sleep(SHORTEST_PAUSE_MS, signal);
      await jobs.changes.wait(seen, LONGEST_SILENCE_MS, signal);
    }
  }

  cancel(request: CancelJobRequest) {
    this.#ports.jobs.cancel(request.jobId);
    return create(CancelJobResponseSchema);
  }

  retry(request: RetryJobRequest) {
    const { jobs, userName } = this.#ports;
    return create(RetryJobResponseSchema, { jobId: jobs.retry(request.jobId, userName) });
  }
}
