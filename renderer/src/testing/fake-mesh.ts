/** The part of the fake backend that is about meshes: five hosts and what is known from them, and large, hostile and old ones. */
import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { type DecideHealingRequest, HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import {
  type AddMeshPeerRequest,
  type ConfigureMeshHealingRequest,
  type DecideMeshHealingRequest,
  type FindMeshPathRequest,
  type GetMeshAtRequest,
  type GetMeshSeriesRequest,
  HostHealingRunSchema,
  type ListMeshChangesRequest,
  type MeshLink,
  type MeshNode,
  MeshNodeState,
  MeshSummarySchema,
  type MeshTopology,
  MeshTopologySchema,
  type RemoveMeshPeerRequest,
} from "@wardline/api/wardline/console/v1/mesh";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { type HealingRun, HealingRunSchema, HealingState } from "@wardline/api/wardline/v1/mesh";
import { healingStatus, runsOf } from "./fake-mesh-healing.ts";
import { changesOf, observationOf, topologyOf } from "./fake-mesh-topology.ts";
import { failure } from "./fake-workspace.ts";

/** `old`: the backend has no service for meshes; `none`: it has, and no host has a mesh. */
export type MeshKind = "old" | "none" | "mesh" | "healing" | "large" | "hostile" | "outdated";

interface Ports {
  readonly notify: () => void;
  readonly gate: () => Promise<void>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export class FakeMesh {
  readonly kind: MeshKind;
  readonly #ports: Ports;
  /** What a person asked for, for tests. */
  readonly asked: string[] = [];
  readonly topology: MeshTopology;
  runs: HealingRun[];
  healing = healingStatus();
  #wake: (() => void)[] = [];
  #extra: { readonly nodes: MeshNode[]; readonly links: MeshLink[]; readonly goneLinkIds: string[] } | null = null;

  constructor(kind: MeshKind, ports: Ports) {
    this.kind = kind;
    this.#ports = ports;
    this.topology = topologyOf(kind, Date.now());
    this.runs = kind === "healing" || kind === "hostile" ? runsOf(Date.now(), kind === "hostile") : [];
  }

  /** The part of `WatchActivityResponse`. */
  summary() {
    const { summary } = this.topology;
    if (this.kind === "old" || !summary) return undefined;
    const needs = this.runs.filter(
      ({ state, endedAt }) =>
        state === HealingState.WAITING_FOR_APPROVAL || (state === HealingState.ESCALATED && endedAt === undefined),
    );
    return create(MeshSummarySchema, {
      ...summary,
      runs: this.runs.map((run) => create(HostHealingRunSchema, { hostId: "host-web-1", run })),
      needingPerson: needs.length,
      healing: this.kind === "none" ? [] : [this.healing],
    });
  }

  /** For tests: what changes is sent as the backend sends it. */
  change(nodes: MeshNode[], links: MeshLink[], goneLinkIds: string[] = []): void {
    for (const node of nodes) upsert(this.topology.nodes, node);
    for (const link of links) upsert(this.topology.links, link);
    this.topology.links = this.topology.links.filter(({ id }) => !goneLinkIds.includes(id));
    this.#extra = { nodes, links, goneLinkIds };
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** For tests: a node changes its state and one of its links is lost. */
  lose(nodeId: string): void {
    const node = this.topology.nodes.find(({ id }) => id === nodeId);
    const link = this.topology.links.find(({ a, b }) => a === nodeId || b === nodeId);
    if (!node || !link) throw new Error(`No node ${nodeId} with a link.`);
    this.change([{ ...node, state: MeshNodeState.OFFLINE }], [{ ...link, up: false }]);
  }

  service() {
    const { gate } = this.#ports;
    return {
      watchMesh: () => this.#watch(),
      getMeshAt: async ({ at }: GetMeshAtRequest) => {
        await gate();
        const atMs = at ? timestampMs(at) : 0;
        const earliestMs = Date.now() - 40 * 24 * HOUR_MS;
        this.asked.push("at");
        const topology = clone(MeshTopologySchema, this.topology);
        topology.at = timestampFromMs(atMs);
        const [, second] = topology.nodes;
        if (second) Object.assign(second, { state: MeshNodeState.OFFLINE, problems: ["It was down then."] });
        const gaps = [
          { from: timestampFromMs(Date.now() - 40 * MINUTE_MS), to: timestampFromMs(Date.now() - 34 * MINUTE_MS) },
        ];
        return { topology, earliest: timestampFromMs(earliestMs), gaps };
      },
      listMeshChanges: async ({ id, limit, from, to }: ListMeshChangesRequest) => {
        await gate();
        const fromMs = from ? timestampMs(from) : 0;
        const toMs = to ? timestampMs(to) : Date.now();
        const all = changesOf(this.topology, Date.now()).filter((change) => id === "" || change.id === id);
        const inTime = all.filter(({ at }) => at !== undefined && timestampMs(at) >= fromMs && timestampMs(at) <= toMs);
        const counts = Array.from({ length: 120 }, (_, index) => ((index * 7919) % 23 === 0 ? (index % 9) + 1 : 0));
        return {
          changes: inTime.slice(0, limit || 200),
          total: BigInt(inTime.length),
          counts,
          earliest: timestampFromMs(Date.now() - 40 * 24 * HOUR_MS),
        };
      },
      getMeshSeries: async (request: GetMeshSeriesRequest) => {
        await gate();
        return seriesOf(request, this.topology);
      },
      findMeshPath: async (request: FindMeshPathRequest) => {
        await gate();
        return this.#paths(request);
      },
      getMeshOfHost: async ({ hostId }: { hostId: string }) => {
        await gate();
        if (this.kind === "outdated") return { isOutdated: true };
        return {
          observation: observationOf(hostId, this.kind, Date.now()),
          receivedAt: timestampFromMs(Date.now() - 800),
        };
      },
      addMeshPeer: async ({ hostId, request }: AddMeshPeerRequest) => {
        await gate();
        const uri = request?.uri ?? "";
        if (!/^(tcp|tls|quic|wss?):\/\//.test(uri))
          throw failure(
            ErrorCode.INVALID_ARGUMENT,
            Code.InvalidArgument,
            `${uri} is not a URI that the daemon dials.`,
            "Begin it with tcp://, tls://, quic://, ws:// or wss://.",
          );
        this.asked.push(`add ${hostId} ${uri} ${request?.dryRun ? "dry" : "done"} ${request?.reason ?? ""}`.trim());
        return { response: { effects: [`${uri} is dialled at once and after each loss.`, "Its routes may change."] } };
      },
      removeMeshPeer: async ({ hostId, request }: RemoveMeshPeerRequest) => {
        await gate();
        if (!request?.allowCutOff)
          throw failure(
            ErrorCode.WOULD_LOCK_OUT,
            Code.FailedPrecondition,
            "It is the last peer of this host: it would leave the mesh.",
            "Add another peer first.",
          );
        this.asked.push(`remove ${hostId} ${request.uri} ${request.dryRun ? "dry" : "done"}`);
        return { response: { effects: ["The host leaves the mesh until somebody adds a peer."] } };
      },
      decideMeshHealing: async ({ request }: DecideMeshHealingRequest) => {
        await gate();
        return { run: this.#decide(request) };
      },
      configureMeshHealing: async ({ settings }: ConfigureMeshHealingRequest) => {
        await gate();
        this.asked.push(`mode ${settings?.mode} ask ${settings?.askBefore.join(",")}`);
        this.healing = { ...this.healing, ...(settings ? { settings } : {}) };
        this.#ports.notify();
        return settings ? { settings } : {};
      },
    };
  }

  async *#watch() {
    await this.#ports.gate();
    yield { sequence: 1n, topology: this.topology, at: timestampFromMs(Date.now()) };
    for (let sequence = 2n; ; sequence += 1n) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
      yield { sequence, ...this.#extra, at: timestampFromMs(Date.now()) };
    }
  }

  #decide(request: DecideHealingRequest | undefined): HealingRun {
    const run = this.runs.find(({ id }) => id === request?.runId);
    if (!run || !request) throw failure(ErrorCode.NOT_FOUND, Code.NotFound, "There is no such run any more.");
    this.asked.push(
      `${HealingDecision[request.decision]} ${run.id} ${request.candidate ?? "-"} ${request.reason}`.trim(),
    );
    const isStop = request.decision === HealingDecision.STOP;
    const changed = Object.assign(clone(HealingRunSchema, run), {
      state: isStop ? HealingState.STOPPED : HealingState.EXECUTING,
      approvedBy: "lena",
      ...(isStop ? { endedAt: timestampFromMs(Date.now()) } : {}),
    });
    this.runs = this.runs.map((other) => (other === run ? changed : other));
    this.#ports.notify();
    return changed;
  }

  #paths({ from, to, count }: FindMeshPathRequest) {
    const find = (text: string) => this.topology.nodes.find(({ id, label }) => id === text || label === text);
    const [start, end] = [find(from), find(to)];
    this.asked.push(`path ${from} ${to} ${count}`);
    if (!start || !end)
      throw failure(
        ErrorCode.NOT_FOUND,
        Code.NotFound,
        `No node is called ${start ? to : from}.`,
        "Take one of the table.",
      );
    const path = shortest(this.topology, start.id, end.id);
    const around = shortest(this.topology, start.id, end.id, new Set(path.map(({ id }) => id)));
    const hops = (links: readonly MeshLink[]) => {
      let at = start.id;
      return links.map((link) => {
        const next = link.a === at ? link.b : link.a;
        const direction = link.a === at ? link.aToB : link.bToA;
        const hop = { linkId: link.id, from: at, to: next, ...(direction ? { direction } : {}) };
        at = next;
        return hop;
      });
    };
    const paths = [path, around]
      .filter((links) => links.length > 0)
      .map((links, index) => ({
        hops: hops(links),
        cost: links.length * 1.3,
        latencyMs: links.length * 3.1,
        loss: 0.001,
        isObserved: index === 0,
      }));
    return {
      paths,
      limitedBy: paths.length < count ? `There are only ${paths.length} ways that share no link.` : "",
      singlePoints: around.length === 0 ? path.map(({ id }) => id) : [],
    };
  }
}

function upsert<Item extends { readonly id: string }>(items: Item[], item: Item): void {
  const index = items.findIndex(({ id }) => id === item.id);
  if (index < 0) items.push(item);
  else items[index] = item;
}

function shortest(
  { links }: MeshTopology,
  start: string,
  end: string,
  without: ReadonlySet<string> = new Set(),
): MeshLink[] {
  const reached = new Map<string, readonly MeshLink[]>([[start, []]]);
  const queue = [start];
  for (const at of queue) {
    if (at === end) break;
    for (const link of links) {
      if (!link.up || without.has(link.id) || (link.a !== at && link.b !== at)) continue;
      const next = link.a === at ? link.b : link.a;
      if (reached.has(next)) continue;
      reached.set(next, [...(reached.get(at) ?? []), link]);
      queue.push(next);
    }
  }
  return [...(reached.get(end) ?? [])];
}

function seriesOf({ id, from, to }: GetMeshSeriesRequest, topology: MeshTopology) {
  const fromMs = from ? timestampMs(from) : 0;
  const stepMs = ((to ? timestampMs(to) : fromMs) - fromMs) / 60;
  const times = Array.from({ length: 60 }, (_, index) => timestampFromMs(fromMs + index * stepMs));
  const wave = (base: number, swing: number, shift: number) =>
    times.map((_, index) =>
      index > 20 && index < 24 ? Number.NaN : base + swing * Math.abs(Math.sin((index + shift) / 5)),
    );
  const isLink = topology.links.some((link) => link.id === id);
  if (!isLink)
    return {
      times,
      series: [
        { measure: "latency_ms", direction: "", values: wave(4, 2, 0) },
        { measure: "links_up", direction: "", values: wave(3, 0, 0) },
      ],
    };
  return {
    times,
    series: [
      { measure: "latency_ms", direction: "a→b", values: wave(3, 2, 0) },
      { measure: "latency_ms", direction: "b→a", values: wave(3.4, 4, 8) },
      { measure: "loss", direction: "a→b", values: wave(0, 0.01, 2) },
      { measure: "loss", direction: "b→a", values: wave(0.02, 0.06, 4) },
      { measure: "score", direction: "a→b", values: wave(88, 6, 0) },
      { measure: "score", direction: "b→a", values: wave(58, 12, 8) },
    ],
  };
}
