import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  FlowDimension,
  FlowMeasure,
  HistoryResolution,
  MapChangeKind,
  MapGrouping,
} from "@wardline/api/wardline/console/v1/history";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import type { FlowRecord } from "@wardline/domain/flows";
import { failureFromConnectError, toWireFlowRecord } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../../testing/console.ts";
import { FakeAgent } from "../../testing/fake-agent.ts";
import { type FlowHistory, USUAL_RETENTION_LIMITS } from "../flow-history.ts";
import { MemoryHistory } from "../testing/memory-history.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web}}
spec: {addresses: [192.0.2.10]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [192.0.2.20]}
`;

/** `web-1` to `db-1`, as `web-1` saw it. */
function record(changes: Partial<FlowRecord> = {}): FlowRecord {
  const windowStartMs = changes.windowStartMs ?? NOW_MS - HOUR_MS;
  return {
    ...{
      host: "web-1",
      windowStartMs,
      windowMs: 10_000,
      firstSeenMs: windowStartMs,
      lastSeenMs: windowStartMs + 5_000,
    },
    ...{ direction: "egress", protocol: 6, sourceAddress: "192.0.2.10", destinationAddress: "192.0.2.20" },
    ...{
      destinationPort: 5432,
      sourceName: "",
      destinationName: "",
      observedName: "",
      verdict: "allow",
      enforced: "allow",
    },
    ...{
      policyKeys: ["NetworkPolicy/default/web"],
      decisionSummary: "allowed",
      subjectKey: "Host/web-1",
      cgroupPath: "",
    },
    process: { pid: 7, userId: 33, userName: "www-data", command: "psql", executable: "/usr/bin/psql" },
    ...{ started: 2, ended: 2, deniedPackets: 0, packets: 20, originatorBytes: 1_000, responderBytes: 5_000 },
    foldedFlows: 0,
    ...changes,
  };
}

let history: MemoryHistory;
let tester: TestConsole;
let sequence = 0n;

async function keep(records: readonly FlowRecord[], host = "web-1"): Promise<void> {
  sequence += 1n;
  const batch = create(FlowRecordBatchSchema, { sequence, records: records.map(toWireFlowRecord) });
  await history.ingest([{ hostId: "local", hostName: host, journalId: "j", batches: [batch] }]);
}

async function start(flowHistory: FlowHistory, options = {}): Promise<TestConsole> {
  const agent = new FakeAgent();
  const console_ = startTestConsole(agent, {
    flowHistory,
    collectFlows: false,
    introducesLocalHost: false,
    ...options,
  });
  console_.backend.workspace.putAll([{ path: "hosts.yaml", text: INVENTORY }]);
  return console_;
}

beforeEach(async () => {
  sequence = 0n;
  history = new MemoryHistory();
  tester = await start(history);
});
afterEach(() => tester.close());

async function failureOf(answer: Promise<unknown>) {
  return failureFromConnectError(
    await answer.then(
      () => null,
      (error: unknown) => error,
    ),
  );
}

describe("searchRecords", () => {
  it("finds records newest first, names both ends, and says what was searched", async () => {
    await keep([
      record({ windowStartMs: NOW_MS - 2 * HOUR_MS }),
      record({ destinationAddress: "203.0.113.9", observedName: "api.example.com", destinationPort: 443 }),
      record({ windowStartMs: NOW_MS - 3 * HOUR_MS, verdict: "deny" }),
    ]);
    const messages = await collect(tester.history.searchRecords({ query: { text: "verdict:allow process:psql" } }));
    const records = messages.flatMap((message) => message.records);
    expect(
      records.map((each) => [
        each.host,
        each.record?.destinationPort,
        each.sourceDisplayName,
        each.destinationDisplayName,
      ]),
    ).toEqual([
      ["web-1", 443, "web-1", "api.example.com"],
      ["web-1", 5432, "web-1", "db-1"],
    ]);
    expect(records[0]?.record?.destinationAddress).toBe("203.0.113.9");
    expect(messages.at(-1)).toMatchObject({
      nextPageToken: "",
      searched: { matched: 2n, isComplete: true, total: 3n },
    });
  });
  it("goes on page by page without losing or repeating one", async () => {
    await keep(Array.from({ length: 25 }, (_, index) => record({ destinationPort: index + 1 })));
    const ports: number[] = [];
    let pageToken = "";
    do {
      const messages = await collect(tester.history.searchRecords({ query: { text: "" }, limit: 10, pageToken }));
      ports.push(...messages.flatMap(({ records }) => records.map((each) => each.record?.destinationPort ?? 0)));
      pageToken = messages.at(-1)?.nextPageToken ?? "";
    } while (pageToken !== "");
    expect([...ports].sort((left, right) => left - right)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
  });
  it("knows labels, groups of hosts, and hosts by their alias", async () => {
    await keep([
      record(),
      record({ sourceAddress: "198.51.100.1", subjectKey: "", destinationAddress: "198.51.100.2" }),
    ]);
    const count = async (text: string) =>
      (await collect(tester.history.searchRecords({ query: { text } }))).at(-1)?.searched?.matched;
    expect(await count("label:app=web")).toBe(1n);
    expect(await count("label:app=db")).toBe(1n);
    expect(await count("label:app")).toBe(1n);
    expect(await count("label:app=nosuch")).toBe(0n);
    expect(await count("host:LOCAL")).toBe(0n);
    expect(await count("host:web-1")).toBe(2n);
  });
  it("the window in the text counts before the one beside it", async () => {
    await keep([record({ windowStartMs: NOW_MS - 5 * HOUR_MS }), record()]);
    const matched = async (text: string, sinceMs: number) =>
      (await collect(tester.history.searchRecords({ query: { text, since: timestampFromMs(sinceMs) } }))).at(-1)
        ?.searched?.matched;
    expect(await matched("", NOW_MS - 2 * HOUR_MS)).toBe(1n);
    expect(await matched(`since:${new Date(NOW_MS - 6 * HOUR_MS).toISOString()}`, NOW_MS - 2 * HOUR_MS)).toBe(2n);
  });
  it("refuses a query that cannot be read, with every place", async () => {
    const failure = await failureOf(collect(tester.history.searchRecords({ query: { text: "prot:1 verdict:maybe" } })));
    expect(failure?.code).toBe(ErrorCode.QUERY_INVALID);
    expect(failure?.diagnostics.map(({ code, source }) => [code, source.column])).toEqual([
      ["WL602", 1],
      ["WL604", 16],
    ]);
    for (const request of [{ limit: 5_000 }, { pageToken: "x".repeat(501) }]) {
      expect((await failureOf(collect(tester.history.searchRecords(request))))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    }
  });
});

/** Searches never end by themselves. */
class SlowHistory extends MemoryHistory {
  ended = 0;

  override async *search(...[, , signal]: Parameters<FlowHistory["search"]>): ReturnType<FlowHistory["search"]> {
    try {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    } finally {
      this.ended += 1;
    }
  }
}

describe("a search that takes long", () => {
  it("says how far it is all the time, and ends when the caller goes", async () => {
    const slow = new SlowHistory();
    const other = await start(slow);
    try {
      const caller = new AbortController();
      const times: number[] = [];
      const startedMs = performance.now();
      await expect(async () => {
        for await (const message of other.history.searchRecords({}, { signal: caller.signal })) {
          expect(message).toMatchObject({ records: [], searched: { isComplete: false } });
          times.push(performance.now() - startedMs);
          if (times.length === 3) caller.abort();
        }
      }).rejects.toThrow();
      expect(times.length).toBe(3);
      await expect.poll(() => slow.ended).toBe(1);
    } finally {
      await other.close();
    }
  });
});

describe("groupRecords", () => {
  it("sums by dimensions with names, and the last message is final", async () => {
    await keep([
      record(),
      record(),
      record({ destinationAddress: "203.0.113.9", observedName: "api.example.com", protocol: 17, started: 9 }),
    ]);
    const by = [FlowDimension.PEER, FlowDimension.PROTOCOL];
    const messages = await collect(tester.history.groupRecords({ query: {}, by, limit: 10 }));
    const last = messages.at(-1);
    expect(last?.groups.map(({ values, names, sums }) => [values, names, sums?.connections])).toEqual([
      [["203.0.113.9", "17"], ["api.example.com", "udp"], 9n],
      [["192.0.2.20", "6"], ["db-1", "tcp"], 4n],
    ]);
    expect(last).toMatchObject({ isFinal: true, groupCount: 2n, total: { records: 3n, connections: 13n } });
    const byBytes = await collect(tester.history.groupRecords({ by: [FlowDimension.PORT], order: FlowMeasure.BYTES }));
    expect(byBytes.at(-1)?.groups[0]).toMatchObject({ values: ["5432"], sums: { originatorBytes: 3_000n } });
  });
  it.each([
    [[], "one to 3 different dimensions; 0 were given"],
    [[FlowDimension.PORT, FlowDimension.PORT], "different"],
    [[1, 2, 3, 4], "4 were given"],
    [[99], "no dimension 99"],
  ])("refuses %j", async (by, message) => {
    const failure = await failureOf(collect(tester.history.groupRecords({ by })));
    expect(failure?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(failure?.message).toContain(message);
  });
});

describe("getSeries", () => {
  it("has a point for each step of the window, split by the largest values and the rest", async () => {
    const records = Array.from({ length: 10 }, (_, index) =>
      record({ destinationPort: 1_000 + index, started: 10 - index, windowStartMs: NOW_MS - HOUR_MS + index * 60_000 }),
    );
    await keep(records);
    const query = { since: timestampFromMs(NOW_MS - HOUR_MS), until: timestampFromMs(NOW_MS) };
    const all = await tester.history.getSeries({ query, points: 60 });
    expect([all.stepSeconds, all.lines.length, all.lines[0]?.connections.length]).toEqual([60, 1, 60]);
    expect(all.lines[0]?.connections.slice(0, 11)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    const split = await tester.history.getSeries({ query, points: 10, splitBy: FlowDimension.PORT });
    expect(split.lines.map(({ value }) => value)).toEqual([
      "1000",
      "1001",
      "1002",
      "1003",
      "1004",
      "1005",
      "1006",
      "1007",
      "",
    ]);
    const sum = (line?: { connections: number[] }) => line?.connections.reduce((total, each) => total + each, 0);
    expect(sum(split.lines.at(-1))).toBe(3);
    expect(split.lines[0]?.connections.length).toBeLessThanOrEqual(10);
  });
  it("refuses more points than a chart can have; without records it is a line of nothing", async () => {
    expect((await failureOf(tester.history.getSeries({ points: 5_000 })))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    const { lines } = await tester.history.getSeries({});
    expect(lines.length).toBe(1);
  });
});

describe("service maps", () => {
  const window = (fromHours: number, toHours: number) => ({
    since: timestampFromMs(NOW_MS - fromHours * HOUR_MS),
    until: timestampFromMs(NOW_MS - toHours * HOUR_MS),
  });
  it("shows who talked to whom, by host and by label", async () => {
    await keep([record(), record({ destinationAddress: "203.0.113.9", observedName: "api.example.com" })]);
    const { map } = await tester.history.getServiceMap({ query: window(2, 0) });
    expect(map?.nodes.map(({ id, name }) => [id, name])).toEqual([
      ["address:203.0.113.9", "api.example.com (203.0.113.9)"],
      ["host:db-1", "db-1"],
      ["host:web-1", "web-1"],
    ]);
    expect(map?.edges.map((edge) => [edge.sourceId, edge.destinationId, edge.port, edge.allowed?.connections])).toEqual(
      [
        ["host:web-1", "address:203.0.113.9", 5432, 2n],
        ["host:web-1", "host:db-1", 5432, 2n],
      ],
    );
    const byLabel = await tester.history.getServiceMap({
      query: window(2, 0),
      grouping: MapGrouping.LABEL,
      labelKey: "app",
    });
    expect(byLabel.map?.edges.map((edge) => `${edge.sourceId} > ${edge.destinationId}`)).toContain(
      "label:app=web > label:app=db",
    );
  });
  it("says what changed between two windows", async () => {
    await keep([
      record({ windowStartMs: NOW_MS - 90 * 60_000 }),
      record({ windowStartMs: NOW_MS - 30 * 60_000, verdict: "deny", deniedPackets: 4, started: 0 }),
      record({ windowStartMs: NOW_MS - 30 * 60_000, destinationAddress: "203.0.113.9", destinationPort: 4444 }),
    ]);
    const answer = await tester.history.compareServiceMaps({
      before: { query: window(2, 1) },
      after: { query: window(1, 0) },
    });
    expect(answer.changes.map(({ kind, sentence }) => [kind, sentence])).toEqual([
      [MapChangeKind.VERDICT, "web-1 talks to db-1 on tcp/5432: denied now (4 denied packets), allowed before"],
      [MapChangeKind.NEW_EDGE, "web-1 talks to 203.0.113.9 on tcp/4444: 2 connections, none before"],
    ]);
    expect([answer.before?.edges.length, answer.after?.edges.length]).toEqual([1, 2]);
  });
  it("refuses to compare different queries, a window with itself, and labels without a key", async () => {
    const same = { query: { text: "", ...window(1, 0) } };
    for (const request of [
      { before: same },
      { before: same, after: same },
      { before: same, after: { query: { text: "a" } } },
    ]) {
      expect((await failureOf(tester.history.compareServiceMaps(request)))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    }
    expect((await failureOf(tester.history.getServiceMap({ grouping: MapGrouping.LABEL })))?.code).toBe(
      ErrorCode.INVALID_ARGUMENT,
    );
  });
});

describe("checkQuery", () => {
  it("gives diagnostics, completions and the canonical form", async () => {
    await keep([record({ windowStartMs: Date.now() - 60_000 })]);
    const good = await tester.history.checkQuery({ text: ":443 label:app=", cursor: 15 });
    expect(good.completions.map(({ text }) => text).sort()).toEqual(["app=db", "app=web"]);
    expect(good.canonical).toBe("port:443 label:app=");
    expect(good.diagnostics.map(({ code }) => code)).toEqual([]);
    const processes = await tester.history.checkQuery({ text: "process:", cursor: 8 });
    expect(processes.completions.map(({ text }) => text)).toEqual(["/usr/bin/psql"]);
    const bad = await tester.history.checkQuery({ text: "prot:1", cursor: 0 });
    expect(bad).toMatchObject({
      canonical: "",
      diagnostics: [{ code: "WL602", source: { file: "", line: 1, column: 1 } }],
    });
    expect((await tester.history.checkQuery({ text: "!:53", cursor: 0 })).canonical).toBe("-port:53");
  });
});

describe("saved queries", () => {
  it("are kept by name over a restart, replaced and removed", async () => {
    const query = {
      name: "denied-out",
      text: "verdict:deny direction:out",
      description: "d",
      by: [FlowDimension.PORT],
    };
    await tester.history.putSavedQuery({ query: { ...query, name: "b" } });
    await tester.history.putSavedQuery({ query });
    await tester.history.putSavedQuery({ query: { ...query, description: "changed" } });
    const other = startTestConsole(new FakeAgent(), {
      stateDir: tester.stateDir,
      flowHistory: new MemoryHistory(),
      collectFlows: false,
    });
    const { queries } = await other.history.listSavedQueries({});
    await other.close();
    expect(queries.map(({ name, description, by }) => [name, description, by])).toEqual([
      ["b", "d", [FlowDimension.PORT]],
      ["denied-out", "changed", [FlowDimension.PORT]],
    ]);
    await tester.history.deleteSavedQuery({ name: "b" });
    expect((await tester.history.listSavedQueries({})).queries.length).toBe(1);
    expect((await failureOf(tester.history.deleteSavedQuery({ name: "b" })))?.code).toBe(ErrorCode.NOT_FOUND);
  });
  it.each([
    [{ name: "a b", text: "" }, ErrorCode.INVALID_ARGUMENT],
    [{ name: "", text: "" }, ErrorCode.INVALID_ARGUMENT],
    [{ name: "x".repeat(65), text: "" }, ErrorCode.INVALID_ARGUMENT],
    [{ name: "a", text: "port:https" }, ErrorCode.QUERY_INVALID],
    [{ name: "a", text: "", by: [77 as FlowDimension] }, ErrorCode.INVALID_ARGUMENT],
    [{ name: "a", text: "", description: "x".repeat(501) }, ErrorCode.INVALID_ARGUMENT],
  ])("%j is refused", async (query, code) => {
    expect((await failureOf(tester.history.putSavedQuery({ query })))?.code).toBe(code);
    expect((await tester.history.listSavedQueries({})).queries).toEqual([]);
  });
});

describe("exportRecords", () => {
  it("gives every record as a line in bounded pieces, and ends with how many there were", async () => {
    await keep(Array.from({ length: 1_500 }, (_, index) => record({ destinationPort: index })));
    const messages = await collect(tester.history.exportRecords({ query: {} }));
    expect(messages.length).toBeGreaterThan(2);
    for (const { ndjson } of messages) expect(ndjson.byteLength).toBeLessThanOrEqual(256 * 1024);
    const lines = Buffer.concat(messages.map(({ ndjson }) => ndjson))
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.length).toBe(1_501);
    expect(lines[0]).toMatchObject({
      host: "web-1",
      destinationDisplayName: "db-1",
      record: { protocol: 6, started: "2" },
    });
    expect(lines.at(-1)).toEqual({ end: { records: 1_500, isComplete: true } });
  });
  it("stops at the limit and says that there is more", async () => {
    await keep(Array.from({ length: 20 }, () => record()));
    const text = Buffer.concat(
      (await collect(tester.history.exportRecords({ limit: 7n }))).map(({ ndjson }) => ndjson),
    ).toString();
    expect(text.trimEnd().split("\n").length).toBe(8);
    expect(JSON.parse(text.trimEnd().split("\n").at(-1) ?? "")).toEqual({ end: { records: 7, isComplete: false } });
  });
  it("reads from the store as the reader takes it", async () => {
    let asked = 0;
    const endless = new MemoryHistory();
    endless.search = async function* () {
      const stored = {
        hostId: "local",
        host: "web-1",
        record: toWireFlowRecord(record()),
        resolution: "record" as const,
      };
      const records = Array.from({ length: 1_000 }, (_, index) => ({ ...stored, id: String(index) }));
      for (;;) {
        asked += 1;
        const progress = {
          matched: 1,
          isComplete: false,
          searched: 1,
          total: 1,
          coarsest: "record" as const,
          coarseBeforeMs: null,
          gaps: [],
        };
        yield { records, progress, nextPageToken: "more" };
      }
    };
    const other = await start(endless);
    for await (const _ of other.history.exportRecords({})) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      break;
    }
    expect(asked).toBeLessThan(10);
    await other.close();
  });
});

describe("status and retention", () => {
  it("says what is stored and of whom", async () => {
    await keep([record()]);
    const { status } = await tester.history.getHistoryStatus({});
    expect(status).toMatchObject({
      backend: "sqlite",
      records: 1n,
      retention: { recordDays: 7, maxRecords: 50_000_000n },
      problems: [],
    });
    expect(status?.hosts.map(({ hostId, lastSequence }) => [hostId, lastSequence])).toEqual([["local", 1n]]);
  });
  it("a dry run changes nothing; setting keeps it over a restart and removes at once", async () => {
    await keep([record({ windowStartMs: NOW_MS - 48 * HOUR_MS }), record()]);
    const retention = { recordDays: 1 };
    const dry = await tester.history.setRetention({ retention, dryRun: true });
    expect([dry.removedRecords, (await history.state()).records]).toEqual([1n, 2]);
    expect((await tester.history.getHistoryStatus({})).status?.retention?.recordDays).toBe(
      USUAL_RETENTION_LIMITS.recordDays,
    );
    const done = await tester.history.setRetention({ retention });
    expect([done.removedRecords, (await history.state()).records]).toEqual([1n, 1]);
    const other = startTestConsole(new FakeAgent(), {
      stateDir: tester.stateDir,
      flowHistory: new MemoryHistory(),
      collectFlows: false,
    });
    expect((await other.history.getHistoryStatus({})).status?.retention).toMatchObject({
      recordDays: 1,
      minuteDays: 30,
    });
    await other.close();
  });
  it.each([
    [{ recordDays: 4_000 }, "3650 days"],
    [{ recordDays: 60, minuteDays: 30 }, "at least as long as finer ones"],
    [{ maxRecords: 5n }, "10,000 records"],
    [{ maxBytes: 5n }, "16 MiB"],
    [{ maxBytes: 2n ** 63n }, "out of range"],
  ])("%# is refused", async (retention, message) => {
    const failure = await failureOf(tester.history.setRetention({ retention }));
    expect(failure?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(failure?.message).toContain(message);
  });
  it("read-only mode reads, and refuses what changes", async () => {
    const other = await start(history, { isReadOnly: true });
    expect((await other.history.getHistoryStatus({})).status?.records).toBe(0n);
    for (const call of [
      other.history.setRetention({ retention: {}, dryRun: false }),
      other.history.putSavedQuery({ query: { name: "a" } }),
      other.history.deleteSavedQuery({ name: "a" }),
    ]) {
      expect((await failureOf(call))?.code).toBe(ErrorCode.READ_ONLY);
    }
    await other.close();
  });
});

it("what the wire says of a record is what was stored", async () => {
  await keep([record({ direction: "ingress", verdict: "deny", enforced: "allow" })]);
  const [found] = (await collect(tester.history.searchRecords({}))).flatMap(({ records }) => records);
  expect(found).toMatchObject({
    resolution: HistoryResolution.RECORD,
    record: { direction: Direction.INGRESS, verdict: Verdict.DENY, enforced: Verdict.ALLOW, windowSeconds: 10 },
  });
});

it("sums of a host that lies are as large as the wire can say, and nobody's answer fails of them", async () => {
  const most = Number.MAX_SAFE_INTEGER;
  await keep(Array.from({ length: 2_100 }, () => record({ originatorBytes: most, responderBytes: 1 })));
  const answers = await collect(tester.history.groupRecords({ by: [FlowDimension.HOST] }));
  const total = answers.at(-1)?.total;
  expect(total?.responderBytes).toBe(2_100n);
  expect((total?.originatorBytes ?? 0n) > 2n ** 63n).toBe(true);
});
