import { create } from "@bufbuild/protobuf";
import {
  ClusterListSchema,
  NoteListSchema,
  type WatchActivityResponse,
} from "@wardline/api/wardline/console/v1/activity";
import { AlertBoardSchema } from "@wardline/api/wardline/console/v1/alerts";
import { AnomalyListSchema } from "@wardline/api/wardline/console/v1/anomalies";
import { type ClusterView, ClusterViewSchema } from "@wardline/api/wardline/console/v1/cluster";
import { type Question, QuestionSchema } from "@wardline/api/wardline/console/v1/fleet";
import { type Job, JobSchema } from "@wardline/api/wardline/console/v1/jobs";
import { MeshSummarySchema } from "@wardline/api/wardline/console/v1/mesh";
import { type WatchWorkspaceResponse, WatchWorkspaceResponseSchema } from "@wardline/api/wardline/console/v1/policies";
import type { Rollout } from "@wardline/api/wardline/console/v1/rollout";
import { describe, expect, it } from "vitest";
import { ChangeSignal } from "../async/signal.ts";
import { systemClock } from "../ports.ts";
import { ActivityServiceImpl } from "./activity-service.ts";

class Source<Item> {
  readonly changes = new ChangeSignal();
  items: Item[] = [];

  list(): readonly Item[] {
    return this.items;
  }

  set(...items: Item[]): void {
    this.items = items;
    this.changes.notify();
  }
}

function start() {
  const [jobs, rollouts, questions] = [new Source<Job>(), new Source<Rollout>(), new Source<Question>()];
  const workspaceChanges = new ChangeSignal();
  let endedWorkspaces = 0;
  async function* watchWorkspace(signal: AbortSignal): AsyncGenerator<WatchWorkspaceResponse> {
    try {
      for (let sequence = 1n; !signal.aborted; sequence++) {
        const seen = workspaceChanges.version;
        yield create(WatchWorkspaceResponseSchema, { sequence });
        await workspaceChanges.wait(seen, 60_000, signal);
      }
    } finally {
      endedWorkspaces += 1;
    }
  }
  const clusters = new Source<ClusterView>();
  async function* watchClusters(signal: AbortSignal) {
    while (!signal.aborted) {
      const seen = clusters.changes.version;
      yield create(ClusterListSchema, { clusters: clusters.items });
      await clusters.changes.wait(seen, 60_000, signal);
    }
  }
  async function* watchNotes() {
    yield create(NoteListSchema);
  }
  const anomalies = { changes: new ChangeSignal(), list: () => create(AnomalyListSchema) };
  const mesh = { changes: new ChangeSignal(), summary: () => create(MeshSummarySchema) };
  async function* watchAlerts() {
    yield create(AlertBoardSchema);
  }
  const watching = { watchWorkspace, watchClusters, watchNotes, watchAlerts, anomalies, mesh };
  const service = new ActivityServiceImpl({ clock: systemClock, jobs, rollouts, questions, ...watching });
  const leaving = new AbortController();
  const stream = service.watch({} as never, leaving.signal);
  const next = async (): Promise<WatchActivityResponse> => {
    const { value } = await stream.next();
    if (!value) throw new Error("the stream has ended");
    return value;
  };
  return { jobs, questions, clusters, workspaceChanges, next, stream, leaving, endedWorkspaces: () => endedWorkspaces };
}

describe("what goes on, in one stream", () => {
  it("begins with everything, sends only what has changed, and never loses the last state", async () => {
    const { jobs, questions, clusters, workspaceChanges, next, stream } = start();
    const known = {
      ...{ jobs: false, rollouts: false, questions: false, workspace: false },
      ...{ clusters: false, notes: false, anomalies: false, alerts: false, mesh: false },
    };
    for (let sequence = 1n; !Object.values(known).every(Boolean); sequence++) {
      const message = await next();
      expect(message.sequence).toBe(sequence);
      for (const name of Object.keys(known) as (keyof typeof known)[]) known[name] ||= message[name] !== undefined;
    }
    for (const id of ["1", "2", "3"]) jobs.set(create(JobSchema, { id }));
    const changed = await next();
    expect(changed.jobs?.jobs.map(({ id }) => id)).toEqual(["3"]);
    const { rollouts, questions: asked, workspace, clusters: unsaid, notes } = changed;
    expect([rollouts, asked, workspace, unsaid, notes].every((part) => part === undefined)).toBe(true);
    clusters.set(create(ClusterViewSchema, { throughHostId: "a" }));
    const moved = await next();
    expect(moved.clusters?.clusters.map(({ throughHostId }) => throughHostId)).toEqual(["a"]);
    expect(moved.jobs).toBeUndefined();
    // Between two messages, while nobody reads.
    questions.set(create(QuestionSchema, { id: "q" }));
    workspaceChanges.notify();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const both = await next();
    expect(both.questions?.questions.map(({ id }) => id)).toEqual(["q"]);
    expect(both.workspace?.sequence).toBe(2n);
    await stream.return(undefined);
  });

  it("ends everything behind it when the reader leaves", async () => {
    const { next, stream, leaving, endedWorkspaces } = start();
    await next();
    leaving.abort();
    expect((await stream.next()).done).toBe(true);
    expect(endedWorkspaces()).toBe(1);
  });

  it("fails when one of its sources fails, instead of going on without it", async () => {
    const { jobs, next, stream } = start();
    await next();
    jobs.list = () => {
      throw new Error("broken");
    };
    jobs.changes.notify();
    await expect(
      (async () => {
        for (;;) await stream.next();
      })(),
    ).rejects.toThrow("broken");
  });
});
