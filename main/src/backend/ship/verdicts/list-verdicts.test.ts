import { create } from "@bufbuild/protobuf";
import { ListVerdictsRequestSchema } from "@wardline/api/wardline/console/v1/verdicts";
import { FlowRecordSchema } from "@wardline/api/wardline/v1/flow_record";
import { readPolicyFiles } from "@wardline/domain/policy";
import { expect, it } from "vitest";
import type { ThreadPool } from "../../async/thread-pool.ts";
import { listVerdicts, type VerdictPorts } from "./list-verdicts.ts";

it("says how many records the table had no place for", async () => {
  const record = create(FlowRecordSchema, { sourceAddress: "10.0.0.1", destinationAddress: "10.0.0.2" });
  const ports = {
    workspace: { snapshot: () => ({ reading: readPolicyFiles([]), stateDigest: "draft", files: [] }) },
    registry: { local: {}, hosts: [] },
    versions: { find: () => null },
    receipts: { list: () => [] },
    rollouts: () => [],
    clock: { nowMs: () => 100_000_000 },
    history: {
      async *search() {
        const records = Array.from({ length: 1_200 }, () => ({ hostId: "local", record }));
        yield { records, progress: { total: 1_200, gaps: ["Yesterday is missing."] }, nextPageToken: "" };
      },
    },
    userName: "somebody",
  } as unknown as VerdictPorts;
  const answers: Record<string, unknown> = {
    load: { kind: "loaded", hasObservedPolicies: false },
    add: { "too-many": 3 },
    rows: { shown: 0, matching: 0, disagreeing: 0, comparedPairs: 0 },
  };
  const held = { call: async (method: string) => answers[method], release: () => {} };
  const threads = { hold: async () => held } as unknown as ThreadPool;
  const request = create(ListVerdictsRequestSchema);
  const gaps: string[] = [];
  for await (const { event } of listVerdicts(ports, threads, request, new AbortController().signal)) {
    if (event.case === "done") gaps.push(...(event.value.source?.gaps ?? []));
  }
  expect(gaps).toEqual(["Yesterday is missing.", expect.stringContaining("6 records are not counted")]);
});
