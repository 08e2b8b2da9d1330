import { describe, expect, it } from "vitest";
import { ErrorCode, Failure } from "../errors/index.ts";
import { resolveFlowEnds } from "./flow-ends.ts";
import { host, workload, world } from "./testing/index.ts";

const asked = world(
  [
    host("edge", { addresses: ["10.0.0.1", "2001:db8::1"] }),
    host("six", { addresses: ["2001:db8::6"] }),
    host("bare"),
    host("twin-a", { addresses: ["10.0.0.50"] }),
    host("twin-b", { addresses: ["10.0.0.50"] }),
    workload("db", "edge", { namespace: "prod" }),
    workload("db", "six", { namespace: "test" }),
  ],
  [],
);

function ends(from: string, to: string, family?: 4 | 6): unknown {
  const { from: one, to: other } = resolveFlowEnds(asked, from, to, family === undefined ? {} : { family });
  return [one, other].map(({ endpointKey, address }) => `${endpointKey} ${address}`);
}

function failure(from: string, to: string): Failure {
  try {
    resolveFlowEnds(asked, from, to);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("it should fail");
}

describe("flow ends", () => {
  it("are found by key, by namespace and name, by name and by address", () => {
    expect(ends("Workload/prod/db", "10.0.0.1")).toEqual(["Workload/prod/db 10.0.0.1", "Host/edge 10.0.0.1"]);
    expect(ends("prod/db", "edge")).toEqual(["Workload/prod/db 10.0.0.1", "Host/edge 10.0.0.1"]);
    expect(ends("edge", "192.0.2.1")).toEqual(["Host/edge 10.0.0.1", "null 192.0.2.1"]);
  });

  it("take IPv4 where both have it, IPv6 where asked or where only that fits", () => {
    expect(ends("edge", "prod/db", 6)).toEqual(["Host/edge 2001:db8::1", "Workload/prod/db 2001:db8::1"]);
    expect(ends("edge", "six")).toEqual(["Host/edge 2001:db8::1", "Host/six 2001:db8::6"]);
    expect(ends("edge", "2001:db8::99")).toEqual(["Host/edge 2001:db8::1", "null 2001:db8::99"]);
  });

  it("take an IPv4-mapped address as IPv4", () => {
    expect(ends("::ffff:10.0.0.1", "10.9.9.9")).toEqual(["Host/edge 10.0.0.1", "null 10.9.9.9"]);
  });

  it("fail with all candidates for a name or an address that several have", () => {
    expect(failure("db", "edge")).toMatchObject({
      code: ErrorCode.INVALID_ARGUMENT,
      message: '"db" can be Workload/prod/db, Workload/test/db.',
    });
    expect(failure("10.0.0.50", "edge").message).toBe('"10.0.0.50" can be Host/twin-a, Host/twin-b.');
  });

  it("fail for unknown names, endpoints without addresses and ends without a common family", () => {
    expect(failure("nobody", "edge")).toMatchObject({
      code: ErrorCode.NOT_FOUND,
      message: 'No host or workload is called "nobody".',
    });
    expect(failure("10.0.0.999", "edge").message).toBe('"10.0.0.999" is not an IPv4 or IPv6 address.');
    expect(failure("edge", "bare").message).toBe("Host/bare has no address.");
    expect(failure("six", "10.0.0.9").message).toContain("no address family in common");
  });
});
