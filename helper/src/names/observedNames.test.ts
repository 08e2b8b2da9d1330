import { describe, expect, it } from "vitest";
import { NameResolver } from "./nameResolver.ts";
import { ObservedNames } from "./observedNames.ts";

describe("ObservedNames", () => {
  it("names addresses by what the agent's own questions were answered with, one name each, up to date", async () => {
    let nowMs = 0;
    let addresses = ["192.0.2.1", "2001:db8::1"];
    const lookup = async () => ({ addresses, timeToLiveMs: 1_000, isWhole: true });
    const resolver = new NameResolver({ lookup, nowMs: () => nowMs });
    const names = new ObservedNames(resolver, () => nowMs);
    expect(names.nameOf("192.0.2.1")).toBe("");
    resolver.watch(["www.example.org", "cdn.example.org"]);
    await resolver.update();
    nowMs += 10_000;
    expect(["192.0.2.1", "2001:db8::1", "192.0.2.2"].map((address) => names.nameOf(address))).toEqual([
      ...["cdn.example.org", "cdn.example.org", ""],
    ]);
    addresses = ["192.0.2.2"];
    await resolver.update();
    nowMs += 10_000;
    expect(["192.0.2.1", "192.0.2.2"].map((address) => names.nameOf(address))).toEqual(["", "cdn.example.org"]);
  });
});
