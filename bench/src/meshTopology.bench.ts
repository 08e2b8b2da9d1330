/**
 * The picture of a mesh of 2,000 hosts and 10,000 links: what one word of a host costs, what a link that goes down costs, with all
 * that hangs on it, and how long a question for three edge-disjoint ways takes.
 *
 * The peer is graphology, put together anew from the same words and walked through with its own iterators: nodes, links, parts,
 * and three ways by removing the shortest each time, which is less than a disjoint-path search finds.
 */
import type { MeshObservation } from "@wardline/api/wardline/v1/mesh";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { findPaths, hostNodeId, MeshTopologyBuilder, structureOfGraph } from "@wardline/domain/mesh";
import { Fleet, keyAt, nameAt, peerOf } from "@wardline/domain/mesh/testing";
import { UndirectedGraph } from "graphology";
import { fromEnvironment } from "./lib/measuring.ts";
import { publish } from "./lib/publish.ts";
import { rounded, type Summary, summarize } from "./lib/statistics.ts";

const HOSTS = fromEnvironment("HOSTS", 2_000);
const LINKS = fromEnvironment("LINKS", 10_000);
const ROUNDS = fromEnvironment("ROUNDS", 200);
const PEER_ROUNDS = fromEnvironment("PEER_ROUNDS", 20);
const WAYS = 3;

/** Both clocks: what a user waits, and what the thread worked while others used the processor. */
interface Timed {
  readonly elapsedMs: number;
  readonly processorMs: number;
}

function timed(work: () => unknown): Timed {
  const processor = process.threadCpuUsage();
  const start = performance.now();
  work();
  const elapsedMs = performance.now() - start;
  const { user, system } = process.threadCpuUsage(processor);
  return { elapsedMs, processorMs: (user + system) / 1000 };
}

function summary(samples: readonly Timed[]): { elapsedMs: Summary; processorMs: Summary } {
  return {
    elapsedMs: rounded(summarize(samples.map(({ elapsedMs }) => elapsedMs)), 3),
    processorMs: rounded(summarize(samples.map(({ processorMs }) => processorMs)), 3),
  };
}

let seed = 8;
/** 0 to below `below`; the same in every run. */
function draw(below: number): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}

/** A ring, so that it is one mesh, and links at random. */
function neighboursOfAll(): ReadonlySet<number>[] {
  const neighbours = Array.from({ length: HOSTS }, () => new Set<number>());
  const join = (one: number, other: number): boolean => {
    if (one === other || neighbours[one]!.has(other)) return false;
    neighbours[one]!.add(other);
    neighbours[other]!.add(one);
    return true;
  };
  for (let host = 0; host < HOSTS; host++) join(host, (host + 1) % HOSTS);
  for (let links = HOSTS; links < LINKS; ) if (join(draw(HOSTS), draw(HOSTS))) links++;
  return neighbours;
}

const neighbours = neighboursOfAll();
const fleet = new Fleet();
const newest = new Map<number, MeshObservation>();

/** `lost`: a neighbour that it sees down. */
function word(host: number, lost = -1): MeshObservation {
  const peers = [...neighbours[host]!].map((other) =>
    peerOf(other, { latencyMs: 1 + draw(20_000) / 100, up: other !== lost }),
  );
  const said = fleet.next(host, { peers });
  newest.set(host, said);
  return said;
}

let nowMs = 1_000_000;
const builder = new MeshTopologyBuilder();
const all = Array.from({ length: HOSTS }, (_, host) => ({ observation: word(host) }));
const whole = timed(() => builder.observeAll(all, nowMs));
expectSize(builder.topology().links.size, LINKS);

function expectSize(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${found} and not ${wanted}`);
}

/** The word is made before the clock starts, as it comes decoded. */
function observe(host: number, lost?: number): Timed {
  const said = word(host, lost);
  nowMs += 1;
  return timed(() => builder.observe(said, nowMs));
}

const figuresOnly: Timed[] = [];
const linkDown: Timed[] = [];
const linkUp: Timed[] = [];
const linkDownWithSummary: Timed[] = [];
const topology: Timed[] = [];
for (let round = 0; round < ROUNDS; round++) {
  figuresOnly.push(observe(draw(HOSTS)));
  const host = draw(HOSTS);
  const [lost = 0] = neighbours[host]!;
  const said = word(host, lost);
  nowMs += 1;
  let downMs: Timed = { elapsedMs: 0, processorMs: 0 };
  linkDownWithSummary.push(
    timed(() => {
      downMs = timed(() => builder.observe(said, nowMs));
      builder.figures();
    }),
  );
  linkDown.push(downMs);
  expectSize(builder.figures().linksLost, 1);
  topology.push(timed(() => builder.topology()));
  linkUp.push(observe(host));
}
const tick = Array.from({ length: ROUNDS }, () => timed(() => builder.tick(++nowMs)));

const query = () => ({
  from: hostNodeId(nameAt(draw(HOSTS))),
  to: hostNodeId(nameAt(draw(HOSTS))),
  provider: null,
  count: WAYS,
});
const pathsFirst: Timed[] = [];
const pathsAgain: Timed[] = [];
const structure: Timed[] = [];
let found = 0;
for (let round = 0; round < ROUNDS; round++) {
  observe(draw(HOSTS));
  const graph = builder.topology();
  pathsFirst.push(timed(() => (found += findPaths(graph, query()).paths.length)));
  pathsAgain.push(timed(() => (found += findPaths(graph, query()).paths.length)));
  if (round < PEER_ROUNDS) structure.push(timed(() => structureOfGraph(graph, MeshProvider.YGGDRASIL)));
}

/** What a straightforward program does at each word: everything anew. */
function rebuild(): UndirectedGraph {
  const graph = new UndirectedGraph();
  for (const host of newest.keys()) graph.addNode(keyAt(host));
  for (const [host, { providers }] of newest) {
    for (const { key, up, latencyMs } of providers[0]?.peers ?? []) {
      if (up) graph.mergeEdge(keyAt(host), key, { weight: latencyMs });
    }
  }
  return graph;
}

function partsOf(graph: UndirectedGraph): number {
  const seen = new Set<string>();
  let parts = 0;
  graph.forEachNode((first) => {
    if (seen.has(first)) return;
    parts++;
    const waiting = [first];
    seen.add(first);
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      graph.forEachNeighbor(node, (other) => {
        if (seen.has(other)) return;
        seen.add(other);
        waiting.push(other);
      });
    }
  });
  return parts;
}

/** By hops, in a copy: its edges are taken away. */
function greedyWays(graph: UndirectedGraph, from: string, to: string): number {
  const left = graph.copy();
  for (let ways = 0; ways < WAYS; ways++) {
    const cameBy = new Map([[from, ""]]);
    for (const node of cameBy.keys()) {
      if (cameBy.has(to)) break;
      left.forEachNeighbor(node, (other) => {
        if (!cameBy.has(other)) cameBy.set(other, node);
      });
    }
    if (!cameBy.has(to)) return ways;
    for (let node = to; node !== from; ) {
      const before = cameBy.get(node) ?? from;
      left.dropEdge(before, node);
      node = before;
    }
  }
  return WAYS;
}

const peerUpdate: Timed[] = [];
const peerPaths: Timed[] = [];
for (let round = 0; round < PEER_ROUNDS; round++) {
  let graph = new UndirectedGraph();
  peerUpdate.push(
    timed(() => {
      graph = rebuild();
      expectSize(partsOf(graph), 1);
    }),
  );
  expectSize(graph.size, LINKS);
  peerPaths.push(timed(() => greedyWays(graph, keyAt(draw(HOSTS)), keyAt(draw(HOSTS)))));
}

publish("meshTopology", {
  size: { hosts: HOSTS, links: LINKS, waysAskedFor: WAYS, meanWaysFound: found / (2 * ROUNDS) },
  wardline: {
    allHostsAtOnce: summary([whole]),
    oneWordWithNewFigures: summary(figuresOnly),
    oneLinkDown: summary(linkDown),
    oneLinkDownAndSummaryWithDiameter: summary(linkDownWithSummary),
    oneLinkUp: summary(linkUp),
    tickWithoutChange: summary(tick),
    pictureAfterAChange: summary(topology),
    pathsInANewPicture: summary(pathsFirst),
    pathsInAKnownPicture: summary(pathsAgain),
    structureOfAKnownPicture: summary(structure),
  },
  graphologyRebuiltFromScratch: { version: "0.26.0", oneWord: summary(peerUpdate), greedyPaths: summary(peerPaths) },
});
