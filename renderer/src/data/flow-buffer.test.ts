import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { WatchFlowsResponseSchema } from "@wardline/api/wardline/console/v1/flows";
import { FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { describe, expect, it } from "vitest";
import { FLOW_BUFFER_ROWS, flowsBehindMs, flowVerdict, reduceFlows, toWireQuestion } from "./flow-buffer.ts";

const flow = (id: number, verdict = Verdict.ALLOW, enforced = verdict, second = 100) =>
  create(FlowSchema, { id: BigInt(id), verdict, enforced, time: timestampFromMs(second * 1000) });
const message = (sequence: number, flows: ReturnType<typeof flow>[]) =>
  create(WatchFlowsResponseSchema, {
    sequence: BigInt(sequence),
    flows,
    ratePerSecond: 5,
    losses: { rateLimited: 3n },
  });

describe("flowVerdict", () => {
  it("shows a deny that was let through as observed, never as allowed", () => {
    expect(flowVerdict(flow(1, Verdict.DENY, Verdict.ALLOW))).toBe("observed");
    expect(flowVerdict(flow(1, Verdict.DENY, Verdict.DENY))).toBe("deny");
    expect(flowVerdict(flow(1, Verdict.ALLOW, Verdict.ALLOW))).toBe("allow");
    expect(flowVerdict(flow(1, Verdict.UNSPECIFIED))).toBe("unknown");
  });
});

describe("reduceFlows", () => {
  it("orders newest first, whatever the order of a batch, and takes no row twice", () => {
    const first = reduceFlows(null, message(1, [flow(3), flow(1), flow(2)]));
    const second = reduceFlows(first, message(2, [flow(3), flow(4), flow(5)]));
    expect(second.rows.map((row) => Number(row.id))).toEqual([5, 4, 3, 2, 1]);
    expect(second.received).toBe(5);
    expect(second.losses.rateLimited).toBe(3n);
  });

  it("takes names of the inventory for ends that the host had none for, whatever an address is called", () => {
    const ends = { sourceAddress: "10.0.0.1", destinationAddress: "constructor" };
    const batch = message(1, [
      { ...flow(2), ...ends },
      { ...flow(1), ...ends, sourceName: "web-1" },
    ]);
    const { rows } = reduceFlows(null, { ...batch, names: { "10.0.0.1": "web-2" } });
    expect(rows.map((row) => [row.sourceName, row.sourceDisplayName, row.destinationDisplayName])).toEqual([
      ["", "web-2", undefined],
      ["web-1", undefined, undefined],
    ]);
  });

  it("completes each end of a connection with its own end where both are on one host", () => {
    const start = { ...flow(1), kind: FlowEventKind.START, sourcePort: 40_000, direction: Direction.EGRESS };
    const other = { ...start, id: 2n, direction: Direction.INGRESS };
    const end = { ...start, id: 3n, kind: FlowEventKind.END, packets: 3n };
    const otherEnd = { ...other, id: 4n, kind: FlowEventKind.END, packets: 4n };
    const { rows } = reduceFlows(null, message(1, [start, other, end, otherEnd]));
    expect(rows.map(({ id, packets }) => [Number(id), packets])).toEqual([
      [2, 4n],
      [1, 3n],
    ]);
  });

  it("completes a connection's row with its end, in the same batch or later", () => {
    const start = { ...flow(1), kind: FlowEventKind.START, sourcePort: 40_000, packets: 1n };
    const other = { ...flow(2), kind: FlowEventKind.START, sourcePort: 40_001, packets: 1n };
    const end = { ...flow(3), kind: FlowEventKind.END, sourcePort: 40_000, packets: 9n };
    const shown = (buffer: ReturnType<typeof reduceFlows>) =>
      buffer.rows.map(({ id, packets }) => [Number(id), packets]);
    expect(shown(reduceFlows(null, message(1, [start, other, end])))).toEqual([
      [2, 1n],
      [1, 9n],
    ]);
    const first = reduceFlows(null, message(1, [start, other]));
    const second = reduceFlows(first, message(2, [end]));
    expect(shown(second)).toEqual([
      [2, 1n],
      [1, 9n],
    ]);
    // A batch that is sent again changes nothing.
    expect(shown(reduceFlows(second, message(3, [end])))).toEqual(shown(second));
  });
  it("keeps the end of a connection whose start it does not know", () => {
    const end = { ...flow(3), kind: FlowEventKind.END, sourcePort: 40_000 };
    expect(reduceFlows(null, message(1, [end])).rows).toHaveLength(1);
  });
  it("is bounded", () => {
    const many = Array.from({ length: FLOW_BUFFER_ROWS + 50 }, (_, index) => flow(index + 1));
    const buffer = reduceFlows(null, message(1, many));
    expect(buffer.rows).toHaveLength(FLOW_BUFFER_ROWS);
    expect(buffer.received).toBe(FLOW_BUFFER_ROWS + 50);
    expect(Number(buffer.rows[0]?.id)).toBe(FLOW_BUFFER_ROWS + 50);
  });
  it("counts by second and verdict", () => {
    const buffer = reduceFlows(
      null,
      message(1, [flow(1), flow(2, Verdict.DENY), flow(3, Verdict.DENY, Verdict.ALLOW, 101)]),
    );
    expect(buffer.strip.get(100)).toEqual({ allow: 1, deny: 1, observed: 0 });
    expect(buffer.strip.get(101)).toEqual({ allow: 0, deny: 0, observed: 1 });
    const later = reduceFlows(buffer, message(2, [flow(4, Verdict.ALLOW, Verdict.ALLOW, 1_000)]));
    expect([...later.strip.keys()]).toEqual([1_000]);
    const inTheFuture = reduceFlows(later, message(3, [flow(5, Verdict.ALLOW, Verdict.ALLOW, 9_000_000_000)]));
    expect([...inTheFuture.strip.keys()]).toEqual([1_000]);
  });
});

it("counts what passed too fast to list, with its seconds, apart from rows and losses", () => {
  const passing = (sequence: number, passed: number, ids: number[], allowed = 0n) => ({
    ...message(
      sequence,
      ids.map((id) => flow(id)),
    ),
    passed: BigInt(passed),
    passedSeconds: [
      { $typeName: "wardline.console.v1.FlowSecond" as const, unixSeconds: 100n, allowed, denied: 2n, observed: 0n },
    ],
  });
  const first = reduceFlows(null, passing(1, 0, [1]));
  const second = reduceFlows(first, passing(2, 500, [601], 498n));
  expect(second).toMatchObject({ passed: 500, received: 2, holes: 0 });
  expect(second.strip.get(100)).toEqual({ allow: 500, deny: 4, observed: 0 });
  // A new stream counts from its own beginning.
  const again = reduceFlows(null, passing(1, 0, [601, 602]), second);
  expect(reduceFlows(again, passing(2, 30, [700]))).toMatchObject({ passed: 530, received: 4, holes: 0 });
});

it("says how far the rows are behind the hosts, and grows older while nothing comes", () => {
  const value = (behindSeconds: number) => reduceFlows(null, { ...message(1, []), behindSeconds });
  const at = (behindSeconds: number, silentMs: number) =>
    flowsBehindMs({ value: value(behindSeconds), receivedAtMs: 1_000 }, 1_000 + silentMs);
  expect([at(0, 0), at(0.4, 1_000), at(1.9, 1_900)]).toEqual([0, 0, 0]);
  expect([at(7, 100), at(0, 4_000), at(7, 4_000)]).toEqual([7_000, 4_000, 11_000]);
  expect(flowsBehindMs({ value: null, receivedAtMs: null }, 9_000)).toBe(0);
});

describe("after an interruption", () => {
  const before = reduceFlows(null, message(1, [flow(1), flow(2), flow(3)]));
  it("goes on where it was when what is sent again reaches back to what is known", () => {
    const after = reduceFlows(null, message(1, [flow(2), flow(3), flow(4), flow(5)]), before);
    expect(after.rows.map(({ id }) => Number(id))).toEqual([5, 4, 3, 2, 1]);
    expect(after).toMatchObject({ received: 5, holes: 0 });
  });
  it("says that something may be missing when it does not reach back, and goes on counting", () => {
    const after = reduceFlows(null, message(1, [flow(8), flow(9)]), before);
    expect(after.rows.map(({ id }) => Number(id))).toEqual([9, 8]);
    expect(after).toMatchObject({ received: 5, holes: 1 });
    expect(reduceFlows(after, message(2, [flow(10)]))).toMatchObject({ received: 6, holes: 1 });
  });
  it("begins anew when nothing was known", () => {
    expect(reduceFlows(null, message(1, [flow(8)]), null)).toMatchObject({ received: 1, holes: 0 });
  });
});

it("an end completes the newest start before it: an earlier connection of the same two ports stays without one", () => {
  const start = (id: number) => ({ ...flow(id), kind: FlowEventKind.START, sourcePort: 40_000, packets: 1n });
  const end = (id: number) => ({ ...flow(id), kind: FlowEventKind.END, sourcePort: 40_000, packets: 9n });
  const first = reduceFlows(null, message(1, [start(1), start(2), end(3)]));
  const second = reduceFlows(first, message(2, [start(4), end(5)]));
  expect(second.rows.map(({ id, kind }) => [Number(id), kind])).toEqual([
    [4, FlowEventKind.END],
    [2, FlowEventKind.END],
    [1, FlowEventKind.START],
  ]);
  expect(second.rows[0]?.endTime).toBeDefined();
  expect(second.received).toBe(3);
});

describe("toWireQuestion", () => {
  it("carries every part", () => {
    const wire = toWireQuestion({ text: "verdict:deny -port:53", hostIds: ["local"], lastMs: 60_000 }, 100_000);
    expect(wire.query).toBe("verdict:deny -port:53");
    expect(wire.filter.hostIds).toEqual(["local"]);
    expect(wire.filter.since && timestampMs(wire.filter.since)).toBe(40_000);
  });
});
