import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import { SimulatedHost } from "../../testing/simulatedHost.ts";
import { PrefixMirror } from "./prefixMirror.ts";

const silent = { info: () => {}, warn: () => {} };

async function lab() {
  const world = new SimulatedClock();
  const service = { hasMajority: true };
  const host = new SimulatedHost(world, service);
  const state = new MemoryStoreState(world);
  const store = new MemoryClusterStore(state, host);
  const told: (string | null)[] = [];
  const ports = { store, prefix: "/a/", clock: host, random: () => 0.5, log: silent };
  const mirror = new PrefixMirror(ports, (events) => {
    if (events === null) told.push(null);
    else told.push(...events.map(({ kind, key }) => `${kind} ${key}`));
  });
  const put = (...keys: string[]) =>
    state.transact({ compare: [], then: keys.map((key) => ({ kind: "put", key, value: new Uint8Array() })) });
  const remove = (key: string) => state.transact({ compare: [], then: [{ kind: "delete", key }] });
  put("/a/1", "/b/1");
  mirror.start();
  await world.advance(50);
  const known = () => [...mirror.items().keys()].sort();
  return { world, service, host, state, store, mirror, told, put, remove, known };
}

describe("what lies under a prefix", () => {
  it("is read at once and followed change by change", async () => {
    const { world, mirror, told, put, remove, known } = await lab();
    put("/a/2", "/b/2");
    put("/b/3");
    remove("/a/1");
    await world.advance(50);
    expect(told).toEqual([null, "put /a/2", "delete /a/1"]);
    expect(known()).toEqual(["/a/2"]);
    expect([mirror.isFollowing, mirror.problem]).toEqual([true, null]);
  });

  it("is resumed where it stopped, nothing twice and nothing left out", async () => {
    const { world, state, store, told, put, known, mirror } = await lab();
    const { watch } = store;
    let failures = 3;
    // A watch that ends with a failure after each of its first messages.
    store.watch = async function* (request) {
      for await (const batch of watch.call(store, request)) {
        yield batch;
        if (failures-- > 0) throw new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "away" });
      }
    };
    await mirror.stop();
    const again = new PrefixMirror({ store, prefix: "/a/", clock: world, random: () => 0.5, log: silent }, (events) => {
      told.push(...(events ?? []).map(({ kind, key }) => `${kind} ${key} again`));
    });
    again.start();
    await world.advance(20);
    for (let number = 2; number < 8; number++) {
      put(`/a/${number}`);
      await world.advance(20);
    }
    await world.advance(2_000);
    expect(told.slice(1)).toEqual([2, 3, 4, 5, 6, 7].map((number) => `put /a/${number} again`));
    expect(again.items().size).toBe(7);
    expect(state.calls.get("range")).toBe(2);
    expect(known()).toEqual(["/a/1"]);
    await again.stop();
  });

  it("is read anew when its history is compacted away: what is gone is not kept", async () => {
    const { world, host, state, told, put, remove, known } = await lab();
    host.isCut = true;
    put("/a/2");
    remove("/a/1");
    state.compact(state.revision);
    await world.advance(1_000);
    host.isCut = false;
    await world.advance(3_000);
    expect(told).toEqual([null, null]);
    expect(known()).toEqual(["/a/2"]);
  });

  it("stays as it was while the store is away, and asks seldom", async () => {
    const { world, service, state, mirror, put, known } = await lab();
    const readAtMs = mirror.readAtMs!;
    service.hasMajority = false;
    const before = state.calls.get("watch")!;
    put("/a/2");
    await world.advance(600_000);
    expect(known()).toEqual(["/a/1"]);
    expect(mirror.readAtMs).toBe(readAtMs);
    expect(mirror.problem).not.toBeNull();
    // Each try lasts half a minute.
    expect(state.calls.get("watch")! - before).toBeLessThan(25);
    service.hasMajority = true;
    await world.advance(5_000);
    expect(known()).toEqual(["/a/1", "/a/2"]);
    expect(mirror.problem).toBeNull();
  });

  it("does not spin when every watch is refused at once", async () => {
    const { world, mirror, store } = await lab();
    await mirror.stop();
    let calls = 0;
    store.watch = () => {
      calls++;
      throw new Failure({ code: calls % 2 ? ErrorCode.COMPACTED : ErrorCode.STORE_UNAVAILABLE, message: "no" });
    };
    const again = new PrefixMirror({ store, prefix: "/a/", clock: world, random: () => 0.5, log: silent }, () => {});
    again.start();
    await world.advance(60_000);
    expect(calls).toBeLessThan(900);
    await again.stop();
  });
});
