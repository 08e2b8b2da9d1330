import type { ClusterNotes, WatchActivityResponse } from "@wardline/api/wardline/console/v1/activity";
import type { AlertBoard } from "@wardline/api/wardline/console/v1/alerts";
import type { AnomalyList } from "@wardline/api/wardline/console/v1/anomalies";
import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import type { Question } from "@wardline/api/wardline/console/v1/fleet";
import { type Job, JobState } from "@wardline/api/wardline/console/v1/jobs";
import type { MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import type { NotificationList } from "@wardline/api/wardline/console/v1/notifications";
import type { WatchWorkspaceResponse } from "@wardline/api/wardline/console/v1/policies";
import { type Rollout, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import type { SettingsState } from "@wardline/api/wardline/console/v1/settings";
import type { StreamState } from "./live-stream.ts";

/** What goes on in the console; each part is the same object until it has changed. */
export interface Activity {
  readonly jobs: readonly Job[];
  readonly rollouts: readonly Rollout[];
  readonly questions: readonly Question[];
  /** `null` until it was sent for the first time. */
  readonly clusters: readonly ClusterView[] | null;
  /** Hosts with a reachable agent that are in no cluster. */
  readonly unclusteredHostIds: readonly string[];
  /** Hosts whose agent is older than clusters. */
  readonly outdatedHostIds: readonly string[];
  readonly notes: readonly ClusterNotes[];
  /** `null` until it was sent for the first time. */
  readonly anomalies: AnomalyList | null;
  /** `null` until it was sent for the first time. */
  readonly alerts: AlertBoard | null;
  /** `null` until it was sent for the first time: also of a backend that is older than meshes. */
  readonly mesh: MeshSummary | null;
  /** `null` until it was sent for the first time; the window reads them through `data/settings.ts`. */
  readonly settings: SettingsState | null;
  /** `null` until it was sent for the first time. */
  readonly notifications: NotificationList | null;
  /** `null` until it was sent for the first time. */
  readonly workspace: WatchWorkspaceResponse | null;
}

export const NO_ACTIVITY: Activity = {
  jobs: [],
  rollouts: [],
  questions: [],
  clusters: null,
  unclusteredHostIds: [],
  outdatedHostIds: [],
  notes: [],
  anomalies: null,
  alerts: null,
  mesh: null,
  settings: null,
  notifications: null,
  workspace: null,
};

/** `previous` is null for the first message of each subscription: then everything is sent anew. */
export function reduceActivity(previous: Activity | null, message: WatchActivityResponse): Activity {
  const before = previous ?? NO_ACTIVITY;
  return {
    jobs: message.jobs?.jobs ?? before.jobs,
    rollouts: message.rollouts?.rollouts ?? before.rollouts,
    questions: message.questions?.questions ?? before.questions,
    clusters: message.clusters?.clusters ?? before.clusters,
    unclusteredHostIds: message.clusters?.unclusteredHostIds ?? before.unclusteredHostIds,
    outdatedHostIds: message.clusters?.outdatedHostIds ?? before.outdatedHostIds,
    notes: message.notes?.clusters ?? before.notes,
    anomalies: message.anomalies ?? before.anomalies,
    alerts: message.alerts ?? before.alerts,
    mesh: message.mesh ?? before.mesh,
    settings: message.settings ?? before.settings,
    notifications: message.notifications ?? before.notifications,
    workspace: message.workspace ?? before.workspace,
  };
}

/** One part of a stream as a stream of its own; the same object as long as nothing of it has changed. */
export function partOfStream<Whole, Part>(
  source: { readonly getState: () => StreamState<Whole>; readonly subscribe: (listener: () => void) => () => void },
  part: (whole: Whole) => Part | null,
): { readonly getState: () => StreamState<Part>; readonly subscribe: (listener: () => void) => () => void } {
  let from: StreamState<Whole> | null = null;
  let state: StreamState<Part> | null = null;
  return {
    subscribe: source.subscribe,
    getState() {
      const whole = source.getState();
      if (state && whole === from) return state;
      from = whole;
      const value = whole.value === null ? null : part(whole.value);
      // Other parts change more often: whoever looks at this one must not be woken by them.
      const isSame = state && state.value === value && state.status === whole.status && state.failure === whole.failure;
      if (!state || !isSame) state = { ...whole, value };
      return state;
    },
  };
}

export function isRunning(job: Job): boolean {
  return job.state === JobState.RUNNING || job.state === JobState.WAITING;
}

export function isOpen(rollout: Rollout): boolean {
  return rollout.state === RolloutState.RUNNING || rollout.state === RolloutState.WAITING;
}
