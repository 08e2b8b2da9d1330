/** Jobs, roll-outs and questions in one stream. */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type ActivityService,
  type WatchActivityRequest,
  type WatchActivityResponse,
  WatchActivityResponseSchema,
} from "@wardline/api/wardline/console/v1/activity";
import type { Question } from "@wardline/api/wardline/console/v1/fleet";
import type { Job } from "@wardline/api/wardline/console/v1/jobs";
import type { Rollout } from "@wardline/api/wardline/console/v1/rollout";
import { type ChangeSignal, mergeSignals } from "../async/signal.ts";
import type { Clock } from "../ports.ts";
import type { Guard } from "../rpc/guard.ts";

/** Uploads and roll-outs report often; a person reads four times a second at most. */
const SHORTEST_INTERVAL_MS = 250;
const LONGEST_SILENCE_MS = 60_000;

/** A list that tells when it has changed. */
export interface ListSource<Item> {
  readonly changes: ChangeSignal;
  list(): readonly Item[];
}

export interface ActivityPorts {
  readonly clock: Clock;
  readonly jobs: ListSource<Job>;
  readonly rollouts: ListSource<Rollout>;
  readonly questions: ListSource<Question>;
}

export class ActivityServiceImpl {
  readonly #ports: ActivityPorts;

  constructor(ports: ActivityPorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof ActivityService> {
    return { watchActivity: guard.stream((request: WatchActivityRequest, signal) => this.watch(request, signal)) };
  }

  async *watch(_request: WatchActivityRequest, signal: AbortSignal): AsyncGenerator<WatchActivityResponse> {
    const { jobs, rollouts, questions, clock } = this.#ports;
    const merged = mergeSignals([jobs.changes, rollouts.changes, questions.changes]);
    const sent = { jobs: -1, rollouts: -1, questions: -1 };
    try {
      for (let sequence = 1n; !signal.aborted; sequence++) {
        const seen = merged.changes.version;
        const message = create(WatchActivityResponseSchema, { sequence });
        if (jobs.changes.version !== sent.jobs) {
          sent.jobs = jobs.changes.version;
          message.jobs = { $typeName: "wardline.console.v1.JobList", jobs: [...jobs.list()] };
        }
        if (rollouts.changes.version !== sent.rollouts) {
          sent.rollouts = rollouts.changes.version;
          message.rollouts = { $typeName: "wardline.console.v1.RolloutList", rollouts: [...rollouts.list()] };
        }
        if (questions.changes.version !== sent.questions) {
          sent.questions = questions.changes.version;
          message.questions = { $typeName: "wardline.console.v1.QuestionList", questions: [...questions.list()] };
        }
        yield message;
        await clock.sleep(SHORTEST_INTERVAL_MS, signal);
        await merged.changes.wait(seen, LONGEST_SILENCE_MS, signal);
      }
    } finally {
      merged.dispose();
    }
  }
}
