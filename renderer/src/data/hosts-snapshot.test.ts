import { create } from "@bufbuild/protobuf";
import { WatchHostsResponseSchema } from "@wardline/api/wardline/console/v1/hosts";
import { describe, expect, it } from "vitest";
import { reduceHosts } from "./hosts-snapshot.ts";

function message(generation: bigint, remainingSeconds: number) {
  return create(WatchHostsResponseSchema, {
    sequence: 1n,
    hosts: [
      {
        id: "a",
        name: "a",
        status: {
          pending: { generation: { number: generation }, remaining: { seconds: BigInt(remainingSeconds), nanos: 0 } },
        },
      },
    ],
  });
}

describe("reduceHosts", () => {
  it("puts the deadline on the window's clock and never moves it later", () => {
    const first = reduceHosts(null, message(4n, 60), 1_000, 0);
    expect(first.pending[0]?.deadlineMonotonicMs).toBe(61_000);
    const delayed = reduceHosts(first, message(4n, 59), 5_000, 0);
    expect(delayed.pending[0]?.deadlineMonotonicMs).toBe(61_000);
    expect(delayed.pending[0]?.totalMs).toBe(60_000);
    const earlier = reduceHosts(delayed, message(4n, 10), 6_000, 0);
    expect(earlier.pending[0]?.deadlineMonotonicMs).toBe(16_000);
  });

  it("starts anew for another generation", () => {
    const first = reduceHosts(null, message(4n, 60), 1_000, 0);
    const next = reduceHosts(first, message(5n, 120), 2_000, 0);
    expect(next.pending[0]).toMatchObject({ deadlineMonotonicMs: 122_000, totalMs: 120_000 });
  });
});
