import { parseFlowQuery } from "@wardline/domain/flows";
import { describe, expect, it } from "vitest";
import { chipsOf, isOnly, liveObstacle, narrowed, withCondition, withOnly } from "./chips.ts";

describe("what is asked most", () => {
  it("is the one value of its field, turned on and off without touching the rest", () => {
    expect(withOnly("", "verdict:deny", true)).toBe("verdict:deny");
    expect(withOnly("port:443 -host:db-1", "verdict:deny", true)).toBe("port:443 -host:db-1 verdict:deny");
    expect(withOnly("port:443 verdict:deny", "verdict:allow", true)).toBe("port:443 verdict:allow");
    expect(withOnly("-direction:in port:443", "direction:in", true)).toBe("port:443 direction:in");
    expect(withOnly("port:443 verdict:deny", "verdict:deny", false)).toBe("port:443");
    expect(isOnly("verdict:deny port:443", "verdict:deny")).toBe(true);
    expect(isOnly("verdict:deny,allow", "verdict:deny")).toBe(false);
    expect(isOnly("-verdict:deny", "verdict:deny")).toBe(false);
  });
});

describe("narrowed", () => {
  it("asks for both, where a click on a cell would ask for either", () => {
    expect(withCondition("port:443,80", "port:22", false)).toBe("port:443,80,22");
    expect(narrowed("port:443,80", "port:443")).toBe("port:443,80 port:443");
    expect(narrowed("port:443", "port:443")).toBe("port:443");
    expect(narrowed("a OR b", "host:web-1")).toBe("(text:a OR text:b) host:web-1");
    expect(narrowed("since:2026-11-20 port:1", "host:a process:b")).toContain("host:a process:b");
    for (const text of [narrowed("port:443,80", "port:443"), narrowed("a OR b", "host:web-1")]) {
      expect(parseFlowQuery(text, { nowMs: 0 }).query).toBeDefined();
      expect(chipsOf(text)?.length).toBe(2);
    }
  });
});

it("says why flows cannot be followed as they come", () => {
  expect(liveObstacle("")).toBeNull();
  expect(liveObstacle("(port:443 OR process:curl) -dst:10.0.0.0/8 since:-2h bytes>1M")).toBeNull();
  expect(liveObstacle("port:443 -(label:app=web)")).toBeNull();
  expect(liveObstacle("prot:1")?.code).toBe("WL602");
});
