/** Verdicts of many hosts and records, and everybody else meanwhile. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { VerdictOrder, VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { Direction, EnforcementMode, Verdict } from "@wardline/api/wardline/v1/policy";
import { afterAll, beforeAll, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../../testing/console.ts";
import { FakeAgent } from "../../testing/fake-agent.ts";
import { hostAddress, largeFleet } from "../../testing/large-fleet.ts";
import { watchTurns } from "../../testing/longest-turn.ts";

const SIZE = { hosts: 500, workloads: 500, rules: 2_000 };
const RECORDS = 20_000;
const RECORDS_OF_BATCH = 1_000;

let tester: TestConsole;
beforeAll(async () => {
  const agent = new FakeAgent();
  agent.hostName = "host-0";
  agent.backend = BackendKind.EBPF;
  tester = startTestConsole(agent, { introducesLocalHost: false });
  tester.backend.workspace.putAll(largeFleet(SIZE));
  const plan = await tester.ship.plan({});
  const mode = EnforcementMode.ENFORCE;
  await collect(tester.ship.apply({ planId: plan.planId, mode, confirmWithin: { seconds: 600n }, reason: "test" }));
  await tester.ship.confirm({ hostId: "local", generation: 1n });
  // What is enforced has 500 rules more than the draft.
  const { revision } = await tester.policies.getFile({ path: "policies/0.yaml" });
  await tester.policies.deleteFile({ path: "policies/0.yaml", baseRevision: revision });
  const seen = timestampFromMs(Date.now() - 60_000);
  for (let batch = 0; batch < RECORDS / RECORDS_OF_BATCH; batch++) {
    const records = Array.from({ length: RECORDS_OF_BATCH }, (_, index) => ({
      ...{ windowStart: seen, windowSeconds: 10, firstSeen: seen, lastSeen: seen },
      ...{ direction: Direction.INGRESS, protocol: 6, destinationPort: 1024 + ((batch * 1_000 + index) % 4_000) },
      ...{ sourceAddress: hostAddress(1 + (index % 400)), destinationAddress: hostAddress(0) },
      ...{ subjectKey: "Host/host-0", verdict: Verdict.ALLOW, enforced: Verdict.ALLOW, generation: 1n, started: 1n },
    }));
    const message = create(FlowRecordBatchSchema, { sequence: BigInt(batch + 1), records });
    const delivery = { hostId: "local", hostName: "host-0", journalId: "j", batches: [message] };
    await tester.backend.history.ingest([delivery]);
  }
}, 60_000);
afterAll(() => tester.close());

it("are compared and listed in the order asked for, in turns that are short", async () => {
  const transport = createRouterTransport((router) => tester.backend.routes(router));
  const client = createClient(VerdictService, transport);
  const list = (request: Parameters<typeof client.listVerdicts>[0]) => collect(client.listVerdicts(request));
  const { result, longestMs } = await watchTurns(() =>
    list({ order: VerdictOrder.COUNT, descending: true, maxRows: 2_000 }),
  );
  const rows = result.flatMap(({ event }) => (event.case === "rows" ? event.value.rows : []));
  const last = result.at(-1)?.event;
  expect(last?.case === "done" && last.value).toMatchObject({ source: { readRecords: BigInt(RECORDS) } });
  expect(rows.length).toBeGreaterThan(500);
  const counts = rows.map(({ reported }) => (reported?.parts ?? []).reduce((sum, { count }) => sum + count, 0n));
  expect(counts).toEqual(counts.toSorted((left, right) => (left < right ? 1 : left > right ? -1 : 0)));
  // Processor time of this thread; comparing alone takes seconds of it.
  expect(longestMs).toBeLessThan(50);
}, 60_000);
