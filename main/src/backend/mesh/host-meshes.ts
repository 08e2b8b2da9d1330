/** What each host last said of its meshes and their healing. */
import type { WatchMeshResponse } from "@wardline/api/wardline/agent/v1/mesh";
import type { HealingKnowledge, HealingRun, HealingSettings, MeshObservation } from "@wardline/api/wardline/v1/mesh";
import { ChangeSignal } from "../async/signal.ts";

/** As in the contract of the agent. */
const MAX_RUNS = 200;

export interface HostMesh {
  readonly hostId: string;
  /** The name that this console knows the host by, whatever it calls itself. */
  readonly hostName: string;
  /** `null` = it has not told yet, or cannot. */
  readonly observation: MeshObservation | null;
  /** By id. Those of whole clusters are told by each member. */
  readonly runs: ReadonlyMap<string, HealingRun>;
  readonly settings: HealingSettings | null;
  readonly knowledge: readonly HealingKnowledge[];
  /** Who decides on healing for this host; empty = nobody. */
  readonly coordinator: string;
  /** Why nothing is healed; empty = nothing is in the way. */
  readonly healingProblem: string;
  /** Of the newest observation, by this console's clock; 0 = never. */
  readonly receivedAtMs: number;
  /** Whether its word is current: the stream of it is open. */
  readonly isFollowed: boolean;
  /** Its agent is older than meshes. */
  readonly isOutdated: boolean;
}

/** Parts of what a host says, already bounded. Absent = as before. */
export type HostMeshNews = Partial<
  Pick<WatchMeshResponse, "observation" | "runs" | "settings" | "knowledge" | "coordinator" | "healingProblem">
>;

export class HostMeshes {
  /** Notifies after what any host says has changed. */
  readonly changes = new ChangeSignal();
  readonly #hosts = new Map<string, HostMesh>();

  all(): readonly HostMesh[] {
    return [...this.#hosts.values()];
  }

  find(hostId: string): HostMesh | null {
    return this.#hosts.get(hostId) ?? null;
  }

  /** @param isWhole what comes is everything that the host has: runs that are not in it are gone */
  take(hostId: string, hostName: string, news: HostMeshNews, nowMs: number, isWhole: boolean): void {
    const before = this.#hosts.get(hostId) ?? unheard(hostId, hostName);
    const { observation, settings, knowledge, coordinator, healingProblem } = news;
    this.#set({
      ...before,
      hostName,
      observation: observation ?? before.observation,
      receivedAtMs: observation ? nowMs : before.receivedAtMs,
      runs: runsWith(isWhole ? new Map() : before.runs, news.runs ?? []),
      settings: settings ?? before.settings,
      // It comes with the settings: an empty list without these says nothing.
      knowledge: settings ? (knowledge ?? []) : before.knowledge,
      coordinator: coordinator ?? before.coordinator,
      healingProblem: healingProblem ?? before.healingProblem,
      isFollowed: true,
      isOutdated: false,
    });
  }

  /** One run, from an answer to a call. */
  takeRun(hostId: string, run: HealingRun): void {
    const before = this.#hosts.get(hostId);
    if (before) this.#set({ ...before, runs: runsWith(before.runs, [run]) });
  }

  setOutdated(hostId: string, hostName: string): void {
    this.#set({ ...unheard(hostId, hostName), isOutdated: true });
  }

  /** The stream ended: what was said stays, with its age. */
  leave(hostId: string): void {
    const before = this.#hosts.get(hostId);
    if (before?.isFollowed) this.#set({ ...before, isFollowed: false });
  }

  forget(hostId: string): void {
    if (this.#hosts.delete(hostId)) this.changes.notify();
  }

  #set(host: HostMesh): void {
    this.#hosts.set(host.hostId, host);
    this.changes.notify();
  }
}

function runsWith(
  before: ReadonlyMap<string, HealingRun>,
  news: readonly HealingRun[],
): ReadonlyMap<string, HealingRun> {
  if (news.length === 0) return before;
  const runs = new Map(before);
  for (const run of news) runs.set(run.id, run);
  // Those that ended go first, the oldest of them before the others.
  const surplus = [...runs.values()]
    .sort((a, b) => Number(!a.endedAt) - Number(!b.endedAt) || secondsOf(a) - secondsOf(b))
    .slice(0, Math.max(0, runs.size - MAX_RUNS));
  for (const { id } of surplus) runs.delete(id);
  return runs;
}

function secondsOf({ detectedAt }: HealingRun): number {
  return Number(detectedAt?.seconds ?? 0n);
}

function unheard(hostId: string, hostName: string): HostMesh {
  return {
    ...{ hostId, hostName, observation: null, runs: new Map(), settings: null, knowledge: [] },
    ...{ coordinator: "", healingProblem: "", receivedAtMs: 0, isFollowed: false, isOutdated: false },
  };
}
