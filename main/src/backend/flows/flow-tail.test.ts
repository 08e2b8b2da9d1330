import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type FlowFilter, FlowFilterSchema } from "@wardline/api/wardline/console/v1/flows";
import { FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { afterEach, beforeEach, expect, it } from "vitest";
import { silentLogger } from "../ports.ts";
import { FlowsTable } from "../store/flows-table.ts";
import { Store } from "../store/store.ts";
import { FlowTail } from "./flow-tail.ts";

let directory: string;
let store: Store;
let flows: FlowsTable;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-tail-"));
  store = new Store({ stateDir: directory, logger: silentLogger });
  flows = new FlowsTable(store);
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

function keep(hostId: string, count: number, kind = FlowEventKind.START): void {
  const like = create(FlowSchema, {
    ...{ host: hostId, time: timestampFromMs(1_700_000_000_500), kind, direction: Direction.EGRESS, protocol: 6 },
    ...{ sourceAddress: "10.0.0.1", destinationAddress: "10.0.0.2", destinationPort: 443 },
    ...{ verdict: Verdict.ALLOW, enforced: Verdict.ALLOW },
  });
  flows.insert(
    { hostId, agentEpochMs: 1 },
    Array.from({ length: count }, () => like),
  );
}

/** Until nothing is left. */
function follow(filter?: FlowFilter) {
  const tail = new FlowTail(flows, filter, false, 0);
  const ids: number[] = [];
  const seconds = new Map<number, number>();
  let passed = 0;
  for (let isMore = true; isMore; ) {
    const piece = tail.next(flows.newestId());
    isMore = piece.isMore;
    ids.push(...piece.flows.map(({ id }) => Number(id)));
    passed += piece.passed;
    for (const { second, count } of piece.passedSeconds) seconds.set(second, (seconds.get(second) ?? 0) + count);
  }
  return { ids, passed, seconds: [...seconds] };
}

it("gives the newest of what came too fast, in order and once, and counts the others; ends are no flows of their own", () => {
  keep("busy", 2_000);
  keep("busy", 300, FlowEventKind.END);
  keep("busy", 10_200);
  const { ids, passed, seconds } = follow();
  expect(ids).toEqual(Array.from({ length: 10_000 }, (_, index) => 2_501 + index));
  expect({ passed, seconds }).toEqual({ passed: 2_200, seconds: [[1_700_000_000, 2_200]] });
});

it.each([
  [Verdict.ALLOW, Verdict.ALLOW, "allowed"],
  [Verdict.DENY, Verdict.ALLOW, "observed"],
  [Verdict.DENY, Verdict.DENY, "denied"],
  [Verdict.ALLOW, Verdict.DENY, "denied"],
  [Verdict.UNSPECIFIED, Verdict.ALLOW, "none"],
])("counts verdict %s with what was enforced, %s, as a row shows it: %s", (verdict, enforced, as) => {
  const time = timestampFromMs(5_000);
  flows.insert({ hostId: "h", agentEpochMs: 1 }, [create(FlowSchema, { time, kind: 1, verdict, enforced })]);
  const none = { allowed: 0, observed: 0, denied: 0 };
  expect(flows.secondsBetween(undefined, 0, 1)).toEqual([
    { second: 5, count: 1, ...none, ...(as === "none" ? {} : { [as]: 1 }) },
  ]);
});

it("leaves out nothing of a host that says little because others say much", () => {
  keep("quiet", 2);
  keep("busy", 6_000);
  keep("quiet", 1);
  keep("busy", 6_000);
  keep("quiet", 1);
  const { ids, passed } = follow(create(FlowFilterSchema, { hostIds: ["quiet"] }));
  expect({ ids, passed }).toEqual({ ids: [1, 2, 6_003, 12_004], passed: 0 });
});
