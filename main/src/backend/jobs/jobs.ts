/** Long work on several hosts: how a service runs it. The list, cancel and retry are JobService's. */
import type { Job, JobKind } from "@wardline/api/wardline/console/v1/jobs";

export interface JobSpecification {
  readonly kind: JobKind;
  readonly title: string;
  readonly author: string;
  readonly hosts: readonly { readonly id: string; readonly name: string }[];
  /** How many hosts at once. */
  readonly parallel: number;
  /** The work on one host. What it throws as `Failure` is how the host ended; another error is a defect. */
  readonly run: (hostId: string, progress: HostProgress) => Promise<void>;
}

export interface HostProgress {
  /** Aborts when the person cancels: steps that can end safely do. */
  readonly signal: AbortSignal;
  /** Begins a step, or changes the text and percentage of the one that runs. */
  step(name: string, text: string, percent?: number): void;
}

export interface JobRunner {
  /** Starts at once. Returns the id. */
  start(specification: JobSpecification): string;
  /** @throws Failure NOT_FOUND */
  job(id: string): Job;
  /** Resolves when it has ended. @throws Failure NOT_FOUND */
  finished(id: string): Promise<Job>;
}
