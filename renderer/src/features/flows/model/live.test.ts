import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { WatchFlowsResponseSchema } from "@wardline/api/wardline/console/v1/flows";
import { RecordSort } from "@wardline/api/wardline/console/v1/history";
import { FlowEventKind, FlowHook, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { describe, expect, it } from "vitest";
import { FLOW_BUFFER_ROWS, type FlowBuffer, type LiveFlow, reduceFlows } from "../../../data/flow-buffer.ts";
import { heldText } from "../components/live-footer.tsx";
import { heldBack } from "../hooks/use-live-rows.ts";
import { COLUMN_NAMES, COLUMNS } from "./columns.ts";
import { rowsAs } from "./copy-rows.ts";
import { sortedItems } from "./live-order.ts";
import { recordOfFlow } from "./live-record.ts";
import { commonVerdict, distinctFlows } from "./proposed-flows.ts";
import { cellOf } from "./record-view.ts";

const flow = (id: number, over: Partial<LiveFlow> = {}): LiveFlow => ({
  ...create(FlowSchema, {
    id: BigInt(id),
    host: "web-1",
    time: timestampFromMs(Date.UTC(2026, 10, 20, 14, 3, 22, 417) + id),
    kind: FlowEventKind.START,
    direction: Direction.EGRESS,
    protocol: 6,
    sourceAddress: "10.0.0.1",
    sourcePort: 40_000 + id,
    destinationAddress: "203.0.113.9",
    destinationPort: 443,
    verdict: Verdict.ALLOW,
    enforced: Verdict.ALLOW,
    hook: FlowHook.SOCKET,
    generation: 41n,
    subjectKey: "Host/web-1",
    cgroupPath: "/system.slice/a.service",
    packets: 3n,
    bytes: 400n,
    originatorBytes: 100n,
    responderBytes: 300n,
    decision: { policyKeys: ["Policy/default/web"], rule: "egress[0]", summary: "allowed" },
    process: { pid: 7, userId: 33, userName: "www-data", command: "curl", executable: "/usr/bin/curl" },
  }),
  ...over,
});

describe("a live flow as a row", () => {
  it("says something in every column of the history, and its time to the millisecond", () => {
    const ended = flow(0, {
      kind: FlowEventKind.END,
      endTime: timestampFromMs(Date.UTC(2026, 10, 20, 14, 3, 24, 417)),
    });
    const item = recordOfFlow(ended);
    for (const name of COLUMN_NAMES) {
      const cell = cellOf(item, name);
      expect({ name, text: cell.text, isFaint: cell.isFaint }).not.toMatchObject({ isFaint: true });
      expect(cell.text).not.toBe("");
    }
    expect(cellOf(item, "when").text).toMatch(/^20 Nov \d\d:03:22\.417$/);
    expect(cellOf(item, "bytes").text).toBe("400 B");
    expect(cellOf(item, "duration").text).toBe("2.0 s");
    expect(cellOf(recordOfFlow(flow(1)), "duration").text).toBe("not known");
  });
  it("has no address of its own when it was refused before one was chosen, and no process where there is no socket", () => {
    const refused = flow(1, { hook: FlowHook.CONNECT, sourceAddress: "0.0.0.0", verdict: Verdict.DENY });
    expect(recordOfFlow(refused).record?.sourceAddress).toBe("");
    const edge = { ...flow(2, { hook: FlowHook.EDGE }), process: undefined } as unknown as LiveFlow;
    expect(cellOf(recordOfFlow(edge), "process").text).toBe("no socket here");
  });
  it("is read once, however often it is drawn", () => {
    const one = flow(1);
    expect(recordOfFlow(one)).toBe(recordOfFlow(one));
  });
});

it("a list that stands still is sorted by every column that the store sorts by, what is not known last", () => {
  const rows = [
    flow(4, { destinationPort: 22, originatorBytes: 5n }),
    { ...flow(3, { destinationPort: 8080 }), process: undefined } as unknown as LiveFlow,
    flow(2, { destinationPort: 443, originatorBytes: 900n, verdict: Verdict.DENY, enforced: Verdict.DENY }),
    flow(1, { destinationPort: 22, host: "db-1" }),
  ];
  const order = (sort: RecordSort, isAscending: boolean) =>
    sortedItems(rows, recordOfFlow, { sort, isAscending }).map(({ id }) => Number(id));
  expect(order(RecordSort.PORT, true)).toEqual([4, 1, 2, 3]);
  expect(order(RecordSort.PORT, false)).toEqual([3, 2, 4, 1]);
  expect(order(RecordSort.BYTES, false)).toEqual([2, 3, 1, 4]);
  expect(order(RecordSort.PROCESS, true).at(-1)).toBe(3);
  expect(order(RecordSort.PROCESS, false).at(-1)).toBe(3);
  expect(order(RecordSort.HOST, true)[0]).toBe(1);
  expect(order(RecordSort.VERDICT, false)[0]).toBe(2);
  expect(order(RecordSort.TIME, true)).toEqual([1, 2, 3, 4]);
  const sortedBy = (sort: RecordSort, isAscending: boolean, ...own: Partial<LiveFlow>[]) =>
    sortedItems(
      own.map((each, index) => flow(index, each)),
      recordOfFlow,
      { sort, isAscending },
    ).map(({ id }) => Number(id));
  const ends = ["10.0.0.10", "2001:db8::1", "10.0.0.9", "::1"].map((sourceAddress) => ({ sourceAddress }));
  expect(sortedBy(RecordSort.SOURCE, true, ...ends, { hook: FlowHook.CONNECT, sourceAddress: "::" })).toEqual([
    3, 2, 0, 1, 4,
  ]);
  expect(sortedBy(RecordSort.PORT, true, { protocol: 1, destinationPort: 0 }, {})).toEqual([1, 0]);
  const { ALLOW, DENY } = Verdict;
  const verdicts = [{ verdict: DENY, enforced: DENY }, { verdict: DENY, enforced: ALLOW }, {}];
  expect(sortedBy(RecordSort.VERDICT, true, ...verdicts)).toEqual([2, 1, 0]);
  // Hosts report when they can: what arrives last did not happen last.
  const at = (second: number) => ({ time: timestampFromMs(Date.UTC(2026, 10, 20, 14, 3, second)) });
  const arrived = [at(3), at(5), at(4), {}];
  expect(sortedBy(RecordSort.TIME, false, ...arrived)).toEqual([3, 1, 2, 0]);
  expect(sortedBy(RecordSort.TIME, true, ...arrived)).toEqual([0, 2, 1, 3]);
  expect(sortedBy(RecordSort.UNSPECIFIED, false, ...arrived)).toEqual([0, 1, 2, 3]);
  for (const { sort } of Object.values(COLUMNS))
    if (sort !== null) expect(order(sort, true).toSorted()).toEqual([1, 2, 3, 4]);
});

describe("freezing", () => {
  const batch = (from: number, count: number, sequence: number) =>
    create(WatchFlowsResponseSchema, {
      sequence: BigInt(sequence),
      flows: Array.from({ length: count }, (_, index) => flow(from + index)),
    });
  it("holds back, and counts what is pushed out of the window meanwhile: nothing goes that nobody counted", () => {
    let buffer: FlowBuffer = reduceFlows(null, batch(1, 2_000, 1));
    const frozen = { buffer, atMs: 5 };
    expect(heldBack(frozen, buffer)).toEqual({ sinceMs: 5, rows: 0, pushedOut: 0, isAtLeast: false });
    for (let step = 0; step < 12; step++) buffer = reduceFlows(buffer, batch(2_001 + step * 1_000, 1_000, step + 2));
    const held = heldBack(frozen, buffer);
    expect(held).toEqual({ sinceMs: 5, rows: 12_000, pushedOut: 12_000 - FLOW_BUFFER_ROWS, isAtLeast: false });
    // What is shown after it goes on, and what is counted as gone, are all that came.
    expect(buffer.rows.length + held.pushedOut).toBe(12_000);
    expect(heldText(held)).toBe(" · 12,000 newer held back, of which 2,000 only the history still has");
    const again = reduceFlows(null, batch(30_000, 100, 1), buffer);
    expect(heldText(heldBack(frozen, again))).toMatch(/^ · at least 12,100 newer held back/);
    expect(heldText(heldBack(null, buffer))).toBe("");
  });
});

describe("rows as others read them", () => {
  const items = [flow(1), flow(2, { verdict: Verdict.DENY, enforced: Verdict.ALLOW, host: '=1+"2"' })].map(
    recordOfFlow,
  );
  it("CSV has the columns that are shown, plain numbers and UTC, and no formula", () => {
    const columns = (["when", "host", "verdict", "peer", "bytes", "direction"] as const).map((name) => ({
      name,
      width: 90,
    }));
    expect(rowsAs("csv", items, columns).split("\r\n")).toEqual([
      "first_seen,last_seen,host,verdict,enforced,peer_name,peer_address,originator_bytes,responder_bytes,direction",
      "2026-11-20T14:03:22.418Z,,web-1,allow,allow,,203.0.113.9,100,300,out",
      `2026-11-20T14:03:22.419Z,2026-11-20T14:03:22.419Z,"'=1+""2""",deny,allow,,203.0.113.9,100,300,out`,
      "",
    ]);
  });
  it("NDJSON has a line each; a command is there once", () => {
    expect(
      rowsAs("ndjson", items, [])
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).record.destinationPort),
    ).toEqual([443, 443]);
    expect(rowsAs("cli", [items[0]!, items[0]!], [])).toMatch(/^wardline flows query '[^\n]*'\n$/);
  });
});

it("one proposal has each connection once, whatever the originator's port; a test needs one verdict", () => {
  expect(distinctFlows([flow(1), flow(2), flow(3, { destinationPort: 22 })])).toHaveLength(2);
  expect(distinctFlows([flow(1, { sourceAddress: "", subjectKey: "" })])).toEqual([]);
  const folded = { destinationAddress: "", subjectKey: "Host/web-1" };
  expect(distinctFlows([flow(1, folded)])).toEqual([]);
  expect(distinctFlows([flow(1, { ...folded, direction: Direction.INGRESS })])).toMatchObject([{ to: "Host/web-1" }]);
  expect(distinctFlows([flow(1, { sourceAddress: "", direction: Direction.INGRESS })])).toEqual([]);
  expect(distinctFlows([flow(1, { sourceAddress: "0.0.0.0" })])).toMatchObject([{ from: "Host/web-1" }]);
  expect(commonVerdict([flow(1), flow(2)])).toBe(Verdict.ALLOW);
  expect(commonVerdict([flow(1), flow(2, { verdict: Verdict.DENY })])).toBeNull();
});
