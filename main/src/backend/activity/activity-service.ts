/** The workspace, jobs, roll-outs, questions, clusters and notes in one stream. */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type ActivityService,
  type ClusterList,
  JobListSchema,
  type NoteList,
  QuestionListSchema,
  RolloutListSchema,
  type WatchActivityRequest,
  type WatchActivityResponse,
  WatchActivityResponseSchema,
} from "@wardline/api/wardline/console/v1/activity";
import type { AlertBoard } from "@wardline/api/wardline/console/v1/alerts";
import type { AnomalyList } from "@wardline/api/wardline/console/v1/anomalies";
import type { Question } from "@wardline/api/wardline/console/v1/fleet";
import type { Job } from "@wardline/api/wardline/console/v1/jobs";
import type { MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import type { NotificationList } from "@wardline/api/wardline/console/v1/notifications";
import type { WatchWorkspaceResponse } from "@wardline/api/wardline/console/v1/policies";
import type { Rollout } from "@wardline/api/wardline/console/v1/rollout";
import type { SettingsState } from "@wardline/api/wardline/console/v1/settings";
import { ChangeSignal } from "../async/signal.ts";
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
  readonly watchClusters: (signal: AbortSignal) => AsyncIterable<ClusterList>;
  readonly watchNotes: (signal: AbortSignal) => AsyncIterable<NoteList>;
  /** Whole whenever it changed. */
  readonly anomalies: { readonly changes: ChangeSignal; list(): AnomalyList };
  /** Whole whenever it changed, at most twice a second. */
  readonly mesh: { readonly changes: ChangeSignal; summary(): MeshSummary };
  /** Whole whenever a file or what is wrong with one has changed. */
  readonly settings?: { readonly changes: ChangeSignal; state(): SettingsState };
  readonly notifications?: { readonly changes: ChangeSignal; list(): NotificationList };
  readonly watchAlerts: (signal: AbortSignal) => AsyncIterable<AlertBoard>;
  readonly watchWorkspace: (signal: AbortSignal) => AsyncIterable<WatchWorkspaceResponse>;
}

type Part = Partial<
  Pick<
    WatchActivityResponse,
    | "jobs"
    | "rollouts"
    | "questions"
    | "workspace"
    | "clusters"
    | "notes"
    | "anomalies"
    | "alerts"
    | "mesh"
    | "settings"
    | "notifications"
  >
>;

export class ActivityServiceImpl {
  readonly #ports: ActivityPorts;

  constructor(ports: ActivityPorts) {
    this.#ports = ports;
  }

  routes(guard: Guard): ServiceImpl<typeof ActivityService> {
    return { watchActivity: guard.stream((request: WatchActivityRequest, signal) => this.watch(request, signal)) };
  }

  /** The newest of each source; a reader who is slow misses states in between, never the last one. */
  async *watch(_request: WatchActivityRequest, readerSignal: AbortSignal): AsyncGenerator<WatchActivityResponse> {
    const { clock } = this.#ports;
    const ending = new AbortController();
    const signal = AbortSignal.any([readerSignal, ending.signal]);
    const news = new ChangeSignal();
    let unsent: Part = {};
    let failure: unknown = null;
    const pumps = this.#sources(signal).map(async (source) => {
      for await (const part of source) {
        unsent = { ...unsent, ...part };
        news.notify();
      }
    });
    for (const pump of pumps)
      pump.catch((error: unknown) => {
        failure = error;
        news.notify();
      });
    try {
      for (let sequence = 1n; !signal.aborted; sequence++) {
        while (Object.keys(unsent).length === 0 && failure === null && !signal.aborted)
          await news.wait(news.version, LONGEST_SILENCE_MS, signal);
        if (failure !== null) throw failure;
        const message = create(WatchActivityResponseSchema, { sequence, ...unsent });
        unsent = {};
        yield message;
        await clock.sleep(SHORTEST_INTERVAL_MS, signal);
      }
    } finally {
      ending.abort();
      await Promise.allSettled(pumps);
    }
  }

  #sources(signal: AbortSignal): AsyncIterable<Part>[] {
    const { jobs, rollouts, questions, anomalies, mesh, settings, notifications } = this.#ports;
    const { watchWorkspace, watchClusters, watchNotes, watchAlerts } = this.#ports;
    return [
      follow(jobs, (list) => ({ jobs: create(JobListSchema, { jobs: [...list] }) }), signal),
      follow(rollouts, (list) => ({ rollouts: create(RolloutListSchema, { rollouts: [...list] }) }), signal),
      follow(questions, (list) => ({ questions: create(QuestionListSchema, { questions: [...list] }) }), signal),
      followWhole(anomalies, (list) => ({ anomalies: list }), signal),
      followWhole({ changes: mesh.changes, list: () => mesh.summary() }, (summary) => ({ mesh: summary }), signal),
      mapped(watchWorkspace(signal), (workspace) => ({ workspace })),
      mapped(watchClusters(signal), (clusters) => ({ clusters })),
      mapped(watchNotes(signal), (notes) => ({ notes })),
      mapped(watchAlerts(signal), (alerts) => ({ alerts })),
      ...(settings
        ? [
            followWhole(
              { changes: settings.changes, list: () => settings.state() },
              (state) => ({ settings: state }),
              signal,
            ),
          ]
        : []),
      ...(notifications ? [followWhole(notifications, (list) => ({ notifications: list }), signal)] : []),
    ];
  }
}

function follow<Item>(source: ListSource<Item>, toPart: (list: readonly Item[]) => Part, signal: AbortSignal) {
  return followWhole(source, toPart, signal);
}

async function* followWhole<List>(
  source: { readonly changes: ChangeSignal; list(): List },
  toPart: (list: List) => Part,
  signal: AbortSignal,
): AsyncGenerator<Part> {
  let sent = -1;
  while (!signal.aborted) {
    const seen = source.changes.version;
    if (seen !== sent) yield toPart(source.list());
    sent = seen;
    await source.changes.wait(seen, LONGEST_SILENCE_MS, signal);
  }
}

async function* mapped<From, To>(source: AsyncIterable<From>, map: (value: From) => To): AsyncGenerator<To> {
  for await (const value of source) yield map(value);
}
