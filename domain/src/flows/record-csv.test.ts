import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { HistoryRecordSchema } from "@wardline/api/wardline/console/v1/history";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { expect, it } from "vitest";
import { CSV_COLUMNS, recordCsvHeader, recordCsvLine, requireCsvColumns } from "./record-csv.ts";

const item = (host: string, observed = "") =>
  create(HistoryRecordSchema, {
    host,
    destinationDisplayName: observed,
    record: {
      direction: Direction.EGRESS,
      protocol: 6,
      sourceAddress: "10.0.0.1",
      destinationAddress: "203.0.113.9",
      destinationPort: 443,
      verdict: Verdict.ALLOW,
      enforced: Verdict.ALLOW,
      firstSeen: timestampFromMs(Date.UTC(2026, 10, 20, 12)),
      lastSeen: timestampFromMs(Date.UTC(2026, 10, 20, 12, 0, 2)),
    },
  });

it("writes a header and a line with as many fields, whatever texts hold", () => {
  const columns = ["when", "host", "peer", "port", "duration"];
  expect(recordCsvHeader(columns)).toBe("first_seen,last_seen,host,peer_name,peer_address,port,duration_ms\r\n");
  expect(recordCsvLine(item("web-1", 'a "b", c\r\nd'), columns)).toBe(
    '2026-11-20T12:00:00.000Z,2026-11-20T12:00:02.000Z,web-1,"a ""b"", c\r\nd",203.0.113.9,443,2000\r\n',
  );
  const fields = (line: string) => line.split(",").length;
  expect(fields(recordCsvLine(item("web-1"), CSV_COLUMNS))).toBe(fields(recordCsvHeader(CSV_COLUMNS)));
});

it("writes formulas as text", () => {
  for (const formula of ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1"]) {
    const line = recordCsvLine(item(formula), ["host"]);
    expect(line.replace(/^"|"\r\n$/g, "")).toMatch(/^'/);
  }
  expect(recordCsvLine(item("web-1"), ["host"])).toBe("web-1\r\n");
});

it("refuses columns that there are none of, and one that is asked for twice", () => {
  expect(requireCsvColumns([])).toEqual(CSV_COLUMNS);
  expect(() => requireCsvColumns(["host", "__proto__"])).toThrow(/no column/);
  expect(() => requireCsvColumns(["host", "host"])).toThrow(/twice/);
});
