/** The part of the fake backend that is about the history: records, sums, changes; a query that it cannot read. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  type CheckQueryRequest,
  type CompareServiceMapsRequest,
  type ExportRecordsRequest,
  type GetSeriesRequest,
  type GroupRecordsRequest,
  HistoryGapCause,
  HistoryResolution,
  MapChangeKind,
  type PutSavedQueryRequest,
  type ReadRowsRequest,
  type SavedQuery,
  SavedQuerySchema,
  type SearchRecordsRequest,
} from "@wardline/api/wardline/console/v1/history";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { type FlowRecord, FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { failure } from "./fake-workspace.ts";

interface Ports {
  readonly gate: () => Promise<void>;
  readonly isEmpty: boolean;
}

const TOTAL = 1_204n;
const ROW_MS = 700;
const UNREADABLE = "prot:";

export function fakeRecord(timeMs: number, index: number): FlowRecord {
  const isDenied = index % 5 === 4;
  return create(FlowRecordSchema, {
    windowStart: timestampFromMs(Math.floor(timeMs / 10_000) * 10_000),
    windowSeconds: 10,
    firstSeen: timestampFromMs(timeMs),
    lastSeen: timestampFromMs(timeMs + 1_200),
    direction: Direction.EGRESS,
    protocol: 6,
    sourceAddress: "10.0.1.10",
    sourceName: "web-1",
    destinationAddress: "203.0.113.9",
    observedName: index % 2 === 0 ? "updates.example.net" : "",
    destinationPort: isDenied ? 4444 : 443,
    verdict: isDenied ? Verdict.DENY : Verdict.ALLOW,
    enforced: isDenied ? Verdict.DENY : Verdict.ALLOW,
    decision: isDenied
      ? { summary: "no rule allows it" }
      : { policyKeys: ["Policy/default/web"], summary: "a rule matched" },
    process: { pid: 812, userId: 33, userName: "www-data", command: "curl", executable: "/usr/bin/curl" },
    started: isDenied ? 0n : 1n,
    deniedPackets: isDenied ? 3n : 0n,
    packets: 14n,
    originatorBytes: 1_830n,
    responderBytes: 48_211n,
  });
}

export class FakeHistory {
  readonly #ports: Ports;
  /** Texts that were searched for, for tests. */
  readonly asked: string[] = [];
  /** Orders that lists were asked for, and files. */
  readonly ordered: string[] = [];
  readonly exported: string[] = [];
  rowCount = 1_200_000;
  newer = 0;
  /** A name that means no good; empty = as usual. */
  hostile = "";
  readonly newestMs = Date.now();
  readonly saved: SavedQuery[] = [
    create(SavedQuerySchema, {
      name: "denied-out",
      text: "verdict:deny direction:out",
      description: "what is refused",
    }),
  ];

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  #searched(isComplete: boolean) {
    const total = this.#ports.isEmpty ? 0n : 3_400_000n;
    return {
      matched: this.#ports.isEmpty ? 0n : TOTAL,
      isComplete,
      searched: isComplete ? total : total / 3n,
      total,
      coarsest: this.#ports.isEmpty ? HistoryResolution.RECORD : HistoryResolution.MINUTE,
      tookMs: 41,
      gaps: this.#ports.isEmpty ? [] : ["db-1 has not delivered since 12:04."],
    };
  }

  service() {
    const { gate, isEmpty } = this.#ports;
    const fake = this;
    const refuse = (text: string) => {
      if (text.includes(UNREADABLE))
        throw failure(
          ErrorCode.QUERY_INVALID,
          Code.InvalidArgument,
          "There is no field `prot`.",
          "Did you mean `protocol`?",
        );
    };
    return {
      async *searchRecords({ query, pageToken, limit }: SearchRecordsRequest) {
        await gate();
        const text = query?.text ?? "";
        refuse(text);
        fake.asked.push(text);
        const nowMs = Date.now();
        const start = Number(pageToken || "0");
        const count = isEmpty ? 0 : Math.min(limit, Number(TOTAL) - start);
        const records = Array.from({ length: count }, (_, index) => ({
          id: String(start + index),
          hostId: "host-web-1",
          host: "web-1",
          record: fakeRecord(nowMs - (start + index) * 10_000, start + index),
          resolution: start + index > 600 ? HistoryResolution.MINUTE : HistoryResolution.RECORD,
          destinationDisplayName: (start + index) % 2 === 0 ? "updates.example.net" : "",
        }));
        yield { records: records.slice(0, 50), searched: fake.#searched(false) };
        const next = start + count;
        const nextPageToken = !isEmpty && next < Number(TOTAL) ? String(next) : "";
        yield { records: records.slice(50), searched: fake.#searched(true), nextPageToken };
      },
      readRows: async ({ query, order, from, at, limit, snapshot }: ReadRowsRequest) => {
        await gate();
        const text = query?.text ?? "";
        refuse(text);
        fake.asked.push(text);
        fake.ordered.push(`${order?.sort ?? 0} ${order?.ascending ? "up" : "down"}`);
        const listed = isEmpty ? 0 : text === "" ? fake.rowCount : Math.ceil(fake.rowCount / 10);
        const atRank = at ? Math.floor((fake.newestMs - timestampMs(at)) / ROW_MS) : Number(from);
        const start = Math.max(0, Math.min(listed, atRank));
        const count = Math.max(0, Math.min(limit, listed - start));
        const rows = Array.from({ length: count }, (_, index) => {
          const rank = order?.ascending ? listed - 1 - start - index : start + index;
          return {
            id: String(rank),
            hostId: "host-web-1",
            host: fake.hostile || "web-1",
            record: fakeRecord(fake.newestMs - rank * ROW_MS, rank),
            resolution: HistoryResolution.RECORD,
            destinationDisplayName: rank % 2 === 0 ? fake.hostile || "updates.example.net" : "",
          };
        });
        return {
          rows,
          from: BigInt(start),
          rowCount: BigInt(listed),
          listedRows: BigInt(listed),
          snapshot: "1.1",
          newerRows: snapshot === "" ? 0n : BigInt(fake.newer),
          searched: fake.#searched(true),
          gaps: isEmpty
            ? []
            : [
                {
                  hostId: "host-db-1",
                  host: "db-1",
                  cause: HistoryGapCause.NOT_READ_IN_TIME,
                  since: timestampFromMs(fake.newestMs - 8 * ROW_MS),
                  until: timestampFromMs(fake.newestMs - 5 * ROW_MS - 100),
                  batches: 3n,
                },
              ],
        };
      },
      async *exportRecords({ format, columns }: ExportRecordsRequest) {
        await gate();
        fake.exported.push(`${format} ${columns.join(",")}`);
        const encoder = new TextEncoder();
        for (let piece = 1; piece <= 3; piece++) {
          yield { ndjson: encoder.encode("a,b\r\n".repeat(100)), rows: BigInt(piece * 100) };
        }
      },
      async *groupRecords({ query, by }: GroupRecordsRequest) {
        await gate();
        refuse(query?.text ?? "");
        const sums = (share: number) => ({
          records: BigInt(100 * share),
          connections: BigInt(812 * share),
          deniedPackets: BigInt(share),
          originatorBytes: BigInt(91_000 * share),
          responderBytes: BigInt(4_200_000 * share),
        });
        const values = ["curl", "nginx", "postgres", "apt"];
        yield {
          groups: isEmpty
            ? []
            : values.map((value, index) => ({
                values: by.map((_, position) => (position === 0 ? value : `203.0.113.${index}`)),
                names: by.map((_, position) => (position === 0 ? "" : "updates.example.net")),
                sums: sums(4 - index),
              })),
          groupCount: isEmpty ? 0n : 4n,
          searched: fake.#searched(true),
          isFinal: true,
        };
      },
      getSeries: async ({ query, points }: GetSeriesRequest) => {
        await gate();
        refuse(query?.text ?? "");
        const count = isEmpty ? 0 : points;
        return {
          start: timestampFromMs(Date.now() - 86_400_000),
          stepSeconds: 720,
          lines: [
            {
              connections: Array.from({ length: count }, (_, index) => 400 + Math.round(300 * Math.sin(index / 14))),
              deniedPackets: Array.from({ length: count }, (_, index) => (index % 31 === 0 ? 90 : 4)),
              bytes: Array.from({ length: count }, () => 1_000_000),
            },
          ],
          searched: fake.#searched(true),
        };
      },
      compareServiceMaps: async (_: CompareServiceMapsRequest) => {
        await gate();
        const node = (id: string) => ({ id, name: id.replace(/^\w+:/, "") });
        return {
          changes: isEmpty
            ? []
            : [
                {
                  kind: MapChangeKind.NEW_EDGE,
                  source: node("host:web-1"),
                  destination: node("net:203.0.113.9/32"),
                  protocol: 6,
                  port: 4444,
                  sentence: "web-1 talks to 203.0.113.9 on tcp/4444: 36 connections, none before",
                },
              ],
          after: { edges: [{}, {}] },
          before: { edges: [{}] },
        };
      },
      checkQuery: async ({ text, cursor }: CheckQueryRequest) => {
        await gate();
        const at = text.indexOf(UNREADABLE);
        const diagnostics =
          at < 0
            ? []
            : [
                {
                  code: "WL501",
                  message: "There is no field `prot`. Did you mean `protocol`?",
                  source: { line: 1, column: at + 1 },
                },
              ];
        const word = /\S*$/.exec(text.slice(0, cursor))?.[0] ?? "";
        const completions = ["verdict:deny", "verdict:allow", "port:443", "process:curl"]
          .filter((each) => word !== "" && each.startsWith(word) && each !== word)
          .map((each) => ({ start: cursor - word.length, end: cursor, text: each, detail: "" }));
        return { diagnostics, completions, canonical: text };
      },
      getHistoryStatus: async () => {
        await gate();
        return {
          status: {
            backend: "sqlite",
            records: isEmpty ? 0n : 3_400_000n,
            sizeBytes: isEmpty ? 4096n : 142_000_000n,
            recordsPerSecond: isEmpty ? 0 : 212,
            hosts: isEmpty ? [] : [{ hostId: "host-db-1", host: "db-1", missedBatches: 3n, refusedRecords: 2n }],
            problems: isEmpty ? [] : ["Partition 2026-11-19 was damaged and moved aside; 2 hosts send it again."],
          },
        };
      },
      listSavedQueries: async () => {
        await gate();
        return { queries: fake.saved };
      },
      putSavedQuery: async ({ query }: PutSavedQueryRequest) => {
        if (query) fake.saved.push(query);
        return {};
      },
      deleteSavedQuery: async ({ name }: { name: string }) => {
        const index = fake.saved.findIndex((query) => query.name === name);
        if (index >= 0) fake.saved.splice(index, 1);
        return {};
      },
    };
  }
}
