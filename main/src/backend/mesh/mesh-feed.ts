/** The meshes in short: for the activity stream and for alerts. */
import { create } from "@bufbuild/protobuf";
import { type HostHealingRun, type MeshSummary, MeshSummarySchema } from "@wardline/api/wardline/console/v1/mesh";
import { type MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import type { MeshFigures } from "@wardline/domain/mesh";
import { healingRuns, healingStatuses, isEnded, needsPerson } from "./healing-runs.ts";
import type { HostMesh, HostMeshes } from "./host-meshes.ts";
import type { MeshPicture } from "./mesh-picture.ts";
import { partsOf } from "./parts.ts";
import type { MeshFeed, MeshStanding } from "./ports.ts";

const MOST_PROBLEMS = 100;

export class MeshSummaryFeed implements MeshFeed {
  readonly #picture: MeshPicture;
  readonly #hosts: HostMeshes;
  readonly #historyProblem: () => string;
  #summary: { readonly version: number; readonly summary: MeshSummary } | null = null;

  /** @param historyProblem a sentence where the history cannot be written */
  constructor(picture: MeshPicture, hosts: HostMeshes, historyProblem: () => string) {
    this.#picture = picture;
    this.#hosts = hosts;
    this.#historyProblem = historyProblem;
  }

  get changes() {
    return this.#picture.changes;
  }

  summary(): MeshSummary {
    const { version } = this.changes;
    if (this.#summary?.version !== version) this.#summary = { version, summary: this.#read() };
    return this.#summary.summary;
  }

  standing(): MeshStanding {
    const hosts = this.#hosts.all();
    const silent = hosts.filter(({ isFollowed }) => !isFollowed);
    return {
      runs: healingRuns(hosts),
      partitions: partsOf(this.#picture.figures().partitions, hosts),
      silentRunIds: silentRuns(hosts),
      silentProviders: new Set(silent.flatMap(providersOf)),
    };
  }

  #read(): MeshSummary {
    const hosts = this.#hosts.all();
    const figures = this.#picture.figures();
    const runs = healingRuns(hosts);
    const own = [...this.#picture.problems(), this.#historyProblem()].filter((problem) => problem !== "");
    const partitionCount = Math.max(0, ...partsOf(figures.partitions, hosts).values());
    return summaryOf({ ...figures, partitionCount }, runs, hosts, [...own, ...figures.problems]);
  }
}

/** Of the picture at some time: nothing is said of healing then. */
export function summaryOf(
  figures: MeshFigures,
  runs: readonly HostHealingRun[] = [],
  hosts: readonly HostMesh[] = [],
  problems: readonly string[] = figures.problems,
): MeshSummary {
  const { articulationPoints, singleUplinks, meanLatencyMs, diameterHops, versions } = figures;
  return create(MeshSummarySchema, {
    ...{ nodes: figures.nodes, nodesOnline: figures.nodesOnline, links: figures.links, linksGood: figures.linksGood },
    ...{ linksWeak: figures.linksWeak, linksLost: figures.linksLost, linksFlapping: figures.linksFlapping },
    ...{ partitions: figures.partitionCount, peersConfigured: figures.peersConfigured, peersUp: figures.peersUp },
    ...{ articulationPoints: [...articulationPoints], singleUplinks: [...singleUplinks] },
    ...(meanLatencyMs === null ? {} : { meanLatencyMs }),
    ...(diameterHops === null ? {} : { diameterHops }),
    versions: Object.fromEntries(versions),
    runs: [...runs],
    needingPerson: runs.filter(({ run }) => run && needsPerson(run)).length,
    problems: problems.slice(0, MOST_PROBLEMS),
    healing: healingStatuses(hosts),
  });
}

/** Of which only hosts tell that cannot be asked now. */
function silentRuns(hosts: readonly HostMesh[]): ReadonlySet<string> {
  const told = new Set<string>();
  const silent = new Set<string>();
  for (const { isFollowed, runs } of hosts) {
    for (const run of runs.values()) if (!isEnded(run)) (isFollowed ? told : silent).add(run.id);
  }
  return new Set([...silent].filter((id) => !told.has(id)));
}

function providersOf({ observation }: HostMesh): MeshProvider[] {
  const reports = observation?.providers ?? [];
  return reports.filter(({ state }) => state !== MeshProviderState.ABSENT).map(({ provider }) => provider);
}
