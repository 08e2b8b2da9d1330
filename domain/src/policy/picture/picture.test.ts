import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createAccessModel, formatPortSet, type PortRangePart } from "../access/index.ts";
import { groupHolds, portsHold, probeFlows } from "../access/testing.ts";
import { enforcedVerdict } from "../decision.ts";
import type { AddressRegion } from "../diff/index.ts";
import { evaluate } from "../evaluate.ts";
import type { FlowEnd, PolicyFlow } from "../evaluation.ts";
import type { Inventory, PolicyWorld } from "../model.ts";
import { proveTests } from "../proof/index.ts";
import { readPolicyFiles } from "../read.ts";
import { arbitraryWorld } from "../testing/index.ts";
import {
  defaultKeys,
  detailOf,
  type EnforcedAt,
  fillPicture,
  type PictureEdge,
  type PictureFlow,
  type PictureGrouping,
  type PictureInput,
  type PolicyPicture,
  pictureDot,
  pictureOf,
  pinnedTest,
  surveyPicture,
} from "./index.ts";

const WORLDS = Number(process.env.WARDLINE_ACCESS_WORLDS ?? 15);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_122);
const GROUPINGS: readonly PictureGrouping[] = [
  { by: "labels", keys: ["app"] },
  { by: "labels", keys: ["app", "zone"] },
  { by: "namespace" },
  { by: "host" },
  { by: "endpoint" },
];
const NOTHING: EnforcedAt = { kind: "nothing" };

function draw(world: PolicyWorld, more: Partial<PictureInput> = {}): PolicyPicture {
  const usual = { draft: createAccessModel(world), grouping: { by: "labels" as const, keys: ["app"] }, flows: [] };
  return pictureOf({ ...usual, enforcedAt: () => NOTHING, ...more });
}

/** What happens to packets; `null` = it is decided before any policy. */
function passes(world: PolicyWorld, flow: PolicyFlow): boolean | null {
  const { directions } = evaluate(world, flow);
  if (directions.some(({ decision }) => decision.reason === "builtin")) return null;
  return directions.every(({ decision }) => enforcedVerdict(decision) === "allow");
}

const holds = (ports: readonly PortRangePart[], flow: PolicyFlow) => ports.some((part) => portsHold(part, flow));

function nodeFinder(picture: PolicyPicture): (end: FlowEnd) => string | null {
  const ofKey = new Map(picture.nodes.flatMap(({ id, members }) => members.map(({ key }) => [key, id] as const)));
  const isIn = (regions: readonly AddressRegion[], end: FlowEnd) =>
    groupHolds({ family: 4, members: [], regions }, end);
  return (end) => {
    if (end.endpointKey !== null) return ofKey.get(end.endpointKey) ?? null;
    return picture.nodes.find(({ regions }) => isIn(regions, end))?.id ?? null;
  };
}

interface Probes {
  readonly ids: readonly [string, string];
  readonly flows: readonly PolicyFlow[];
}

/** Every probe, by the pair of the nodes of its ends. */
function probesByPair(picture: PolicyPicture, world: PolicyWorld, maxPorts: number): Probes[] {
  const nodeOf = nodeFinder(picture);
  const pairs = new Map<string, PolicyFlow[]>();
  for (const flow of probeFlows(world, { maxOutside: 8, maxPorts })) {
    const [from, to] = [nodeOf(flow.from), nodeOf(flow.to)];
    if (from === null || to === null) return expect.unreachable(`no node for ${JSON.stringify(flow)}`);
    const key = `${from}\n${to}`;
    pairs.set(key, [...(pairs.get(key) ?? []), flow]);
  }
  return [...pairs].map(([key, flows]) => ({ ids: key.split("\n") as [string, string], flows }));
}

function check(edge: PictureEdge, side: "draft" | "enforced", flow: PolicyFlow, isAllowed: boolean): void {
  const { access, ports } = edge[side];
  const said =
    access === "all"
      ? isAllowed
      : access === "none"
        ? !isAllowed
        : access === "some-ports"
          ? holds(ports, flow) === isAllowed
          : true;
  if (!said || (isAllowed && !holds(ports, flow)))
    expect.unreachable(`${side} ${access} ${formatPortSet(ports)} but ${isAllowed}: ${JSON.stringify(flow)}`);
}

describe("picture", () => {
  it("says of every pair of nodes what evaluate says of every connection", { timeout: 300_000 }, () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(arbitraryWorld({ maxPolicies: 4 }), fc.constantFrom(...GROUPINGS), (world, grouping) => {
        const picture = draw(world, { grouping });
        for (const { ids, flows } of probesByPair(picture, world, 8)) {
          const edge = picture.edgeBetween(...ids);
          if (!edge) return expect.unreachable(`no edge ${ids.join(" → ")}`);
          seen.set(edge.draft.access, (seen.get(edge.draft.access) ?? 0) + 1);
          for (const flow of flows) {
            const isAllowed = passes(world, flow);
            if (isAllowed !== null) check(edge, "draft", flow, isAllowed);
          }
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    for (const access of ["all", "some-ports", "some-members", "none"])
      expect(seen.get(access), access).toBeGreaterThan(1);
  });

  it("says what would open and close against what each host enforces", { timeout: 300_000 }, () => {
    let [opened, closed] = [0, 0];
    fc.assert(
      fc.property(arbitraryWorld({ maxPolicies: 4 }), arbitraryWorld({ maxPolicies: 4 }), (world, other) => {
        // The same hosts under other policies: inventories that differ are for the next test.
        const old = { ...other, inventory: world.inventory };
        const enforced: EnforcedAt = { kind: "world", model: createAccessModel(old) };
        const hostNames = [...new Set(world.inventory.endpoints.flatMap(({ hostName }) => hostName ?? []))].sort();
        // Every other host enforces nothing at all.
        const enforcing = new Set(hostNames.filter((_, index) => index % 2 === 0));
        const picture = draw(world, { enforcedAt: (name) => (enforcing.has(name) ? enforced : NOTHING) });
        const hostOf = new Map(world.inventory.endpoints.map(({ key, hostName }) => [key, hostName]));
        for (const { ids, flows } of probesByPair(picture, world, 8)) {
          const edge = picture.edgeBetween(...ids);
          if (!edge) return expect.unreachable(`no edge ${ids.join(" → ")}`);
          for (const flow of flows) {
            const now = passes(world, flow);
            if (now === null) continue;
            const before = evaluate(old, flow).directions.every(({ decision }, index) => {
              const key = (index === 0 ? flow.from : flow.to).endpointKey ?? "";
              return !enforcing.has(hostOf.get(key) ?? "") || enforcedVerdict(decision) === "allow";
            });
            check(edge, "enforced", flow, before);
            if (now && !before) opened += 1;
            if (before && !now) closed += 1;
            if (now && !before && !holds(edge.opens, flow)) expect.unreachable(`opens ${JSON.stringify(flow)}`);
            if (before && !now && !holds(edge.closes, flow)) expect.unreachable(`closes ${JSON.stringify(flow)}`);
          }
          const isShown = picture.edges.some(
            ({ sourceId, destinationId }) => sourceId === ids[0] && destinationId === ids[1],
          );
          if ((edge.opens.length > 0 || edge.closes.length > 0) && !isShown)
            expect.unreachable(`hidden ${ids.join(" → ")}`);
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    expect(Math.min(opened, closed)).toBeGreaterThan(WORLDS);
  });

  it("finds the smallest connections behind an edge, and pins it by a test that holds", () => {
    let pinned = 0;
    fc.assert(
      fc.property(arbitraryWorld({ maxPolicies: 3 }), (world) => {
        const picture = draw(world);
        const model = createAccessModel(world);
        const byId = new Map(picture.nodes.map((node) => [node.id, node]));
        for (const edge of picture.edges.slice(0, 12)) {
          const [source, destination] = [byId.get(edge.sourceId), byId.get(edge.destinationId)];
          if (!source || !destination) return expect.unreachable("an edge without a node");
          const { allowed, denied, allowing, denying } = detailOf(model, source, destination, edge);
          expect(allowed !== null).toBe(edge.draft.access !== "none");
          expect(denied !== null).toBe(edge.draft.access !== "all");
          expect(allowing.length > 0).toBe(allowed !== null);
          expect(denying.length > 0).toBe(denied !== null);
          const text = pinnedTest(world, source, destination, edge, picture.grouping, { allowed, denied });
          if (text !== null) {
            pinned += 1;
            const reading = readPolicyFiles([{ path: "pin.yaml", text }]);
            expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
            const failed = proveTests(world, reading.tests).cases.filter(({ status }) => status !== "holds");
            if (failed.length > 0) expect.unreachable(`${failed[0]?.status} ${failed[0]?.why}\n${text}`);
          }
          if (allowed) expect(passes(world, allowed)).toBe(true);
          if (denied) expect(passes(world, denied)).toBe(false);
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    expect(pinned).toBeGreaterThan(WORLDS);
  });
});

const SHOP = `
apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web}}
spec: {addresses: [10.0.0.1]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-2, labels: {app: web}}
spec: {addresses: [10.0.0.2]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [10.0.0.9]}
---
apiVersion: wardline.io/v1
kind: Policy
metadata: {name: db, namespace: default}
spec:
  subject: {selector: {matchLabels: {app: db}}}
  isolate: [ingress]
  ingress:
    - from: [{selector: {matchLabels: {app: web}}}]
      ports: [{port: 5432}]
    - from: [{ipBlock: {cidr: 192.168.0.0/16}}]
      ports: [{port: 22}]
`;

function worldOf(text: string): PolicyWorld {
  const reading = readPolicyFiles([{ path: "shop.yaml", text }]);
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return reading.world;
}

const FLOW: PictureFlow = {
  ...{
    sourceKey: "Host/web-1",
    sourceAddress: "10.0.0.1",
    destinationKey: "Host/db-1",
    destinationAddress: "10.0.0.9",
  },
  ...{ protocol: 6, port: 5432, connections: 7, deniedPackets: 0, observed: 0, firstSeenMs: 1_000, lastSeenMs: 5_000 },
};

const edgesOf = (picture: PolicyPicture) =>
  picture.edges.map(({ sourceId, destinationId, draft, classes }) => {
    return `${sourceId} → ${destinationId} ${draft.access} ${formatPortSet(draft.ports)} ${classes.join(" ")}`;
  });

describe("a small shop", () => {
  it("groups by the keys that policies select by, unless told otherwise", () => {
    expect(defaultKeys(worldOf(SHOP))).toEqual(["app"]);
  });

  const shop = worldOf(SHOP);
  const sameEverywhere = (world: PolicyWorld): EnforcedAt => ({ kind: "world", model: createAccessModel(world) });

  it("groups by what policies select by, names the networks that they name, and marks groups without any", () => {
    const picture = draw(shop, { grouping: { by: "labels", keys: ["app"] } });
    expect(picture.nodes.map(({ id, ingressMembers, egressMembers }) => [id, ingressMembers, egressMembers])).toEqual([
      ["group:default app=db", 1, 0],
      ["group:default app=web", 0, 0],
      ["net:192.168.0.0/16", 0, 0],
      ["mesh", 0, 0],
      ["world", 0, 0],
    ]);
  });

  it("tells used, extraneous, tried and changed edges apart", () => {
    const enforced = sameEverywhere(shop);
    const tried = { ...FLOW, port: 22, connections: 0, deniedPackets: 3 };
    const unused = draw(shop, { enforcedAt: () => enforced });
    expect(edgesOf(unused)).toEqual([
      "group:default app=web → group:default app=db some-ports 5432/tcp unused",
      "net:192.168.0.0/16 → group:default app=db some-ports 22/tcp unused",
    ]);
    const used = draw(shop, { enforcedAt: () => enforced, flows: [FLOW, tried] });
    expect(edgesOf(used)[0]).toBe("group:default app=web → group:default app=db some-ports 5432/tcp tried used");
    expect(used.edges[0]?.flows).toEqual({
      ...{
        connections: 7,
        deniedPackets: 3,
        observed: 0,
        wouldDeny: 0,
        wouldAllow: 0,
        firstSeenMs: 1_000,
        lastSeenMs: 5_000,
      },
    });
    // 5433 instead: what is used now would be cut off.
    const next = worldOf(SHOP.replace("5432", "5433"));
    const [changed] = draw(next, { enforcedAt: () => enforced, flows: [FLOW] }).edges;
    expect(changed?.classes).toEqual(["would-close", "would-open"]);
    expect([changed?.opens, changed?.closes].map((ports) => formatPortSet(ports ?? []))).toEqual([
      "5433/tcp",
      "5432/tcp",
    ]);
    expect(changed?.flows.wouldDeny).toBe(7);
  });

  it("does not know what a host enforces that nobody can ask", () => {
    const picture = draw(shop, { enforcedAt: (name) => (name === "db-1" ? { kind: "unknown" } : NOTHING) });
    const edge = picture.edgeBetween("group:default app=web", "group:default app=db");
    expect([edge?.enforced.access, edge?.enforced.unknownPairs, edge?.classes]).toEqual([
      "unknown",
      2,
      ["unused", "unknown"],
    ]);
    expect(picture.nodes.map(({ unknownMembers }) => unknownMembers)).toEqual([1, 0, 0, 0, 0]);
  });

  it("follows an address that changes hands", () => {
    const renamed = worldOf(SHOP.replaceAll("db-1", "store-1"));
    const enforced = sameEverywhere(shop);
    const picture = draw(renamed, { enforcedAt: () => enforced });
    expect(picture.edges.every(({ opens, closes }) => opens.length + closes.length === 0)).toBe(true);
  });

  it("puts groups together when there are too many, and says so", () => {
    const picture = draw(shop, { grouping: { by: "endpoint" }, maxNodes: 1 });
    expect(picture.nodes[0]?.id).toBe("namespace:default");
    expect(picture.notes).toEqual([
      "3 groups by endpoint are more than 1: grouped by app.",
      "2 groups by app are more than 1: grouped by namespace.",
    ]);
  });

  it("shows the same nodes for the same inventory whatever the flows", () => {
    const ids = (picture: PolicyPicture) => picture.nodes.map(({ id }) => id);
    const stranger: PictureFlow = { ...FLOW, sourceKey: null, sourceAddress: "203.0.113.9" };
    const picture = draw(shop, { flows: [stranger] });
    expect(ids(picture)).toEqual(ids(draw(shop)));
    expect(picture.edges.find(({ sourceId }) => sourceId === "world")?.flows.wouldDeny).toBe(7);
  });

  it("goes on from what it knows: other flows in a survey are the picture drawn from nothing", () => {
    const finish = <Result>(steps: Generator<void, Result>): Result => {
      for (;;) {
        const step = steps.next();
        if (step.done) return step.value;
      }
    };
    const said = ({ nodes, edges, notes, unrestrictedPairs, edgesLeftOut }: PolicyPicture) => ({
      ...{ nodes, edges, notes, unrestrictedPairs, edgesLeftOut },
    });
    let usedOpen = 0;
    fc.assert(
      fc.property(
        arbitraryWorld({ maxPolicies: 4 }),
        fc.constantFrom(...GROUPINGS),
        fc.integer({ min: 0, max: 12 }),
        (world, grouping, maxEdges) => {
          const draft = createAccessModel(world);
          const survey = finish(surveyPicture({ draft, grouping, enforcedAt: () => NOTHING }));
          const ends = world.inventory.endpoints.flatMap(({ key, addresses: [address] }) =>
            address === undefined ? [] : [{ key, address }],
          );
          const talks = ends.flatMap((from, index): PictureFlow[] =>
            ends.slice(index + 1, index + 3).map((to, away) => ({
              ...{ ...FLOW, connections: 1 + index, port: 100 * (away + 1) },
              ...{ sourceKey: from.key, sourceAddress: from.address },
              ...{ destinationKey: to.key, destinationAddress: to.address },
            })),
          );
          for (const flows of [talks, [], talks.slice(1)]) {
            const filled = finish(fillPicture(survey, flows, maxEdges));
            expect(said(filled)).toEqual(said(draw(world, { draft, grouping, flows, maxEdges })));
            usedOpen += filled.edges.filter(({ isUnrestricted }) => isUnrestricted).length;
          }
        },
      ),
      { numRuns: WORLDS, seed: SEED },
    );
    expect(usedOpen).toBeGreaterThan(0);
  });

  it("is a graph in which no name is markup", () => {
    const picture = draw(shop);
    const [node] = picture.nodes;
    if (!node) throw new Error("The shop has no group.");
    const name = `x"]; evil -> "db\\\n\u202e`;
    const dot = pictureDot({ ...picture, nodes: [{ ...node, name }, ...picture.nodes.slice(1)] });
    expect(dot).toContain(`[label="x\\"]; evil -> \\"db\\\\  "];`);
    expect(dot).toContain('"group:default app=web" -> "group:default app=db" [label="5432/tcp"];');
    expect(dot.split("\n").filter((line) => line.includes(" -> ") && !line.includes("[label="))).toEqual([]);
  });

  it("is empty for an empty world", () => {
    const inventory: Inventory = { endpoints: [], namespaces: new Map(), domainAddresses: new Map() };
    const picture = draw({ policies: [], inventory });
    expect(picture.edges).toEqual([]);
    expect(picture.nodes.map(({ id }) => id)).toEqual(["mesh", "world"]);
  });
});
