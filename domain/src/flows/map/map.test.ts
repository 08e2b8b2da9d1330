import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../policy/model.ts";
import { buildServiceMap, buildServiceMaps } from "./build.ts";
import { compareServiceMaps, totalOfMap } from "./compare.ts";
import type { MapInventory } from "./ends.ts";
import { type FlowSums, MAX_PORTS_OF_PAIR, type MapGrouping, type MapSums, type ServiceMap } from "./model.ts";

function endpoint(key: string, labels: Record<string, string>, addresses: string[], hostName: string | null): Endpoint {
  const [kind = "", ...rest] = key.split("/");
  return {
    key,
    kind: kind === "Host" ? "host" : "workload",
    name: rest.at(-1) ?? "",
    namespace: "default",
    labels: new Map(Object.entries(labels)),
    addresses,
    ports: [],
    hostName,
    match: null,
    source: null,
  };
}

const INVENTORY: MapInventory = {
  inventory: {
    endpoints: [
      endpoint("Host/web-1", { app: "web" }, ["192.0.2.10"], "web-1"),
      endpoint("Host/web-2", { app: "web" }, ["192.0.2.11"], "web-2"),
      endpoint("Host/db-1", { app: "db" }, ["192.0.2.20"], "db-1"),
      endpoint("Workload/default/nginx", { app: "nginx" }, [], "web-1"),
      endpoint("Workload/default/cron", {}, [], "web-1"),
    ],
  },
  nameOf: (address) => (address === "203.0.113.9" ? "api.example.com" : ""),
};
const BY_HOST = { grouping: { by: "host" } as MapGrouping, maxNodes: 1_000 };

function counts(changes: Partial<FlowSums>): FlowSums {
  return {
    ...{ records: 1, connections: 1, deniedPackets: 0, packets: 4, originatorBytes: 100, responderBytes: 1_000 },
    ...{ firstSeenMs: 1_000, lastSeenMs: 2_000, ...changes },
  };
}

/** `web-1` to `db-1` on tcp/5432, as `web-1` saw it. */
function sums(changes: Partial<MapSums> = {}, amounts: Partial<FlowSums> = {}): MapSums {
  return {
    host: "web-1",
    direction: "egress",
    sourceAddress: "192.0.2.10",
    destinationAddress: "192.0.2.20",
    protocol: 6,
    port: 5432,
    verdict: "allow",
    policyKeys: ["NetworkPolicy/default/db"],
    subjectKey: "Host/web-1",
    sums: counts(amounts),
    ...changes,
  };
}
const seenByDb = { host: "db-1", direction: "ingress" as const, subjectKey: "Host/db-1" };
const edgesOf = ({ edges }: ServiceMap) =>
  edges.map(
    (edge) =>
      `${edge.sourceId} > ${edge.destinationId} ${edge.protocol}/${edge.port} ${edge.allowed.connections}+${edge.denied.deniedPackets}`,
  );

describe("buildServiceMap", () => {
  it("counts what both hosts saw once, from the larger view", () => {
    const map = buildServiceMap([sums({}, { connections: 7 }), sums(seenByDb, { connections: 9 })], INVENTORY, BY_HOST);
    expect(edgesOf(map)).toEqual(["host:web-1 > host:db-1 6/5432 9+0"]);
    expect(map.edges[0]).toMatchObject({ isSeenByBoth: true, policyKeys: ["NetworkPolicy/default/db"] });
    expect(map.nodes.map(({ id, kind, members, addresses }) => [id, kind, members, addresses])).toEqual([
      ["host:db-1", "host", 1, ["192.0.2.20"]],
      ["host:web-1", "host", 1, ["192.0.2.10"]],
    ]);
  });
  it("counts what the responder denied as denied, although the originator let it out", () => {
    const denied = sums({ ...seenByDb, verdict: "deny" }, { connections: 0, deniedPackets: 6 });
    const map = buildServiceMap([sums({}, { connections: 3 }), denied], INVENTORY, BY_HOST);
    expect(edgesOf(map)).toEqual(["host:web-1 > host:db-1 6/5432 0+6"]);
  });
  it("counts what either denied, because neither saw the other's", () => {
    const out = sums({ verdict: "deny" }, { connections: 0, deniedPackets: 2 });
    const in_ = sums({ ...seenByDb, verdict: "deny" }, { connections: 0, deniedPackets: 5 });
    const allowed = sums(seenByDb, { connections: 4 });
    expect(edgesOf(buildServiceMap([out, in_, allowed], INVENTORY, BY_HOST))).toEqual([
      "host:web-1 > host:db-1 6/5432 4+7",
    ]);
  });
  it("a host that talks to itself sees both ends alone", () => {
    const self = { destinationAddress: "192.0.2.10" };
    const map = buildServiceMap([sums(self), sums({ ...self, direction: "ingress" })], INVENTORY, BY_HOST);
    expect(edgesOf(map)).toEqual(["host:web-1 > host:web-1 6/5432 1+0"]);
    expect(map.edges[0]?.isSeenByBoth).toBe(false);
  });
  it("groups by workload, each end named by its own host", () => {
    const nginx = sums({ subjectKey: "Workload/default/nginx" }, { connections: 5 });
    const cron = sums({ subjectKey: "Workload/default/cron" }, { connections: 2 });
    const map = buildServiceMap([nginx, cron, sums(seenByDb, { connections: 7 })], INVENTORY, {
      grouping: { by: "workload" },
      maxNodes: 100,
    });
    expect(edgesOf(map)).toEqual([
      "workload:default/nginx > host:db-1 6/5432 5+0",
      "workload:default/cron > host:db-1 6/5432 2+0",
    ]);
  });
  it("groups by label: who has none counts with its host, else stands for itself", () => {
    const second = { host: "web-2", sourceAddress: "192.0.2.11", subjectKey: "Host/web-2" };
    const cron = sums({ subjectKey: "Workload/default/cron" });
    const out = sums({ destinationAddress: "203.0.113.9" });
    const map = buildServiceMap([sums(), sums(second), cron, out], INVENTORY, {
      grouping: { by: "label", key: "app" },
      maxNodes: 100,
    });
    expect(edgesOf(map)).toEqual([
      "label:app=web > label:app=db 6/5432 3+0",
      "label:app=web > address:203.0.113.9 6/5432 1+0",
    ]);
    expect(map.nodes.map(({ id, name, members }) => [id, name, members])).toEqual([
      ["address:203.0.113.9", "api.example.com (203.0.113.9)", 1],
      ["label:app=db", "app=db", 1],
      ["label:app=web", "app=web", 3],
    ]);
  });
  it("puts small external addresses together by network when there are more than wanted", () => {
    const far = Array.from({ length: 600 }, (_, index) =>
      sums({ destinationAddress: `203.0.${index >> 8}.${index & 255}` }, { connections: index === 300 ? 1_000 : 1 }),
    );
    const map = buildServiceMap(far, INVENTORY, { ...BY_HOST, maxNodes: 10 });
    expect(map.nodes.length).toBeLessThanOrEqual(10);
    expect(map.nodes.map(({ id }) => id)).toContain("address:203.0.1.44");
    expect(map.nodes.filter(({ id }) => id.startsWith("net:")).map(({ id }) => id)).toEqual([
      "net:203.0.0.0/24",
      "net:203.0.1.0/24",
      "net:203.0.2.0/24",
    ]);
    expect(map.mergedNodes).toBe(600 - (map.nodes.length - 4));
    expect(totalOfMap(map).allowed.connections).toBe(1_599);
  });
  it("puts the ports of a scan together", () => {
    const scan = Array.from({ length: 500 }, (_, port) => sums({ port: port + 1 }));
    const map = buildServiceMap(scan, INVENTORY, BY_HOST);
    expect(map.edges.length).toBe(MAX_PORTS_OF_PAIR);
    expect(map.edges[0]).toMatchObject({ port: 0, allowed: { connections: 500 - MAX_PORTS_OF_PAIR + 1 } });
  });
});

const address = fc.constantFrom("192.0.2.10", "192.0.2.11", "192.0.2.20", "203.0.113.9", "198.51.100.7", "2001:db8::5");
const anySums = fc
  .record({
    host: fc.constantFrom("web-1", "web-2", "db-1"),
    direction: fc.constantFrom("ingress" as const, "egress" as const),
    sourceAddress: address,
    destinationAddress: address,
    protocol: fc.constantFrom(6, 17),
    port: fc.integer({ min: 1, max: 3 }),
    verdict: fc.constantFrom("allow" as const, "deny" as const),
    subjectKey: fc.constantFrom("Host/web-1", "Workload/default/nginx", ""),
    connections: fc.nat(50),
  })
  .map(({ connections, ...rest }) => {
    const isDenied = rest.verdict === "deny";
    return sums(rest, { connections: isDenied ? 0 : connections, deniedPackets: isDenied ? connections : 0 });
  });
const grouping = fc.constantFrom<MapGrouping>({ by: "host" }, { by: "label", key: "app" }, { by: "workload" });

describe("maps of any sums", () => {
  it("the sum of edges is the sum of records, where one end saw them; never more where both did", () => {
    fc.assert(
      fc.property(
        fc.array(anySums, { maxLength: 40 }),
        grouping,
        fc.integer({ min: 4, max: 12 }),
        (all, by, maxNodes) => {
          const egress = all.filter(({ direction }) => direction === "egress");
          const sum = (list: readonly MapSums[]) => list.reduce((total, each) => total + each.sums.connections, 0);
          const denied = (list: readonly MapSums[]) => list.reduce((total, each) => total + each.sums.deniedPackets, 0);
          const one = totalOfMap(buildServiceMap(egress, INVENTORY, { grouping: by, maxNodes }));
          expect(one.allowed.connections).toBe(sum(egress));
          expect(one.denied.deniedPackets).toBe(denied(egress));
          const map = buildServiceMap(all, INVENTORY, { grouping: by, maxNodes });
          const both = totalOfMap(map);
          expect(both.allowed.connections).toBeLessThanOrEqual(sum(all));
          expect(both.denied.deniedPackets).toBe(denied(all));
          expect(map.nodes.length).toBeLessThanOrEqual(maxNodes);
          const ids = new Set(map.nodes.map(({ id }) => id));
          expect(map.edges.every(({ sourceId, destinationId }) => ids.has(sourceId) && ids.has(destinationId))).toBe(
            true,
          );
        },
      ),
      { numRuns: 300 },
    );
  });
  it("comparing a map with itself is empty, also when the windows are counted per hour", () => {
    fc.assert(
      fc.property(fc.array(anySums, { maxLength: 30 }), grouping, (all, by) => {
        const map = buildServiceMap(all, INVENTORY, { grouping: by, maxNodes: 50 });
        expect(compareServiceMaps({ map, windowMs: 3_600_000 }, { map, windowMs: 3_600_000 })).toEqual([]);
        expect(compareServiceMaps({ map, windowMs: 3_600_000 }, { map, windowMs: 4_000_000 })).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
  it("what is new one way is gone the other way", () => {
    fc.assert(
      fc.property(fc.array(anySums, { maxLength: 20 }), fc.array(anySums, { maxLength: 20 }), (one, other) => {
        const [first, second] = buildServiceMaps([one, other], INVENTORY, BY_HOST) as [ServiceMap, ServiceMap];
        const count = (from: ServiceMap, to: ServiceMap, kind: string) =>
          compareServiceMaps({ map: from, windowMs: 1 }, { map: to, windowMs: 1 }).filter((each) => each.kind === kind)
            .length;
        expect(count(first, second, "new-edge")).toBe(count(second, first, "gone-edge"));
        expect(count(first, second, "new-node")).toBe(count(second, first, "gone-node"));
        expect(count(first, second, "verdict")).toBe(count(second, first, "verdict"));
        expect(count(first, second, "volume")).toBe(count(second, first, "volume"));
      }),
      { numRuns: 150 },
    );
  });
});

describe("compareServiceMaps", () => {
  const HOUR_MS = 3_600_000;
  function sentences(before: MapSums[], after: MapSums[], beforeMs = HOUR_MS, afterMs = HOUR_MS): string[] {
    const [earlier, later] = buildServiceMaps([before, after], INVENTORY, BY_HOST) as [ServiceMap, ServiceMap];
    return compareServiceMaps({ map: earlier, windowMs: beforeMs }, { map: later, windowMs: afterMs }).map(
      ({ sentence }) => sentence,
    );
  }
  it("says what is new, gone, denied now and much more, in this order", () => {
    const before = [
      sums({}, { connections: 100 }),
      sums({ port: 22 }, { connections: 3 }),
      sums({ port: 80 }, { connections: 20 }),
      sums({ host: "web-2", sourceAddress: "192.0.2.11" }, { connections: 4 }),
    ];
    const after = [
      sums({}, { connections: 1_200 }),
      sums({ port: 4444, destinationAddress: "203.0.113.9" }, { connections: 120 }),
      sums({ port: 80, verdict: "deny" }, { connections: 0, deniedPackets: 33 }),
    ];
    expect(sentences(before, after)).toEqual([
      "web-1 talks to db-1 on tcp/80: denied now (33 denied packets), allowed before",
      "web-1 talks to api.example.com (203.0.113.9) on tcp/4444: 120 connections, none before",
      "web-1 talks to db-1 on tcp/5432: 12 times as much: 1,200 connections, 100 before",
      "web-2 no longer talks to db-1 on tcp/5432: 4 connections before, none now",
      "web-1 no longer talks to db-1 on tcp/22: 3 connections before, none now",
      "web-2 is not seen any more",
    ]);
  });
  it("counts per hour when the windows differ in length", () => {
    const before = [sums({}, { connections: 2_400 })];
    const after = [sums({}, { connections: 100 })];
    expect(sentences(before, after, 24 * HOUR_MS, HOUR_MS)).toEqual([]);
    expect(sentences(before, [sums({}, { connections: 2_000 })], 24 * HOUR_MS, HOUR_MS)).toEqual([
      "web-1 talks to db-1 on tcp/5432: 20 times as much: 2,000 connections an hour, 100 before",
    ]);
  });
});

it("has a name for the end that folded flows have lost", () => {
  const map = buildServiceMap([sums({ destinationAddress: "", port: 0 })], INVENTORY, BY_HOST);
  expect(map.nodes.map(({ name }) => name)).toEqual(["different addresses", "web-1"]);
});
