import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { HealthCheckKind, ServiceHealth, ServiceInstanceSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HandLeadership, instanceOf, KEYS } from "../../testing/discoveryLab.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import type { HeldTerm } from "../ports.ts";
import { ServiceRegistry } from "./registry.ts";
import { ServicePruner } from "./servicePruner.ts";
import { ServiceView } from "./serviceView.ts";
import { encodeMessage } from "./storedMessages.ts";

const ALL = { namespace: "", service: "" };
const log = { info: () => {}, warn: () => {} };

let clock: SimulatedClock;
let store: MemoryClusterStore;
let leadership: HandLeadership;
let registry: ServiceRegistry;
let term: HeldTerm;
let directory: string;

beforeEach(async () => {
  clock = new SimulatedClock();
  store = new MemoryClusterStore(new MemoryStoreState(clock));
  leadership = new HandLeadership(store);
  term = await leadership.elect();
  registry = new ServiceRegistry({ store, keys: KEYS, clock });
  directory = mkdtempSync(join(tmpdir(), "wardline-registry-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const keysThere = () => store.state.under(KEYS.services).map(({ key }) => key.slice(KEYS.services.length));
const code = (expected: ErrorCode) => expect.objectContaining({ code: expected });

describe("the registry of services", () => {
  it("keeps what is registered, in one form, and tells who registered it", async () => {
    const service = await registry.register(
      term,
      instanceOf({ address: "::ffff:10.0.0.5", labels: { app: "db" } }),
      "al",
    );
    expect(service).toMatchObject({ namespace: "default", instance: "10.0.0.5", registeredBy: "al" });
    expect(keysThere()).toEqual(["default/db/10.0.0.5"]);
    expect(await registry.list(ALL)).toEqual([service]);
  });

  it("lists what was asked for and nothing whose name only begins the same", async () => {
    await registry.register(term, instanceOf({ service: "db" }), "");
    await registry.register(term, instanceOf({ service: "db-old" }), "");
    await registry.register(term, instanceOf({ service: "db", namespace: "shop" }), "");
    const names = async (namespace: string, service: string) =>
      (await registry.list({ namespace, service })).map((one) => `${one.namespace}/${one.service}`);
    expect(await names("", "")).toEqual(["default/db", "default/db-old", "shop/db"]);
    expect(await names("default", "db")).toEqual(["default/db"]);
    expect(await names("", "db")).toEqual(["default/db", "shop/db"]);
    expect(await names("default", "")).toEqual(["default/db", "default/db-old"]);
  });

  it("removes one instance or all of a service, and says how many", async () => {
    for (const last of [1, 2, 3]) await registry.register(term, instanceOf({ address: `10.0.0.${last}` }), "");
    const named = { namespace: "", service: "db" };
    expect(await registry.deregister(term, { ...named, instance: "10.0.0.1" })).toBe(1);
    expect(await registry.deregister(term, { ...named, instance: "10.0.0.1" })).toBe(0);
    expect(await registry.deregister(term, { ...named, instance: "" })).toBe(2);
    expect(keysThere()).toEqual([]);
  });

  it.each(["../election", "*", "a b", ""])("never reaches another key by the service name %j", async (service) => {
    await expect(async () => registry.deregister(term, { namespace: "", service, instance: "" })).rejects.toEqual(
      code(ErrorCode.INVALID_ARGUMENT),
    );
    await expect(async () => registry.register(term, instanceOf({ service }), "")).rejects.toEqual(
      code(ErrorCode.INVALID_ARGUMENT),
    );
  });

  it("renews by registering again: health stays, and a renewal that comes at once writes nothing", async () => {
    const wanted = instanceOf({ timeToLive: durationFromMs(60_000), check: HealthCheckKind.TCP });
    const service = await registry.register(term, wanted, "al");
    service.health = ServiceHealth.PASSING;
    const key = KEYS.service("default", "db", "10.0.0.5");
    await store.transact({
      compare: [],
      then: [{ kind: "put", key, value: encodeMessage(ServiceInstanceSchema, service) }],
    });
    const { revision } = store.state;
    expect(await registry.register(term, wanted, "bo")).toEqual(service);
    expect(store.state.revision).toBe(revision);
    await clock.advance(20_000);
    const renewed = await registry.register(term, wanted, "bo");
    expect(renewed).toMatchObject({ health: ServiceHealth.PASSING, registeredBy: "al" });
    expect(Number(renewed.renewedAt?.seconds) - Number(service.renewedAt?.seconds)).toBe(20);
    const moved = await registry.register(term, instanceOf({ ...wanted, port: 5433 }), "bo");
    expect(moved).toMatchObject({ health: ServiceHealth.UNKNOWN, registeredBy: "bo" });
  });

  it("takes a hundred instances of a service and no more; another service has room", async () => {
    for (let last = 1; last <= 100; last++)
      await registry.register(term, instanceOf({ address: `10.0.1.${last}` }), "");
    await expect(registry.register(term, instanceOf({ address: "10.0.2.1" }), "")).rejects.toEqual(
      code(ErrorCode.TOO_LARGE),
    );
    await registry.register(term, instanceOf({ address: "10.0.1.7" }), "");
    await registry.register(term, instanceOf({ service: "other" }), "");
  });

  it("takes ten thousand in all, and one more when one was removed", async () => {
    const put = (from: number, count: number) =>
      store.transact({
        compare: [],
        then: Array.from({ length: count }, (_, at) => {
          const key = KEYS.service("many", `s${Math.floor((from + at) / 50)}`, `i${from + at}`);
          return { kind: "put", key, value: new Uint8Array() } as const;
        }),
      });
    await put(0, 9_999);
    await registry.register(term, instanceOf({}), "");
    await expect(registry.register(term, instanceOf({ service: "x" }), "")).rejects.toEqual(code(ErrorCode.TOO_LARGE));
    expect(await registry.deregister(term, { namespace: "default", service: "db", instance: "" })).toBe(1);
    await registry.register(term, instanceOf({ service: "x" }), "");
  });

  it("writes nothing once another node leads", async () => {
    await leadership.elect();
    await expect(registry.register(term, instanceOf({}), "")).rejects.toEqual(code(ErrorCode.NOT_LEADER));
    // Its own signal may be late: then the store refuses.
    const unaware = { ...term, signal: new AbortController().signal };
    await expect(registry.register(unaware, instanceOf({}), "")).rejects.toEqual(code(ErrorCode.NOT_LEADER));
    await expect(registry.deregister(unaware, { namespace: "", service: "db", instance: "" })).resolves.toBe(0);
    expect(keysThere()).toEqual([]);
  });

  it("leaves out what it cannot read and lists the rest", async () => {
    await registry.register(term, instanceOf({}), "");
    const key = KEYS.service("default", "db", "broken");
    await store.transact({ compare: [], then: [{ kind: "put", key, value: Buffer.from("{") }] });
    expect(await registry.list(ALL)).toHaveLength(1);
  });
});

describe("services that run out", () => {
  async function startPruner() {
    const services = new ServiceView({ store, prefix: KEYS.services, clock, random: () => 0.5, log });
    services.start();
    await clock.advance(0);
    const running = new ServicePruner({ store, services, clock }).run(term);
    return async () => {
      leadership.end();
      await clock.advance(10);
      await running;
      await services.stop();
    };
  }

  it("go when nobody renewed them, and stay as long as somebody does", async () => {
    const stop = await startPruner();
    const kept = instanceOf({ service: "kept", timeToLive: durationFromMs(10_000) });
    await registry.register(term, kept, "");
    await registry.register(term, instanceOf({ service: "left", timeToLive: durationFromMs(10_000) }), "");
    await registry.register(term, instanceOf({ service: "for-good" }), "");
    for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 5_000) {
      await clock.advance(5_000);
      await registry.register(term, kept, "");
    }
    expect(keysThere()).toEqual(["default/for-good/10.0.0.5", "default/kept/10.0.0.5"]);
    await stop();
  });

  it("are not kept alive by who writes their health", async () => {
    const stop = await startPruner();
    const service = await registry.register(term, instanceOf({ timeToLive: durationFromMs(10_000) }), "");
    const key = KEYS.service("default", "db", "10.0.0.5");
    for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 3_000) {
      await clock.advance(3_000);
      if (store.state.get(key) === null) continue;
      const value = encodeMessage(ServiceInstanceSchema, { ...service, healthDetail: String(waitedMs) });
      await store.transact({ compare: [], then: [{ kind: "put", key, value }] });
    }
    expect(keysThere()).toEqual([]);
    await stop();
  });

  it("get their whole time again from a leader that has just begun", async () => {
    await registry.register(term, instanceOf({ timeToLive: durationFromMs(10_000) }), "");
    await clock.advance(60_000);
    const stop = await startPruner();
    await clock.advance(9_000);
    expect(keysThere()).toHaveLength(1);
    await clock.advance(5_000);
    expect(keysThere()).toEqual([]);
    await stop();
  });
});
