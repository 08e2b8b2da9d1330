import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { VocabularyService } from "@wardline/api/wardline/console/v1/vocabulary";
import { FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { DecisionReason, Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../ports.ts";
import { countFlows } from "../store/flow-vocabulary.ts";
import { FlowsTable } from "../store/flows-table.ts";
import { Store } from "../store/store.ts";
import { startTestConsole, type TestConsole } from "../testing/console.ts";

let tester: TestConsole;
beforeEach(() => {
  tester = startTestConsole();
});
afterEach(() => tester.close());

const client = () =>
  createClient(
    VocabularyService,
    createRouterTransport((router) => tester.backend.routes(router)),
  );

describe("what the editor asks", () => {
  it("gives texts of many files, and leaves out what does not exist", async () => {
    await tester.policies.saveFile({ path: "a.yaml", text: "# a\n" });
    await tester.policies.saveFile({ path: "b.yaml", text: "# b\n" });
    const { files } = await client().getTexts({ paths: ["b.yaml", "gone.yaml", "a.yaml"] });
    expect(files.map(({ path, text }) => [path, text])).toEqual([
      ["a.yaml", "# a\n"],
      ["b.yaml", "# b\n"],
    ]);
    expect(files.every(({ revision }) => revision > 0n)).toBe(true);
  });

  it("answers without flows and without counters", async () => {
    const answer = await client().getVocabulary({});
    expect(answer).toMatchObject({ flows: 0n, ports: [], addresses: [] });
    expect(answer.since).toBeUndefined();
    expect(answer.hostsAsked).toBe(1);
  });
});

it("answers with flows of any microsecond: fractions of a millisecond are mostly no whole nanoseconds", async () => {
  const [seconds, nanos] = [1_795_349_780n, 594_851_000];
  const decision = { id: "0123456789abcdef", verdict: Verdict.DENY, reason: DecisionReason.RULE, summary: "denied" };
  const second = new Store({ stateDir: tester.stateDir, logger: silentLogger });
  new FlowsTable(second).insert({ hostId: "local", agentEpochMs: 1 }, [
    create(FlowSchema, {
      ...{ id: 1n, kind: FlowEventKind.DENY, direction: Direction.INGRESS, protocol: 6, destinationPort: 22 },
      ...{ verdict: Verdict.DENY, enforced: Verdict.DENY, decision, time: { seconds, nanos } },
    }),
  ]);
  second.close();
  const answer = await client().getVocabulary({});
  expect(answer.since).toMatchObject({ seconds, nanos: 594_000_000 });
  expect(answer.rules[0]?.lastFlow).toMatchObject({ seconds, nanos: 594_000_000 });
});

describe("counting flows", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "wardline-vocabulary-"));
  const store = new Store({ stateDir, logger: silentLogger });
  afterAll(() => {
    store.close();
    rmSync(stateDir, { recursive: true });
  });
  const flows = new FlowsTable(store);
  const decision = {
    ...{ id: "0123456789abcdef", verdict: Verdict.DENY, reason: DecisionReason.RULE, rule: "ingress[0]" },
    ...{ policyKeys: ["Policy/default/db"], summary: "denied by default/db, ingress[0]" },
  };
  const flow = (id: number, port: number, kind: FlowEventKind, verdict: Verdict) =>
    create(FlowSchema, {
      ...{ id: BigInt(id), kind, direction: Direction.INGRESS, protocol: 6, verdict, enforced: verdict },
      ...{ sourceAddress: "192.0.2.10", sourcePort: 4000, sourceName: "web-1" },
      ...{ destinationAddress: "192.0.2.20", destinationPort: port },
      ...(verdict === Verdict.DENY ? { decision } : {}),
      time: timestampFromMs(1_000 * id),
    });

  it("counts ports, addresses and rules of the newest, connections once", () => {
    flows.insert({ hostId: "h", agentEpochMs: 1 }, [
      flow(1, 5432, FlowEventKind.START, Verdict.ALLOW),
      flow(2, 5432, FlowEventKind.END, Verdict.ALLOW),
      flow(3, 5432, FlowEventKind.DENY, Verdict.DENY),
      flow(4, 22, FlowEventKind.START, Verdict.ALLOW),
    ]);
    expect(countFlows(store, 0)).toMatchObject({
      flows: 3,
      sinceUs: 1_000_000,
      ports: [
        { protocol: 6, port: 5432, flows: 2, denied: 1 },
        { protocol: 6, port: 22, flows: 1, denied: 0 },
      ],
      decisions: [{ id: decision.id, flows: 1, denied: 1, lastUs: 3_000_000 }],
    });
    const byAddress = Object.fromEntries(
      countFlows(store, 0).addresses.map(({ address, name, flows: count }) => [address, [name, count]]),
    );
    expect(byAddress).toEqual({ "192.0.2.10": ["web-1", 3], "192.0.2.20": ["", 3] });
    expect(countFlows(store, 3_500_000).flows).toBe(1);
  });
});
