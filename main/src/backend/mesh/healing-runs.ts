/** Runs of healing as one list: what the members of a cluster all tell is one run. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type HostHealingRun,
  HostHealingRunSchema,
  type MeshHealingStatus,
  MeshHealingStatusSchema,
} from "@wardline/api/wardline/console/v1/mesh";
import { type HealingRun, HealingState } from "@wardline/api/wardline/v1/mesh";
import type { HostMesh } from "./host-meshes.ts";

/** Open ones and the newest that ended. */
export const LISTED_RUNS = 50;

interface Told {
  readonly host: HostMesh;
  readonly run: HealingRun;
}

/** Newest first; open ones before those that ended. */
export function healingRuns(hosts: readonly HostMesh[], limit = LISTED_RUNS): HostHealingRun[] {
  const groups = new Map<string, Told[]>();
  for (const host of hosts) {
    for (const run of host.runs.values()) {
      const key = identityOf(host, run);
      const told = groups.get(key);
      if (told) told.push({ host, run });
      else groups.set(key, [{ host, run }]);
    }
  }
  return [...groups.values()]
    .map(toOne)
    .sort((a, b) => Number(isEnded(a.run)) - Number(isEnded(b.run)) || newestOf(b.run) - newestOf(a.run))
    .slice(0, limit)
    .map(({ host, run }) => create(HostHealingRunSchema, { hostId: host.hostId, run }));
}

/** Those that a person has to look at. */
export function needsPerson({ state, endedAt }: HealingRun): boolean {
  return state === HealingState.WAITING_FOR_APPROVAL || (state === HealingState.ESCALATED && !endedAt);
}

export function isEnded({ endedAt }: HealingRun): boolean {
  return endedAt !== undefined;
}

/** How healing stands, by who decides. Hosts without a word of it are in none. */
export function healingStatuses(hosts: readonly HostMesh[]): MeshHealingStatus[] {
  const groups = new Map<string, HostMesh[]>();
  for (const host of hosts) {
    if (host.settings === null) continue;
    // Hosts of which nobody decides may be of several clusters: each stands for itself.
    const key = host.coordinator === "" ? `host ${host.hostId}` : `coordinator ${host.coordinator}`;
    groups.set(key, [...(groups.get(key) ?? []), host]);
  }
  return [...groups.values()].map((members) => {
    const order = byAuthority(members[0]?.coordinator ?? "");
    const [first] = [...members].sort((a, b) => order(a, b) || byId(a, b));
    return create(MeshHealingStatusSchema, {
      coordinator: first?.coordinator ?? "",
      hostIds: members.map(({ hostId }) => hostId).sort(),
      ...(first?.settings ? { settings: first.settings } : {}),
      knowledge: [...(first?.knowledge ?? [])],
      problem: first?.healingProblem ?? "",
    });
  });
}

/** Outside of a cluster (term 0) a host decides for itself only: another one with the same id tells of something else. */
function identityOf(host: HostMesh, { id, term }: HealingRun): string {
  return term === 0n ? `${host.hostId} ${id}` : id;
}

/**
 * The word that counts: of the coordinator itself, which is whom most of them name; else the newest word of those who
 * agree with them. One that says something else of a run of all is outvoted.
 */
function toOne(told: readonly Told[]): Told {
  const votes = new Map<string, number>();
  for (const { run } of told) votes.set(run.coordinator, (votes.get(run.coordinator) ?? 0) + 1);
  const [coordinator = ""] = [...votes].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0] ?? [];
  const order = byAuthority(coordinator);
  const [first] = told
    .filter(({ run }) => run.coordinator === coordinator)
    .sort((a, b) => order(a.host, b.host) || newestOf(b.run) - newestOf(a.run) || byId(a.host, b.host));
  return first as Told;
}

/** Who can be asked now comes first, the coordinator before the others. */
function byAuthority(coordinator: string): (a: HostMesh, b: HostMesh) => number {
  const rank = ({ hostName, isFollowed }: HostMesh) => (isFollowed ? 0 : 2) + (hostName === coordinator ? 0 : 1);
  return (a, b) => rank(a) - rank(b);
}

function byId(a: HostMesh, b: HostMesh): number {
  return a.hostId < b.hostId ? -1 : a.hostId > b.hostId ? 1 : 0;
}

function newestOf({ endedAt, steps, detectedAt }: HealingRun): number {
  const time = endedAt ?? steps.at(-1)?.at ?? detectedAt;
  return time ? timestampMs(time) : 0;
}
