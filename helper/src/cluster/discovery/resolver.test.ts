import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { EndpointQuerySchema } from "@wardline/api/wardline/agent/v1/cluster";
import { HealthCheckKind, ServiceHealth, ServiceInstanceSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import type { Inventory } from "@wardline/domain/policy";
import { host, workload, world } from "@wardline/domain/policy/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NameLookup } from "../../names/nameResolver.ts";
import { HandLeadership, HandMembership, instanceOf, KEYS, memberOf } from "../../testing/discoveryLab.ts";
import { MemoryClusterStore, type MemoryLink, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import type { HeldTerm } from "../ports.ts";
import { type ClusterDiscovery, Discovery } from "./discovery.ts";
import type { Resolution } from "./resolver.ts";
import { encodeMessage } from "./storedMessages.ts";

const log = { info: () => {}, warn: () => {} };

let clock: SimulatedClock;
let store: MemoryClusterStore;
let membership: HandMembership;
let term: HeldTerm;
let cluster: ClusterDiscovery;
let isAway: boolean;
let inventory: Inventory;
let inventoryChanged: () => void;
let lookup: NameLookup;

const link: MemoryLink = {
  call: async (run) => {
    if (isAway) throw new Error("the store is away");
    return run();
  },
  pass: async () => {
    if (isAway) throw new Error("the store is away");
  },
};

beforeEach(async () => {
  clock = new SimulatedClock();
  isAway = false;
  store = new MemoryClusterStore(new MemoryStoreState(clock), link);
  membership = new HandMembership();
  const leadership = new HandLeadership(store);
  term = await leadership.elect();
  const web = host("web", { addresses: ["10.0.0.1"], labels: new Map([["app", "web"]]) });
  const unit = workload("unit", "web", { namespace: "shop", labels: new Map([["app", "web"]]) });
  inventory = world([web, unit], []).inventory;
  lookup = async () => ({ addresses: ["192.0.2.9", "192.0.2.1"], timeToLiveMs: 30_000 });
  const discovery = new Discovery({
    clock,
    log,
    random: () => 0.5,
    inventory: () => inventory,
    onInventoryChange: (listener) => {
      inventoryChanged = listener;
      return () => {};
    },
    lookup: (name, signal) => lookup(name, signal),
  });
  cluster = discovery.follow({ store, keys: KEYS, memberName: "web", membership, leadership });
  membership.set(memberOf("web", ["10.0.0.1"]), memberOf("db-host", ["10.0.0.2"], { labels: { app: "db" } }));
  await clock.advance(300);
});
afterEach(async () => {
  isAway = false;
  const closing = cluster.close();
  await clock.advance(10_000);
  await closing;
});

const resolve = (query: MessageInitShape<typeof EndpointQuerySchema>) =>
  cluster.resolver.resolve(create(EndpointQuerySchema, query));
const found = ({ endpoints }: Resolution) =>
  endpoints.map(({ key, source, addresses }) => `${source} ${key} ${addresses.join()}`);

async function register(fields: Parameters<typeof instanceOf>[0]): Promise<void> {
  await cluster.registry.register(term, instanceOf({ labels: { app: "db" }, ...fields }), "");
  await clock.advance(300);
}

describe("resolving", () => {
  it("finds by labels whatever has them: documents, members, services", async () => {
    await register({ namespace: "shop" });
    expect(found(await resolve({ labels: { app: "web" } }))).toEqual([
      "inventory host/web 10.0.0.1",
      "inventory workload/shop/unit 10.0.0.1",
    ]);
    expect(found(await resolve({ labels: { app: "db" } }))).toEqual([
      "member host/db-host 10.0.0.2",
      "service service/shop/db/10.0.0.5 10.0.0.5",
    ]);
    expect(found(await resolve({ labels: { app: "db", zone: "a" } }))).toEqual([]);
  });

  it("finds a host, and a service with its port and health", async () => {
    await register({ namespace: "shop" });
    expect(found(await resolve({ host: "db-host" }))).toEqual(["member host/db-host 10.0.0.2"]);
    const { endpoints } = await resolve({ service: "shop/db" });
    expect(endpoints).toMatchObject([{ port: 5432, health: ServiceHealth.UNKNOWN, labels: { app: "db" } }]);
    expect(found(await resolve({ service: "db" }))).toEqual([]);
  });

  it("leaves out instances that fail", async () => {
    const wanted = instanceOf({ check: HealthCheckKind.TCP });
    const service = await cluster.registry.register(term, wanted, "");
    await register({ address: "10.0.0.6" });
    const key = KEYS.service("default", "db", "10.0.0.5");
    const value = encodeMessage(ServiceInstanceSchema, { ...service, health: ServiceHealth.FAILING });
    await store.transact({ compare: [], then: [{ kind: "put", key, value }] });
    await clock.advance(300);
    expect(found(await resolve({ service: "db" }))).toEqual(["service service/default/db/10.0.0.6 10.0.0.6"]);
  });

  it("asks for a domain name, and says when nobody answers for it", async () => {
    expect(found(await resolve({ domainName: "A.Example.org." }))).toEqual(["dns a.example.org 192.0.2.1,192.0.2.9"]);
    lookup = () => Promise.reject(new Error("ETIMEOUT"));
    await expect(resolve({ domainName: "b.example.org" })).rejects.toMatchObject({ code: ErrorCode.DEADLINE_EXCEEDED });
  });

  it("says that what it knows may be old while the store is away", async () => {
    expect((await resolve({ host: "web" })).stale).toBe(false);
    isAway = true;
    const away = await resolve({ host: "db-host" });
    expect([found(away), away.stale]).toEqual([["member host/db-host 10.0.0.2"], true]);
  });

  it.each([
    ["nothing", {}],
    ["two things", { host: "web", service: "db" }],
    ["a label that is none", { labels: { "a b": "c" } }],
    ["a service with three parts", { service: "a/b/c" }],
    ["a service in upper case", { service: "DB" }],
    ["an address for a name", { domainName: "10.0.0.1" }],
    ["a pattern for a name", { domainName: "*.example.org" }],
  ])("refuses to ask for %s", async (_, query) => {
    await expect(resolve(query)).rejects.toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
  });
});

describe("watching endpoints", () => {
  function watch(query: MessageInitShape<typeof EndpointQuerySchema>) {
    const seen: (readonly string[])[] = [];
    const ending = new AbortController();
    const running = (async () => {
      const watched = cluster.resolver.watch(create(EndpointQuerySchema, query), ending.signal);
      for await (const resolution of watched) seen.push(resolution.stale ? ["stale"] : found(resolution));
    })();
    const end = async () => {
      ending.abort();
      await clock.advance(10);
      await running;
    };
    return { seen, end };
  }

  it("tells what matches at once and after each change of that, and nothing of others", async () => {
    const { seen, end } = watch({ labels: { app: "db" } });
    await clock.advance(100);
    await register({ labels: { app: "other" } });
    await clock.advance(20_000);
    expect(seen).toEqual([["member host/db-host 10.0.0.2"]]);
    await register({ service: "more" });
    expect(seen.at(-1)).toEqual(["member host/db-host 10.0.0.2", "service service/default/more/10.0.0.5 10.0.0.5"]);
    membership.set(memberOf("web", ["10.0.0.1"]));
    await clock.advance(300);
    expect(seen.at(-1)).toEqual(["service service/default/more/10.0.0.5 10.0.0.5"]);
    inventory = world([host("new", { labels: new Map([["app", "db"]]), addresses: ["10.0.0.3"] })], []).inventory;
    inventoryChanged();
    await clock.advance(300);
    expect(seen.at(-1)?.[0]).toBe("inventory host/new 10.0.0.3");
    expect(seen).toHaveLength(4);
    await end();
  });

  it("says that the store is away, and what is true when it is back", async () => {
    const { seen, end } = watch({ host: "db-host" });
    await clock.advance(100);
    isAway = true;
    await clock.advance(10_000);
    isAway = false;
    await clock.advance(10_000);
    expect(seen).toEqual([["member host/db-host 10.0.0.2"], ["stale"], ["member host/db-host 10.0.0.2"]]);
    await end();
  });
});
