/**
 * The picture of the policy over 500 groups: what drawing it costs when the draft is new, when only flows are, and what
 * looking behind one of its edges costs. Processor time of the thread; the longest step is how long anything else of the
 * backend waits for it. The window is measured by `workbenchPictureWindow`.
 *
 * The peer answers the same "who may reach whom" without a picture: one `reach` question for each group, as a table of
 * allowed rows, measured for some groups and multiplied to all.
 */
import { createAccessModel, reach } from "@wardline/domain/policy/access";
import {
  detailOf,
  type EnforcedAt,
  fillPicture,
  type PictureFlow,
  type PictureGrouping,
  surveyPicture,
} from "@wardline/domain/policy/picture";
import { publish } from "./lib/publish.ts";
import { afterADay, makeServiceWorld } from "./lib/serviceWorlds.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 7);
const GROUPS = 500;
const SIZE = {
  policies: Number(process.env.WARDLINE_BENCH_POLICIES ?? 3_000),
  hosts: Number(process.env.WARDLINE_BENCH_HOSTS ?? 2_500),
};
const TALKS = 5_000;
const PEER_GROUPS = 10;
const GROUPING: PictureGrouping = { by: "labels", keys: ["app"] };
const NOW_MS = 1_790_000_000_000;

const samples = new Map<string, number[]>();
let longestStepMs = 0;

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

function measure<Result>(name: string, body: () => Result): Result {
  const before = processorMs();
  const result = body();
  samples.set(name, [...(samples.get(name) ?? []), processorMs() - before]);
  return result;
}

function inSteps<Result>(name: string, start: () => Generator<void, Result>): Result {
  return measure(name, () => {
    const steps = start();
    for (;;) {
      const before = processorMs();
      const step = steps.next();
      longestStepMs = Math.max(longestStepMs, processorMs() - before);
      if (step.done) return step.value;
    }
  });
}

const enforcedWorld = makeServiceWorld(SIZE);
const draftWorld = afterADay(enforcedWorld);
const { endpoints } = draftWorld.inventory;
const flows = Array.from({ length: TALKS }, (_, index): PictureFlow => {
  const [source, destination] = [
    endpoints[(index * 7_919) % endpoints.length],
    endpoints[(index * 104_729 + 13) % endpoints.length],
  ];
  return {
    ...{ sourceKey: source?.key ?? null, sourceAddress: source?.addresses[0] ?? "192.0.2.1" },
    ...{ destinationKey: destination?.key ?? null, destinationAddress: destination?.addresses[0] ?? "192.0.2.2" },
    ...{
      protocol: 6,
      port: 1_024 + (index % 9_000),
      connections: 1 + (index % 50),
      deniedPackets: index % 3,
      observed: 0,
    },
    ...{ firstSeenMs: NOW_MS, lastSeenMs: NOW_MS + index },
  };
}).filter(({ sourceAddress, destinationAddress }) => sourceAddress !== destinationAddress);

let size = { nodes: 0, edges: 0, leftOut: 0 };
for (let round = 0; round < ROUNDS; round++) {
  const draft = measure("prepare the draft", () => createAccessModel(draftWorld));
  const enforced: EnforcedAt = { kind: "world", model: createAccessModel(enforcedWorld) };
  const input = { draft, grouping: GROUPING, enforcedAt: () => enforced, flows, maxNodes: GROUPS + 200 };
  const survey = inSteps("survey a new draft", () => surveyPicture(input));
  const picture = inSteps("fill it with flows", () => fillPicture(survey, flows));
  inSteps("fill it with other flows", () => fillPicture(survey, flows.slice(1)));
  size = { nodes: picture.nodes.length, edges: picture.edges.length, leftOut: picture.edgesLeftOut };
  const byId = new Map(picture.nodes.map((node) => [node.id, node]));
  const edge = picture.edges[round * 31];
  const [source, destination] = [byId.get(edge?.sourceId ?? ""), byId.get(edge?.destinationId ?? "")];
  if (edge && source && destination) measure("look behind an edge", () => detailOf(draft, source, destination, edge));
  const groups = picture.nodes
    .filter(({ members }) => members.length > 0)
    .slice(round * PEER_GROUPS, (round + 1) * PEER_GROUPS);
  for (const { members } of groups) {
    const to = { kind: "keys" as const, keys: members.map(({ key }) => key) };
    measure("peer: one group", () => reach(draft, { from: { kind: "any" }, to }));
  }
}

const times = (name: string): number[] => samples.get(name) ?? [];
const peerPerRound = Array.from({ length: ROUNDS }, (_, round) => {
  const groups = times("peer: one group").slice(round * PEER_GROUPS, (round + 1) * PEER_GROUPS);
  return (groups.reduce((sum, ms) => sum + ms, 0) / Math.max(1, groups.length)) * size.nodes;
});

const drawn = times("survey a new draft").map((ms, index) => ms + (times("fill it with flows")[index] ?? 0));

publish("workbenchPicture", {
  what: "Drawing the picture of the policy, in ms of processor time; the ratio is that of one question per group to the picture.",
  method: `${ROUNDS} rounds, each with models that were not asked yet; the peer on ${PEER_GROUPS} groups in each round, multiplied to all. Not measured on a quiet machine; processor time only.`,
  world: { ...SIZE, talks: flows.length, shape: "services: bench/src/lib/serviceWorlds.ts" },
  picture: size,
  longestStepMs: Math.round(longestStepMs * 10) / 10,
  drawAllMs: rounded(summarize(drawn), 1),
  processorMs: Object.fromEntries([...samples].map(([name, values]) => [name, rounded(summarize(values), 1)])),
  ratioOfPeerToPicture: rounded(summarizeRatios(peerPerRound, drawn), 1),
});
