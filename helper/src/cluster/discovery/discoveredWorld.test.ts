import { MemberState, ServiceHealth, ServiceInstanceSchema } from "@wardline/api/wardline/v1/cluster";
import type { Inventory } from "@wardline/domain/policy";
import { host, world } from "@wardline/domain/policy/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HandLeadership, HandMembership, instanceOf, KEYS, memberOf } from "../../testing/discoveryLab.ts";
import { MemoryClusterStore, type MemoryLink, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import type { HeldTerm } from "../ports.ts";
import { DiscoveredWorld } from "./discoveredWorld.ts";
import { ADDRESSES_LABEL, GONE_HOLD_MS } from "./memberEndpoints.ts";
import { ServiceRegistry } from "./registry.ts";
import { ServiceView } from "./serviceView.ts";
import { encodeMessage } from "./storedMessages.ts";

const log = { info: () => {}, warn: () => {} };
const HOUR_MS = 3_600_000;

let clock: SimulatedClock;
let state: MemoryStoreState;
let store: MemoryClusterStore;
let membership: HandMembership;
let services: ServiceView;
let registry: ServiceRegistry;
let term: HeldTerm;
let inventory: Inventory;
let discovered: DiscoveredWorld;
let changes: number;
let unfollow: () => void;
let isAway: boolean;

/** The store can go away. */
const link: MemoryLink = {
  call: async (run) => {
    if (isAway) throw new Error("the store is away");
    return run();
  },
  pass: async () => {
    if (isAway) throw new Error("the store is away");
  },
};

function make(): DiscoveredWorld {
  const made = new DiscoveredWorld({ clock, inventory: () => inventory });
  made.onChange(() => {
    changes += 1;
  });
  return made;
}

beforeEach(async () => {
  clock = new SimulatedClock();
  state = new MemoryStoreState(clock);
  isAway = false;
  store = new MemoryClusterStore(state, link);
  membership = new HandMembership();
  services = new ServiceView({ store, prefix: KEYS.services, clock, random: () => 0.5, log });
  registry = new ServiceRegistry({ store, keys: KEYS, clock });
  term = await new HandLeadership(new MemoryClusterStore(state)).elect();
  inventory = world([], []).inventory;
  changes = 0;
  discovered = make();
  services.start();
  unfollow = discovered.follow({ membership, services });
});
afterEach(async () => {
  unfollow();
  await services.stop();
});

const addresses = () =>
  Object.fromEntries(discovered.current().map((one) => [`${one.kind} ${one.name}`, one.addresses.join()]));

describe("the discovered world", () => {
  it("is members with the labels of their admission and the addresses they say, and services", async () => {
    membership.set(memberOf("web-1", ["10.0.0.1", "fd00::1"], { labels: { app: "web" } }));
    await registry.register(term, instanceOf({ labels: { app: "db" } }), "");
    await clock.advance(300);
    expect(discovered.current()).toEqual([
      {
        kind: "member",
        namespace: "default",
        name: "web-1",
        instance: "",
        labels: new Map([["app", "web"]]),
        addresses: ["10.0.0.1", "fd00::1"],
      },
      {
        kind: "service",
        namespace: "default",
        name: "db",
        instance: "10.0.0.5",
        labels: new Map([["app", "db"]]),
        addresses: ["10.0.0.5"],
      },
    ]);
  });

  it("is the same object until something changes that tables are made of", async () => {
    membership.set(memberOf("web-1", ["10.0.0.1"]));
    await clock.advance(300);
    const before = discovered.current();
    changes = 0;
    membership.set(memberOf("web-1", ["10.0.0.1"], { state: MemberState.UNHEALTHY }));
    await clock.advance(1_000);
    expect([discovered.current() === before, changes]).toEqual([true, 0]);
    membership.set(memberOf("web-1", ["10.0.0.2"]));
    await clock.advance(1_000);
    expect([addresses(), changes]).toEqual([{ "member web-1": "10.0.0.2" }, 1]);
  });

  it("follows a change in a quarter of a second, and a storm of changes at most four times a second", async () => {
    membership.set(memberOf("web-1", ["10.0.0.1"]));
    await clock.advance(1_000);
    changes = 0;
    membership.set(memberOf("web-1", ["10.0.0.2"]));
    await clock.advance(20);
    expect(changes).toBe(1);
    const all = Array.from({ length: 100 }, (_, at) => memberOf(`m${at}`, [`10.0.1.${at}`]));
    for (let at = 1; at <= 100; at++) {
      membership.set(...all.slice(0, at));
      await clock.advance(10);
    }
    expect(changes).toBeLessThanOrEqual(6);
    await clock.advance(250);
    expect(discovered.current()).toHaveLength(100);
  });

  it("leaves out services that fail and takes them back", async () => {
    const service = await registry.register(term, instanceOf({ check: 2 }), "");
    await clock.advance(300);
    expect(Object.keys(addresses())).toEqual(["service db"]);
    const key = KEYS.service("default", "db", "10.0.0.5");
    const put = async (health: ServiceHealth) => {
      const value = encodeMessage(ServiceInstanceSchema, { ...service, health });
      await store.transact({ compare: [], then: [{ kind: "put", key, value }] });
      await clock.advance(300);
    };
    await put(ServiceHealth.FAILING);
    expect(addresses()).toEqual({});
    await put(ServiceHealth.PASSING);
    expect(Object.keys(addresses())).toEqual(["service db"]);
  });

  it("takes nothing that is no address of a host, from members and from the store", async () => {
    const hostile = ["127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0/0", "", "x".repeat(10_000), "::ffff:10.0.0.7"];
    membership.set(memberOf("evil", hostile));
    const key = KEYS.service("default", "db", "x");
    const value = encodeMessage(ServiceInstanceSchema, instanceOf({ address: "169.254.169.254", instance: "x" }));
    await store.transact({ compare: [], then: [{ kind: "put", key, value }] });
    await clock.advance(300);
    expect(addresses()).toEqual({ "member evil": "10.0.0.7" });
    membership.set(
      memberOf(
        "evil",
        Array.from({ length: 5_000 }, (_, at) => `10.${at >> 8}.${at & 255}.1`),
      ),
    );
    await clock.advance(300);
    expect(discovered.current()[0]?.addresses).toHaveLength(64);
  });

  it("does not ask a member for its addresses whose admission says so", async () => {
    const labels = { [ADDRESSES_LABEL]: "documents", app: "web" };
    membership.set(memberOf("pinned", ["10.0.0.1"], { labels }), memberOf("free", ["10.0.0.2"]));
    await clock.advance(300);
    expect(addresses()).toEqual({ "member free": "10.0.0.2", "member pinned": "" });
    expect(discovered.current()[1]?.labels.get("app")).toBe("web");
  });

  it("gives an address to the member that had it, and tells whose claim was refused", async () => {
    membership.set(memberOf("victim", ["10.0.0.1"], { admittedAtMs: 9_000 }));
    await clock.advance(300);
    membership.set(memberOf("evil", ["10.0.0.1", "10.0.0.6"], { admittedAtMs: 1 }), ...membership.members());
    await clock.advance(300);
    expect(addresses()).toEqual({ "member evil": "10.0.0.6", "member victim": "10.0.0.1" });
    expect(discovered.problems).toEqual([
      "evil says that it has 10.0.0.1, which victim has: it does not count for evil.",
    ]);
    inventory = world([host("documented", { addresses: ["10.0.0.6"] })], []).inventory;
    expect(discovered.problems).toContain(
      "evil says that it has 10.0.0.6, which Host documented has: it does not count for evil.",
    );
    membership.set(memberOf("victim", ["10.0.0.1"], { admittedAtMs: 9_000 }));
    await clock.advance(300);
    expect(discovered.problems).toEqual([]);
  });

  it("tells fifty refused claims and how many more there are", async () => {
    inventory = world(
      Array.from({ length: 60 }, (_, at) => host(`h${at}`, { addresses: [`10.0.9.${at}`] })),
      [],
    ).inventory;
    membership.set(
      memberOf(
        "evil",
        Array.from({ length: 60 }, (_, at) => `10.0.9.${at}`),
      ),
    );
    await clock.advance(300);
    expect(discovered.problems).toHaveLength(51);
    expect(discovered.problems.at(-1)).toBe("10 more addresses are refused.");
  });

  it("holds the addresses of a member that is gone for an hour, unless somebody else has them", async () => {
    membership.set(memberOf("a", ["10.0.0.1"]), memberOf("b", ["10.0.0.2"]));
    await clock.advance(300);
    const gone = { state: MemberState.GONE };
    membership.set(memberOf("a", [], gone), memberOf("b", [], gone), memberOf("c", ["10.0.0.2"]));
    await clock.advance(GONE_HOLD_MS - HOUR_MS / 60);
    expect(addresses()).toEqual({ "member a": "10.0.0.1", "member c": "10.0.0.2" });
    await clock.advance(HOUR_MS / 30);
    expect(addresses()).toEqual({ "member c": "10.0.0.2" });
  });

  it("holds a member as it is that changes its addresses all the time, and no other", async () => {
    const other = (at: number) => memberOf("other", [`10.0.2.${at}`]);
    for (let at = 0; at < 20; at++) {
      membership.set(memberOf("evil", [`10.0.1.${at}`]), other(0));
      await clock.advance(1_000);
    }
    expect(addresses()).toEqual({ "member evil": "10.0.1.6", "member other": "10.0.2.0" });
    expect(discovered.problems).toEqual([
      "evil changes its addresses all the time: for a minute those from before count.",
    ]);
    membership.set(memberOf("evil", ["10.0.1.99"]), other(1));
    await clock.advance(300);
    expect(addresses()).toEqual({ "member evil": "10.0.1.6", "member other": "10.0.2.1" });
    await clock.advance(120_000);
    expect(addresses()).toEqual({ "member evil": "10.0.1.99", "member other": "10.0.2.1" });
    expect(discovered.problems).toEqual([]);
  });

  it("drops a member that was removed at once", async () => {
    membership.set(memberOf("a", ["10.0.0.1"]), memberOf("b", ["10.0.0.2"]));
    await clock.advance(300);
    membership.set(memberOf("b", ["10.0.0.2"]));
    await clock.advance(300);
    expect(addresses()).toEqual({ "member b": "10.0.0.2" });
  });

  it("stays while the store is away, and goes on when it is back", async () => {
    membership.set(memberOf("a", ["10.0.0.1"]));
    await registry.register(term, instanceOf({}), "");
    await clock.advance(300);
    const before = discovered.current();
    isAway = true;
    const other = new MemoryClusterStore(state);
    await new ServiceRegistry({ store: other, keys: KEYS, clock }).register(term, instanceOf({ service: "new" }), "");
    await clock.advance(60_000);
    expect(services.isFollowing).toBe(false);
    expect(discovered.current()).toBe(before);
    isAway = false;
    await clock.advance(10_000);
    expect(Object.keys(addresses())).toEqual(["member a", "service db", "service new"]);
  });

  it("begins with what the tables were made with, until the cluster is heard", async () => {
    membership.set(memberOf("a", ["10.0.0.1"]));
    await registry.register(term, instanceOf({}), "");
    await clock.advance(300);
    const before = discovered.current();
    unfollow();
    const again = make();
    again.seed(before);
    isAway = true;
    const silent = new HandMembership();
    const unheard = new ServiceView({ store, prefix: KEYS.services, clock, random: () => 0.5, log });
    unheard.start();
    const stop = again.follow({ membership: silent, services: unheard });
    await clock.advance(60_000);
    expect(again.current()).toEqual(before);
    // Whoever held an address before the restart holds it after.
    isAway = false;
    silent.set(memberOf("0-evil", ["10.0.0.1"], { admittedAtMs: 1 }), memberOf("a", ["10.0.0.1"]));
    await clock.advance(10_000);
    expect(again.current().find(({ name }) => name === "a")?.addresses).toEqual(["10.0.0.1"]);
    stop();
    await unheard.stop();
    again.forget();
    expect(again.current()).toEqual([]);
  });
});
