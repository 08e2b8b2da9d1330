import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Flow, FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { expect, it } from "vitest";
import { parseFlowQuery } from "./language/parse.ts";
import { connectionsThat, flowMatcher } from "./live.ts";
import { NO_LABELS } from "./match.ts";

const NOW_MS = Date.UTC(2026, 10, 20);
const FLOW = create(FlowSchema, {
  host: "web-1",
  time: timestampFromMs(NOW_MS),
  direction: Direction.EGRESS,
  protocol: 6,
  sourceAddress: "10.0.0.1",
  destinationAddress: "203.0.113.9",
  destinationPort: 4443,
  verdict: Verdict.DENY,
  enforced: Verdict.ALLOW,
  process: { pid: 7, command: "curl", executable: "/usr/bin/curl" },
});

function question(text: string) {
  const { query } = parseFlowQuery(text, { nowMs: NOW_MS });
  if (!query) throw new Error(`${text} is no query`);
  return flowMatcher(query, NO_LABELS);
}

it("says of single flows what the language says of records", () => {
  const matches = (text: string) => question(text)(FLOW);
  for (const text of [
    "port:4000-5000",
    "(port:1 OR host:web-*)",
    "verdict:deny enforced:allow",
    "-policy:*",
    "process:curl",
  ])
    expect({ text, is: matches(text) }).toEqual({ text, is: true });
  for (const text of ["port:443", "-dst:203.0.113.0/24", "until:2026-11-19", "text:nginx"])
    expect({ text, is: matches(text) }).toEqual({ text, is: false });
});

it("keeps an end exactly when its start was kept: the end does not know the process", () => {
  const flow = (kind: FlowEventKind, sourcePort: number, command = ""): Flow => ({
    ...create(FlowSchema, { ...FLOW, kind, sourcePort, verdict: Verdict.ALLOW }),
    ...(command === "" ? { process: undefined } : { process: { ...FLOW.process!, command, executable: "" } }),
  });
  const stream = [
    flow(FlowEventKind.START, 1, "curl"),
    flow(FlowEventKind.START, 2, "wget"),
    flow(FlowEventKind.END, 2),
    flow(FlowEventKind.END, 1),
    // Of this one the start was never seen.
    flow(FlowEventKind.END, 3),
  ];
  const kept = (text: string) => {
    const keep = connectionsThat(question(text));
    // In two batches, as they come.
    return [...keep(stream.slice(0, 2)), ...keep(stream.slice(2))].map(
      ({ kind, sourcePort }) => `${kind} ${sourcePort}`,
    );
  };
  expect(kept("process:curl")).toEqual(["1 1", "2 1"]);
  expect(kept("-process:curl")).toEqual(["1 2", "2 2", "2 3"]);
});

it("tells the two ends of one connection apart where both are on one host", () => {
  const flow = (kind: FlowEventKind, direction: Direction, command = ""): Flow => ({
    ...create(FlowSchema, { ...FLOW, kind, direction, sourcePort: 1, verdict: Verdict.ALLOW }),
    ...(command === "" ? { process: undefined } : { process: { ...FLOW.process!, command, executable: "" } }),
  });
  const { EGRESS, INGRESS } = Direction;
  const keep = connectionsThat(question("process:curl"));
  const kept = keep([
    flow(FlowEventKind.START, EGRESS, "curl"),
    flow(FlowEventKind.START, INGRESS, "nginx"),
    flow(FlowEventKind.END, EGRESS),
    flow(FlowEventKind.END, INGRESS),
  ]);
  expect(kept.map(({ kind, direction }) => [kind, direction])).toEqual([
    [FlowEventKind.START, EGRESS],
    [FlowEventKind.END, EGRESS],
  ]);
});

it("forgets the oldest of more than 20,000 connections: their ends are asked by themselves", () => {
  const flow = (kind: FlowEventKind, index: number) =>
    create(FlowSchema, { kind, sourcePort: index % 60_000, protocol: Math.floor(index / 60_000) });
  const keep = connectionsThat(({ kind }) => kind === FlowEventKind.START);
  keep(Array.from({ length: 20_001 }, (_, index) => flow(FlowEventKind.START, index)));
  expect(keep([flow(FlowEventKind.END, 0)])).toEqual([]);
  expect(keep([flow(FlowEventKind.END, 1), flow(FlowEventKind.END, 20_000)])).toHaveLength(2);
});
