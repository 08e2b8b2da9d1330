/** A simulation and suggestions over a large policy, and everybody else meanwhile. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { SimulatePoliciesRequestSchema } from "@wardline/api/wardline/console/v1/policies";
import { VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { afterAll, beforeAll, expect, it } from "vitest";
import { simulatePolicies } from "../policies/simulate.ts";
import { silentLogger, systemClock } from "../ports.ts";
import { FlowsTable } from "../store/flows-table.ts";
import { Store } from "../store/store.ts";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";
import { hostAddress, largeFleet } from "../testing/large-fleet.ts";
import { watchTurns } from "../testing/longest-turn.ts";
import { FlowReplays } from "./flow-replays.ts";

const SIZE = { hosts: 1_000, workloads: 1_000, rules: 20_000 };
const FLOWS = 20_000;

let tester: TestConsole;
beforeAll(async () => {
  tester = startTestConsole(undefined, { introducesLocalHost: false });
  tester.backend.workspace.putAll(largeFleet(SIZE));
  // Read now, as a console that has been open for a while has it.
  tester.backend.workspace.snapshot();
  const time = timestampFromMs(Date.now());
  const flows = Array.from({ length: FLOWS }, (_, index) =>
    create(FlowSchema, {
      ...{ id: BigInt(index + 1), host: `host-${index % 500}`, time, kind: FlowEventKind.START },
      ...{ direction: Direction.INGRESS, protocol: 6, sourcePort: 40_000, destinationPort: 1024 + (index % 4_000) },
      ...{ sourceAddress: hostAddress(500 + (index % 499)), destinationAddress: hostAddress(index % 500) },
      ...{ verdict: Verdict.ALLOW, enforced: Verdict.ALLOW, subjectKey: `Host/host-${index % 500}` },
    }),
  );
  const store = new Store({ stateDir: tester.stateDir, logger: silentLogger });
  new FlowsTable(store).insert({ hostId: "local", agentEpochMs: 1 }, flows);
  store.close();
}, 60_000);
afterAll(() => tester.close());

const changed = () => {
  const { path, text } = tester.backend.workspace.file("policies/0.yaml");
  return [{ path, text: text.replace("port: 1024 ", "port: 1025 ") }];
};

/** Runs it while small calls are made one after the other; how many were answered before it was. */
async function beside<Result>(heavy: () => Promise<Result>) {
  let answered = 0;
  let isOver = false;
  const turns = await watchTurns(async () => {
    const result = heavy().finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await tester.policies.listVersions({ limit: 1 });
      answered += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return result;
  });
  return { ...turns, answered };
}

it("leaves every other call answered while a simulation runs, and this thread never busy for long", async () => {
  const { result, longestMs, answered } = await beside(() =>
    collect(tester.policies.simulatePolicies({ files: changed() })),
  );
  const done = result.at(-1)?.event;
  expect(done?.case === "done" && done.value.counts).toMatchObject({ total: BigInt(FLOWS), judged: BigInt(FLOWS) });
  expect(answered).toBeGreaterThan(10);
  // Processor time of this thread; reading the draft alone takes many times as much.
  expect(longestMs).toBeLessThan(100);
}, 120_000);

it("does the same for suggestions", async () => {
  const transport = createRouterTransport((router) => tester.backend.routes(router));
  const client = createClient(VerdictService, transport);
  const { result, longestMs, answered } = await beside(() => collect(client.findSuggestions({ generalize: 0.5 })));
  const done = result.at(-1)?.event;
  expect(done?.case === "done" && done.value.counts).toMatchObject({ total: BigInt(FLOWS), read: BigInt(FLOWS) });
  expect(done?.case === "done" && done.value.suggestions.length).toBeGreaterThan(10);
  expect(answered).toBeGreaterThan(10);
  expect(longestMs).toBeLessThan(100);
}, 120_000);

it("ends when nobody waits or it takes too long, and the next one has its turn", async () => {
  const gone = new AbortController();
  const abandoned = [1, 2, 3].map(() =>
    collect(tester.policies.simulatePolicies({ files: changed() }, { signal: gone.signal })),
  );
  // Waits behind them: there are two threads.
  const next = collect(tester.policies.simulatePolicies({ standalone: true }));
  gone.abort();
  for (const one of abandoned) await expect(one).rejects.toThrow();
  expect((await next).at(-1)?.event.case).toBe("done");

  const { workspace, registry } = tester.backend;
  const store = new Store({ stateDir: tester.stateDir, logger: silentLogger });
  const clock = systemClock;
  const replays = new FlowReplays({ flows: new FlowsTable(store), clock, deadlineMs: 1 });
  const ports = { workspace, registry, replays, clock };
  const request = create(SimulatePoliciesRequestSchema);
  await expect(collect(simulatePolicies(ports, request, new AbortController().signal))).rejects.toMatchObject({
    code: ErrorCode.DEADLINE_EXCEEDED,
    hint: expect.stringContaining("shorter"),
  });
  await replays.close();
  store.close();
}, 120_000);
