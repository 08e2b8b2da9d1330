import { create } from "@bufbuild/protobuf";
import { type NameRecord, NameRecordSchema, WantedNamesSchema } from "@wardline/api/wardline/v1/cluster";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { askServers } from "../../names/dnsLookup.ts";
import { HOLD_MS, type NameLookup, NameResolver } from "../../names/nameResolver.ts";
import { eventually, HandLeadership, HandMembership, KEYS, memberOf } from "../../testing/discoveryLab.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { NameServer } from "../../testing/nameServer.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import type { Operation } from "../store/clusterStore.ts";
import { ClusterNames, NAMES_LABEL } from "./clusterNames.ts";
import { NamePublisher } from "./namePublisher.ts";
import { encodeMessage, MessageReader } from "./storedMessages.ts";
import { chooseNames, MAX_NAMES } from "./wantedNames.ts";

const log = { info: () => {}, warn: () => {} };
const random = () => 0.5;

let clock: SimulatedClock;
let store: MemoryClusterStore;
let leadership: HandLeadership;
let membership: HandMembership;
let dns: NameServer;
let running: Promise<void>;

beforeEach(async () => {
  clock = new SimulatedClock();
  store = new MemoryClusterStore(new MemoryStoreState(clock));
  leadership = new HandLeadership(store);
  membership = new HandMembership();
  membership.set(memberOf("a", []), memberOf("b", []));
  dns = await NameServer.start();
  running = Promise.resolve();
});
afterEach(async () => {
  leadership.end();
  await clock.advance(10);
  await running;
  await dns.close();
});

const lookup: NameLookup = (name, signal) => askServers(name, signal, dns.servers);

async function lead(): Promise<void> {
  const term = await leadership.elect();
  await running;
  running = new NamePublisher({ store, keys: KEYS, membership, clock, random, log, lookup }).run(term);
}

async function want(member: string, ...names: readonly string[]): Promise<void> {
  const value = encodeMessage(WantedNamesSchema, create(WantedNamesSchema, { member, names: [...names] }));
  const key = KEYS.wantedNamesOf(member);
  await store.transact({
    compare: [],
    then: [names.length > 0 ? { kind: "put", key, value } : { kind: "delete", key }],
  });
}

const reader = new MessageReader(NameRecordSchema);

function published(name: string): NameRecord | null {
  const item = store.state.get(KEYS.name(name));
  return item && reader.read(item);
}

/** Lets simulated time pass until it holds; the name server answers in real time. */
function until<T>(look: () => T, holds: (seen: T) => boolean, stepMs = 20): Promise<T> {
  return eventually(async () => {
    await clock.advance(stepMs);
    return look();
  }, holds);
}

const names = () => store.state.under(KEYS.names).map(({ key }) => key.slice(KEYS.names.length));

describe("the leader's names", () => {
  it("are what any member wants: addresses of both families, and the targets of services", async () => {
    dns.zone = {
      "a.example.org": { addresses: ["192.0.2.1", "2001:db8::1"], timeToLiveS: 20 },
      "_db._tcp.example.org": { targets: ["db1.example.org:5432", "db2.example.org:5432"] },
      "db1.example.org": { addresses: ["192.0.2.11"], timeToLiveS: 40 },
      "db2.example.org": { addresses: ["2001:db8::12"], timeToLiveS: 30 },
    };
    await want("a", "a.example.org");
    await want("b", "a.example.org", "_db._tcp.example.org");
    await lead();
    const record = await until(
      () => published("a.example.org"),
      (seen) => seen !== null,
    );
    expect(record).toMatchObject({ addresses: ["192.0.2.1", "2001:db8::1"], stale: false, problem: "" });
    expect(record?.timeToLive?.seconds).toBe(20n);
    const service = await until(
      () => published("_db._tcp.example.org"),
      (seen) => seen !== null,
    );
    expect(service?.addresses).toEqual(["192.0.2.11", "2001:db8::12"]);
  });

  it("are asked for once for all members, and written only when something changed", async () => {
    dns.zone = { "a.example.org": { addresses: ["192.0.2.1"], timeToLiveS: 10 } };
    await want("a", "a.example.org");
    await want("b", "a.example.org");
    await lead();
    await until(
      () => published("a.example.org"),
      (seen) => seen !== null,
    );
    expect(dns.asked).toEqual(["a.example.org", "a.example.org"]);
    const { revision } = store.state;
    await until(
      () => dns.asked.length,
      (count) => count >= 6,
      1_000,
    );
    expect(store.state.revision).toBe(revision);
    dns.zone = { "a.example.org": { addresses: ["192.0.2.2"], timeToLiveS: 10 } };
    const moved = await until(
      () => published("a.example.org"),
      (seen) => seen?.addresses.length === 2,
      1_000,
    );
    // A program may still use the answer that it got a moment ago.
    expect(moved?.addresses).toEqual(["192.0.2.1", "192.0.2.2"]);
    await clock.advance(HOLD_MS);
    await until(
      () => published("a.example.org")?.addresses.join(),
      (seen) => seen === "192.0.2.2",
      5_000,
    );
  });

  it("stay as they were, and say so, while nobody answers; also when the leader changes then", async () => {
    dns.zone = { "a.example.org": { addresses: ["192.0.2.1"], timeToLiveS: 5 } };
    await want("a", "a.example.org");
    await lead();
    await until(
      () => published("a.example.org"),
      (seen) => seen !== null,
    );
    dns.isSilent = true;
    // The next leader knows nothing but what stands in the store.
    await lead();
    const stale = await until(
      () => published("a.example.org"),
      (seen) => seen?.stale === true,
    );
    expect(stale?.addresses).toEqual(["192.0.2.1"]);
    expect(stale?.problem).toContain("no answer");
    dns.isSilent = false;
    await until(
      () => published("a.example.org"),
      (seen) => seen?.stale === false,
      1_000,
    );
  }, 240_000);

  it("remember for a while that a name has no address", async () => {
    dns.zone = { "empty.example.org": {} };
    await want("a", "empty.example.org");
    await lead();
    const record = await until(
      () => published("empty.example.org"),
      (seen) => seen !== null,
    );
    expect(record).toMatchObject({ addresses: [], stale: false, problem: "the name has no address" });
    const asked = dns.asked.length;
    await clock.advance(30_000);
    expect(dns.asked.length).toBe(asked);
  });

  it("end when nobody wants them any more, or who wanted them was removed", async () => {
    dns.zone = { "a.example.org": { addresses: ["192.0.2.1"] }, "b.example.org": { addresses: ["192.0.2.2"] } };
    await want("a", "a.example.org");
    await want("b", "b.example.org");
    await lead();
    await until(names, (seen) => seen.length === 2);
    await want("a");
    await until(names, (seen) => seen.join() === "b.example.org");
    membership.set(memberOf("a", []));
    await until(names, (seen) => seen.length === 0, 1_000);
  });

  it("are names and nothing else, and no member pushes out those of the others", () => {
    const hostile = [
      "../../election/leader",
      "*.example.org",
      "a b.org",
      "x.internal",
      "UPPER.example.org",
      "10.0.0.1",
    ];
    expect(chooseNames(new Map([["a", [...hostile, "_x._tcp.y.org", "fine.example.org"]]]))).toEqual([
      "_x._tcp.y.org",
      "fine.example.org",
    ]);
    const many = (prefix: string) => Array.from({ length: 3_000 }, (_, at) => `${prefix}${at}.example.org`);
    const wanted = new Map(["a", "b", "c", "d", "e"].map((member) => [member, many(member)]));
    const chosen = chooseNames(wanted.set("z", ["mine.example.org"]));
    expect(chosen).toHaveLength(MAX_NAMES);
    expect(chosen).toContain("mine.example.org");
    expect(chosen.filter((name) => name.startsWith("a"))).toHaveLength(819);
  });
});

describe("a host's names", () => {
  let clusterNames: ClusterNames;
  let ending: AbortController;
  let following: Promise<void>;
  let own: string[];
  let resolver: NameResolver;

  beforeEach(() => {
    own = [];
    clusterNames = new ClusterNames({ clock, random, log });
    const ownLookup: NameLookup = async (name) => {
      own.push(name);
      return { addresses: ["198.51.100.1"], timeToLiveMs: 30_000 };
    };
    resolver = new NameResolver({
      lookup: clusterNames.before(ownLookup),
      nowMs: () => Number(clock.bootNs() / 1_000_000n),
      onWatch: (wanted) => clusterNames.want(wanted),
    });
    clusterNames.onChange((changed) => resolver.expire(changed));
    ending = new AbortController();
    following = clusterNames.follow({ store, keys: KEYS, memberName: "a", membership, leadership }, ending.signal);
    dns.zone = { "a.example.org": { addresses: ["192.0.2.1"] }, "x.internal": { addresses: ["192.0.2.9"] } };
  });
  afterEach(async () => {
    ending.abort();
    await clock.advance(10);
    await following;
  });

  const addresses = async (name: string) => {
    await resolver.update();
    return resolver.addresses().get(name)?.join();
  };

  it("come from the leader as soon as it has them, and from this host until then", async () => {
    resolver.watch(["a.example.org"]);
    expect(await addresses("a.example.org")).toBe("198.51.100.1");
    await lead();
    await until(
      () => published("a.example.org"),
      (seen) => seen !== null,
    );
    await clock.advance(50);
    // What this host found by itself may still be in use.
    expect(await addresses("a.example.org")).toBe("192.0.2.1,198.51.100.1");
    await clock.advance(HOLD_MS + 10_000);
    expect(await addresses("a.example.org")).toBe("192.0.2.1");
    expect(own).toEqual(["a.example.org"]);
  });

  it("come from this host again when the leader's answer is stale, or nobody leads, and the last ones stay", async () => {
    resolver.watch(["a.example.org"]);
    await lead();
    await until(
      () => published("a.example.org"),
      (seen) => seen !== null,
    );
    expect(await addresses("a.example.org")).toBe("192.0.2.1");
    leadership.end();
    await running;
    await clock.advance(20_000);
    expect(await addresses("a.example.org")).toBe("192.0.2.1");
    await clock.advance(30_000);
    expect(await addresses("a.example.org")).toBe("192.0.2.1,198.51.100.1");
    expect(own).toContain("a.example.org");
  });

  it("come from this host when the leader has only a stale answer, and canonical when it has a fresh one", async () => {
    await leadership.elect();
    const put = async (stale: boolean) => {
      const record = create(NameRecordSchema, { name: "s.example.org", addresses: ["::ffff:192.0.2.7", "x"], stale });
      const operation = {
        kind: "put",
        key: KEYS.name("s.example.org"),
        value: encodeMessage(NameRecordSchema, record),
      };
      await store.transact({ compare: [], then: [operation as Operation] });
      await clock.advance(50);
    };
    await put(true);
    expect(clusterNames.answer("s.example.org")).toBeNull();
    await put(false);
    expect(clusterNames.answer("s.example.org")?.addresses).toEqual(["192.0.2.7"]);
  });

  it("are its own where another host's answer would be another thing", async () => {
    resolver.watch(["x.internal", "a.example.org"]);
    await lead();
    await until(
      () => published("a.example.org"),
      (seen) => seen !== null,
    );
    expect(published("x.internal")).toBeNull();
    expect(await addresses("x.internal")).toBe("198.51.100.1");
    membership.set(memberOf("a", [], { labels: { [NAMES_LABEL]: "own" } }));
    await clock.advance(15_000);
    resolver.expire(null);
    await addresses("a.example.org");
    expect(own).toContain("a.example.org");
    await until(
      () => store.state.get(KEYS.wantedNamesOf("a")),
      (seen) => seen === null,
      1_000,
    );
  });

  it("are wanted in the store, and not twice", async () => {
    resolver.watch(["a.example.org"]);
    await until(
      () => store.state.get(KEYS.wantedNamesOf("a")),
      (seen) => seen !== null,
    );
    const { revision } = store.state;
    resolver.watch(["a.example.org"]);
    await clock.advance(60_000);
    expect(store.state.revision).toBe(revision);
    resolver.watch([]);
    await until(
      () => store.state.get(KEYS.wantedNamesOf("a")),
      (seen) => seen === null,
    );
  });
});
