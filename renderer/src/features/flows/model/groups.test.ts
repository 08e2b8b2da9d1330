import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FlowDimension, FlowMeasure } from "@wardline/api/wardline/console/v1/history";
import { FlowEventKind, FlowHook, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { matchesQuery, NO_LABELS, parseFlowQuery } from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import { describe, expect, it } from "vitest";
import { type GroupWithRows, groupRows, inFormerOrder, MOST_ROWS } from "./groups.ts";
import { recordOfFlow } from "./live-record.ts";

const pick = <Value>(values: readonly Value[], at: number): Value => values[at % values.length] as Value;

/** Every value also unknown, and with the signs that need quotes. */
const flows = Array.from({ length: 3_000 }, (_, index) => {
  const isDenied = index % 4 === 0;
  return create(FlowSchema, {
    id: BigInt(index + 1),
    host: pick(["web-1", "db 2", "a:b"], index),
    time: timestampFromMs(1_000_000 + index),
    kind: isDenied ? FlowEventKind.DENY : FlowEventKind.START,
    direction: pick([Direction.INGRESS, Direction.EGRESS], index >> 1),
    protocol: pick([6, 17, 1, 58], index >> 2),
    sourceAddress: pick(["10.0.0.1", "2001:db8::7", "0.0.0.0"], index >> 1),
    hook: pick([FlowHook.SOCKET, FlowHook.CONNECT], index),
    destinationAddress: pick(["203.0.113.9", "fd00::1", ""], index >> 3),
    destinationPort: pick([443, 53, 8080], index),
    verdict: isDenied ? Verdict.DENY : Verdict.ALLOW,
    enforced: isDenied && index % 8 === 0 ? Verdict.DENY : Verdict.ALLOW,
    subjectKey: pick(["Host/web-1", "Workload/default/nginx", ""], index >> 2),
    cgroupPath: pick(["/system.slice/a.service", "/system.slice/b (x).service", ""], index >> 2),
    decision: {
      policyKeys: pick([["Policy/default/web"], ["Policy/a", "Policy/b"], []], index >> 1),
      summary: pick(["allowed by default/web, ingress[1]", "allowed by default/web, ingress[10]", ""], index >> 1),
    },
    ...(index % 5 === 0
      ? {}
      : {
          process: {
            pid: index,
            userId: 33,
            userName: pick(["root", "www data", ""], index),
            command: pick(["curl", "my tool"], index),
            executable: pick(["/usr/bin/curl", "/opt/my tool (deleted)", ""], index >> 1),
          },
        }),
  });
});
const items = flows.map(recordOfFlow);
const records = items.map((item) => fromWireFlowRecord(item.record!, item.host));

const DIMENSIONS = [
  ...[FlowDimension.HOST, FlowDimension.SOURCE, FlowDimension.DESTINATION, FlowDimension.PEER, FlowDimension.PORT],
  ...[
    FlowDimension.PROTOCOL,
    FlowDimension.PROCESS,
    FlowDimension.USER,
    FlowDimension.VERDICT,
    FlowDimension.POLICY,
    FlowDimension.RULE,
  ],
  ...[FlowDimension.DIRECTION, FlowDimension.SUBJECT, FlowDimension.CGROUP],
];

describe("groups", () => {
  it.each(DIMENSIONS.map((dimension) => [FlowDimension[dimension], dimension] as const))(
    "by %s have every row once, and each term finds the rows of its group",
    (_name, dimension) => {
      const groups = groupRows(items, [dimension], FlowMeasure.RECORDS);
      expect(groups.reduce((sum, group) => sum + Number(group.sums.records), 0)).toBe(items.length);
      expect(groups.length).toBeGreaterThan(1);
      for (const group of groups) {
        if (group.term === null) continue;
        const { query, diagnostics } = parseFlowQuery(group.term, { nowMs: 0 });
        expect({ term: group.term, diagnostics: query ? [] : diagnostics }).toEqual({
          term: group.term,
          diagnostics: [],
        });
        const found = records.filter((record) => matchesQuery(query!, record, NO_LABELS)).length;
        // Somebody without a name has a number, and a command may be the end of another's path: then more is found, never less.
        const isExact = ![FlowDimension.PROCESS, FlowDimension.USER, FlowDimension.POLICY].includes(dimension);
        if (isExact)
          expect({ term: group.term, found }).toEqual({ term: group.term, found: Number(group.sums.records) });
        else expect(found).toBeGreaterThanOrEqual(Number(group.sums.records));
      }
    },
  );

  it("by two dimensions are found by both, with the newest rows of each", () => {
    const groups = groupRows(items, [FlowDimension.HOST, FlowDimension.PORT], FlowMeasure.CONNECTIONS);
    for (const { term, sums, rows } of groups) {
      const { query } = parseFlowQuery(term ?? "", { nowMs: 0 });
      const found = items.filter((_, index) => matchesQuery(query!, records[index]!, NO_LABELS));
      expect(found.length).toBe(Number(sums.records));
      expect(rows).toEqual(found.slice(0, MOST_ROWS));
    }
    const amounts = groups.map(({ sums }) => Number(sums.connections));
    expect(amounts).toEqual(amounts.toSorted((a, b) => b - a));
  });

  it("keep their places while they grow; new ones come after them, and gone ones go", () => {
    const group = (id: string) => ({ id }) as GroupWithRows;
    const order = (former: string[], now: string[]) => inFormerOrder(now.map(group), former).map(({ id }) => id);
    expect(order(["a", "b", "c"], ["c", "d", "a"])).toEqual(["a", "c", "d"]);
    expect(order([], ["c", "a"])).toEqual(["c", "a"]);
  });
});
