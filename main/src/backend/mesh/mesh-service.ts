/** wardline.console.v1.MeshService: the meshes of all hosts, now and before, and what people change in them. */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/mesh";
import { type MeshObservation, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { figuresOfGraph, findAllPaths, type MeshGraph } from "@wardline/domain/mesh";
import { timestampOf } from "@wardline/domain/wire";
import { mapPooled } from "../async/pool.ts";
import type { HostRegistry, ManagedHost } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { type Guard, pageSize } from "../rpc/guard.ts";
import { findNode } from "./find-node.ts";
import { healingRuns } from "./healing-runs.ts";
import type { MeshPast } from "./history/past.ts";
import type { HostMeshes } from "./host-meshes.ts";
import { MeshSummaryFeed, summaryOf } from "./mesh-feed.ts";
import type { MeshFollower } from "./mesh-follower.ts";
import type { MeshPicture } from "./mesh-picture.ts";
import { toWireChange, toWireLink, toWireNode, toWirePartitions, toWirePath } from "./mesh-wire.ts";
import { PeerChanges } from "./peer-changes.ts";
import { watchMesh } from "./watch-mesh.ts";

const USUAL_CHANGES = 200;
const MOST_CHANGES = 1_000;
const USUAL_PATHS = 3;
const MOST_PATHS = 8;
const MAX_ID_LENGTH = 300;
const AT_ONCE = 8;
const MOST_RUNS = 1_000;
/** Of the time that changes and series are asked for; the history keeps less. */
const LONGEST_TIME_MS = 366 * 86_400_000;

export interface MeshServicePorts {
  readonly registry: HostRegistry;
  readonly hosts: HostMeshes;
  readonly follower: MeshFollower;
  readonly picture: MeshPicture;
  readonly past: MeshPast;
  readonly clock: Clock;
  /** Why nothing is recorded, a sentence; empty = it is, or somebody else does it. */
  readonly historyProblem: () => string;
}

export class MeshServiceImpl {
  /** For the activity stream and for alerts. */
  readonly feed: MeshSummaryFeed;
  readonly #ports: MeshServicePorts;
  readonly #changes: PeerChanges;

  constructor(ports: MeshServicePorts) {
    this.#ports = ports;
    this.#changes = new PeerChanges(ports);
    this.feed = new MeshSummaryFeed(ports.picture, ports.hosts, ports.historyProblem);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.MeshService> {
    const changes = this.#changes;
    return {
      watchMesh: guard.stream((_request: wire.WatchMeshRequest, signal) => this.watch(signal)),
      getMeshAt: guard.unary((request: wire.GetMeshAtRequest, signal) => this.at(request, signal)),
      listMeshChanges: guard.unary((request: wire.ListMeshChangesRequest) => this.listChanges(request)),
      getMeshSeries: guard.unary((request: wire.GetMeshSeriesRequest, signal) => this.series(request, signal)),
      findMeshPath: guard.unary((request: wire.FindMeshPathRequest, signal) => this.findPath(request, signal)),
      getMeshOfHost: guard.unary((request: wire.GetMeshOfHostRequest) => this.ofHost(request)),
      addMeshPeer: guard.unary((request: wire.AddMeshPeerRequest) => changes.add(request)),
      removeMeshPeer: guard.unary((request: wire.RemoveMeshPeerRequest) => changes.remove(request)),
      decideMeshHealing: guard.unary((request: wire.DecideMeshHealingRequest) => changes.decide(request)),
      configureMeshHealing: guard.unary((request: wire.ConfigureMeshHealingRequest) => changes.configure(request)),
      resetMeshHealingKnowledge: guard.unary((request: wire.ResetMeshHealingKnowledgeRequest) =>
        changes.resetKnowledge(request),
      ),
    };
  }

  watch(signal: AbortSignal): AsyncGenerator<wire.WatchMeshResponse> {
    const { picture, clock } = this.#ports;
    return watchMesh({ picture, clock, summary: () => this.feed.summary() }, signal);
  }

  /** Asks hosts now, for a process that does not follow them. What could not be asked, by host id. */
  async refresh(hostIds: readonly string[]): Promise<ReadonlyMap<string, Failure>> {
    const { registry, follower, picture } = this.#ports;
    const problems = new Map<string, Failure>();
    await mapPooled(registry.select(hostIds), AT_ONCE, async (host) => {
      try {
        await follower.fetch(host);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        problems.set(host.id, error);
      }
    });
    picture.update();
    return problems;
  }

  /** Keeps a host connected and its word up to date, for a process that stays for that. */
  async follow(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const release = host.connection.need();
    try {
      await this.#ports.follower.follow(host, signal);
    } finally {
      release();
    }
  }

  /** What a host said last; `null` = nothing yet. */
  observation(hostId: string): MeshObservation | null {
    return this.#ports.hosts.find(hostId)?.observation ?? null;
  }

  /** All runs of healing that are known, each once: open ones first, newest first. */
  runs(): wire.HostHealingRun[] {
    return healingRuns(this.#ports.hosts.all(), MOST_RUNS);
  }

  /** Called with what changed in the picture. Returns the disposer. */
  onChanges(listener: (changes: readonly wire.MeshChange[]) => void): () => void {
    return this.#ports.picture.onDelta(({ changes }) => {
      if (changes.length > 0) listener(changes.map(toWireChange));
    });
  }

  /** Makes the picture until the signal aborts, for a process that stays for that. */
  run(signal: AbortSignal): Promise<void> {
    return this.#ports.picture.run(signal);
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND before the history begins */
  async at({ at }: wire.GetMeshAtRequest, signal?: AbortSignal): Promise<wire.GetMeshAtResponse> {
    if (!at) throw invalid("The time is missing.");
    const { graph, earliestMs, gaps } = await this.#ports.past.at(this.#pastTime(at), signal);
    return create(wire.GetMeshAtResponseSchema, {
      topology: topologyOf(graph),
      earliest: timestampOf(earliestMs),
      gaps: gaps.map(({ fromMs, toMs }) => ({ from: timestampOf(fromMs), to: timestampOf(toMs) })),
    });
  }

  /** @throws Failure INVALID_ARGUMENT */
  listChanges(request: wire.ListMeshChangesRequest): wire.ListMeshChangesResponse {
    const limit = pageSize(request.limit, USUAL_CHANGES, MOST_CHANGES);
    const { changes, total, earliestMs, counts } = this.#ports.past.changes({
      ...this.#span(request.from, request.to),
      ...{ id: requireId(request.id), limit },
    });
    return create(wire.ListMeshChangesResponseSchema, {
      ...{ changes: changes.map(toWireChange), total: BigInt(total), counts: [...counts] },
      ...(earliestMs === null ? {} : { earliest: timestampOf(earliestMs) }),
    });
  }

  /** @throws Failure INVALID_ARGUMENT */
  async series(request: wire.GetMeshSeriesRequest, signal?: AbortSignal): Promise<wire.GetMeshSeriesResponse> {
    const id = requireId(request.id);
    if (id === "") throw invalid("The link or node is missing.");
    const { times, series } = await this.#ports.past.series({ ...this.#span(request.from, request.to), id }, signal);
    return create(wire.GetMeshSeriesResponseSchema, {
      times: times.map(timestampOf),
      series: series.map(({ measure, direction, values }) => ({ measure, direction, values: [...values] })),
    });
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND (a node, or a time before the history begins) */
  async findPath(request: wire.FindMeshPathRequest, signal?: AbortSignal): Promise<wire.FindMeshPathResponse> {
    const count = pageSize(request.count, USUAL_PATHS, MOST_PATHS);
    const { provider, at } = request;
    if (!(provider >= MeshProvider.UNSPECIFIED && provider <= MeshProvider.IP)) throw invalid("There is no such mesh.");
    const graph = at ? (await this.#ports.past.at(this.#pastTime(at), signal)).graph : this.#ports.picture.graph();
    const [from, to] = [findNode(graph, request.from, "The beginning"), findNode(graph, request.to, "The end")];
    if (from.id === to.id) throw invalid("Beginning and end are one node.");
    // How daemons route is known of now only.
    const observationOf = at ? null : (name: string) => this.#ports.picture.observation(name);
    const query = { from: from.id, to: to.id, provider: provider || null, count };
    const { paths, limitedBy, singlePoints } = findAllPaths(graph, query, observationOf);
    return create(wire.FindMeshPathResponseSchema, {
      ...{ paths: paths.map(toWirePath), limitedBy, singlePoints: [...singlePoints] },
    });
  }

  /** The newest word of the host; asked now where nobody follows it. @throws Failure NOT_FOUND, and of the host */
  async ofHost({ hostId }: wire.GetMeshOfHostRequest): Promise<wire.GetMeshOfHostResponse> {
    const { registry, hosts, follower } = this.#ports;
    const host = registry.byId(hostId);
    if (!hosts.find(host.id)?.isFollowed && !hosts.find(host.id)?.isOutdated) {
      await follower.fetch(host).catch((error: unknown) => {
        // What it said before is shown with its age.
        const known = hosts.find(host.id);
        if (known?.observation || known?.isOutdated) return;
        throw error;
      });
    }
    const known = hosts.find(host.id);
    return create(wire.GetMeshOfHostResponseSchema, {
      ...(known?.observation ? { observation: known.observation, receivedAt: timestampOf(known.receivedAtMs) } : {}),
      isOutdated: known?.isOutdated ?? false,
    });
  }

  #pastTime(at: Timestamp): number {
    const atMs = timestampMs(at);
    if (atMs > this.#ports.clock.nowMs() + 60_000) throw invalid("That time has not come yet.");
    return atMs;
  }

  #span(from: Timestamp | undefined, to: Timestamp | undefined): { fromMs: number; toMs: number } {
    const toMs = to ? timestampMs(to) : this.#ports.clock.nowMs();
    const fromMs = from ? timestampMs(from) : toMs - 86_400_000;
    if (fromMs >= toMs) throw invalid("The time begins after it ends.");
    if (toMs - fromMs > LONGEST_TIME_MS) throw invalid("At most a year can be asked for.");
    return { fromMs, toMs };
  }
}

/** Nothing is said of healing at that time. */
export function topologyOf(graph: MeshGraph): wire.MeshTopology {
  const figures = figuresOfGraph(graph);
  return create(wire.MeshTopologySchema, {
    at: timestampOf(graph.atMs),
    nodes: [...graph.nodes.values()].map(toWireNode),
    links: [...graph.links.values()].map(toWireLink),
    summary: summaryOf(figures),
    partitions: toWirePartitions(figures.partitions),
  });
}

function requireId(id: string): string {
  if (id.length > MAX_ID_LENGTH) throw invalid("That is no id of a node or link.");
  return id;
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
