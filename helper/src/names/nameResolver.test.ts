import { describe, expect, it } from "vitest";
import { HOLD_MS, type NameAnswer, NameResolver } from "./nameResolver.ts";

function makeResolver(answer: (name: string) => NameAnswer) {
  const asked: string[] = [];
  const clock = { nowMs: 0 };
  const resolver = new NameResolver({
    nowMs: () => clock.nowMs,
    lookup: async (name) => {
      asked.push(name);
      return answer(name);
    },
  });
  return { resolver, asked, clock };
}

const of = (...addresses: readonly string[]): NameAnswer => ({ addresses, timeToLiveMs: 30_000 });

describe("NameResolver", () => {
  it("asks again when the time of an answer is over, and not before", async () => {
    const { resolver, asked, clock } = makeResolver(() => of("192.0.2.1"));
    resolver.watch(["a.test"]);
    await resolver.update();
    clock.nowMs = 29_999;
    await resolver.update();
    expect(asked).toEqual(["a.test"]);
    clock.nowMs = 30_000;
    await resolver.update();
    expect(asked).toEqual(["a.test", "a.test"]);
    expect(resolver.addresses()).toEqual(new Map([["a.test", ["192.0.2.1"]]]));
  });

  it("keeps an address for a while after it has left the answers", async () => {
    let address = "192.0.2.1";
    const { resolver, clock } = makeResolver(() => of(address));
    resolver.watch(["a.test"]);
    await resolver.update();
    address = "192.0.2.2";
    clock.nowMs = 60_000;
    await resolver.update();
    expect(resolver.addresses().get("a.test")).toEqual(["192.0.2.1", "192.0.2.2"]);
    clock.nowMs = HOLD_MS + 1;
    await resolver.update();
    expect(resolver.addresses().get("a.test")).toEqual(["192.0.2.2"]);
  });

  it("keeps what it knows and says so when nobody answers", async () => {
    let isDown = false;
    const { resolver, clock } = makeResolver(() => {
      if (isDown) throw new Error("ETIMEOUT");
      return of("192.0.2.1");
    });
    resolver.watch(["a.test"]);
    await resolver.update();
    expect(resolver.problems).toEqual([]);
    isDown = true;
    clock.nowMs = HOLD_MS * 2;
    await resolver.update();
    expect(resolver.addresses().get("a.test")).toEqual(["192.0.2.1"]);
    expect(resolver.problems).toEqual(["a.test: no answer (ETIMEOUT)"]);
  });

  it("bounds the addresses of one name and forgets names that nobody watches", async () => {
    const { resolver } = makeResolver(() =>
      of(...Array.from({ length: 300 }, (_, last) => `10.0.${last >> 8}.${last & 255}`)),
    );
    resolver.watch(["a.test", "b.test"]);
    await resolver.update();
    expect(resolver.addresses().get("a.test")).toHaveLength(64);
    resolver.watch(["b.test"]);
    expect([...resolver.addresses().keys()]).toEqual(["b.test"]);
  });

  it("says that a name has no address", async () => {
    const { resolver } = makeResolver(() => of());
    resolver.watch(["a.test"]);
    await resolver.update();
    expect(resolver.addresses()).toEqual(new Map());
    expect(resolver.problems).toEqual(["a.test: the name has no address"]);
  });
});
