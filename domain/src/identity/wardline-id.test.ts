import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatWardlineId, isClusterName, isMemberName, parseWardlineId } from "./index.ts";

describe("parseWardlineId", () => {
  it("reads hosts and servers", () => {
    expect(parseWardlineId("spiffe://demo.wardline/host/web-1.example")).toEqual({
      trustDomain: "demo.wardline",
      kind: "host",
      name: "web-1.example",
    });
    expect(parseWardlineId("spiffe://demo/server/etcd-1")?.kind).toBe("server");
  });

  it.each([
    "spiffe://demo/host",
    "spiffe://demo/host/a/b",
    "spiffe://demo/Host/a",
    "spiffe://demo/hosts/a",
    "spiffe://demo/host/A",
    "spiffe://demo/host/-a",
    "spiffe://demo/host/a_b",
    "spiffe://demo/server/a.b",
    "spiffe://demo/workload/a",
  ])("gives nobody to %s", (text) => {
    expect(parseWardlineId(text)).toBeNull();
  });

  it("writes what it reads", () => {
    const names = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
    fc.assert(
      fc.property(names, fc.constantFrom("host" as const, "server" as const), (name, kind) => {
        const id = { trustDomain: "demo", kind, name };
        expect(parseWardlineId(formatWardlineId(id))).toEqual(id);
      }),
    );
    expect(() => formatWardlineId({ trustDomain: "demo", kind: "host", name: "../a" })).toThrow(RangeError);
    expect(() => formatWardlineId({ trustDomain: "De mo", kind: "host", name: "a" })).toThrow(RangeError);
  });
});

describe("names", () => {
  it("are DNS labels for clusters and host names for members", () => {
    expect([isClusterName("demo"), isClusterName("a.b"), isClusterName("a".repeat(64)), isClusterName("")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect([
      isMemberName("a.b"),
      isMemberName("a..b"),
      isMemberName("a\n"),
      isMemberName(`${"a".repeat(63)}.`.repeat(4)),
    ]).toEqual([true, false, false, false]);
  });
});
