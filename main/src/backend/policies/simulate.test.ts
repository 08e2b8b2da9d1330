import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { FlowClass, type SimulatePoliciesRequestSchema } from "@wardline/api/wardline/console/v1/policies";
import { FlowEventKind, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";

const HOST = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha, labels: {app: web}}
spec: {addresses: [10.0.0.1]}
`;

const onlyPort = (port: number) => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: ${port}}]}]
`;

let tester: TestConsole;
let nextId = 1n;

beforeEach(async () => {
  nextId = 1n;
  tester = startTestConsole();
  await tester.policies.saveFile({ path: "host.yaml", text: HOST });
});
afterEach(() => tester.close());

function flow(over: MessageInitShape<typeof FlowSchema> = {}) {
  return create(FlowSchema, {
    id: nextId++,
    host: "alpha",
    time: timestampFromMs(Date.now()),
    kind: FlowEventKind.START,
    direction: Direction.INGRESS,
    protocol: 6,
    sourceAddress: "10.0.0.9",
    sourcePort: 40_000,
    destinationAddress: "10.0.0.1",
    destinationPort: 443,
    verdict: Verdict.ALLOW,
    enforced: Verdict.ALLOW,
    subjectKey: "Host/alpha",
    ...over,
  });
}

async function store(flows: ReturnType<typeof flow>[]) {
  tester.agent.pushFlows(flows);
  await expect.poll(async () => Number((await tester.flows.queryFlows({})).total)).toBe(flows.length);
}

async function simulate(request: MessageInitShape<typeof SimulatePoliciesRequestSchema>) {
  const messages = await collect(tester.policies.simulatePolicies(request));
  const done = messages.at(-1)?.event;
  if (done?.case !== "done") throw new Error("the last message says that it is done");
  const groups = messages.flatMap(({ event }) => (event.case === "groups" ? event.value.groups : []));
  const { counts } = done.value;
  const classes = (list: readonly { class: FlowClass; flows: bigint }[] = []) =>
    Object.fromEntries(
      list.filter(({ flows }) => flows > 0n).map((each) => [FlowClass[each.class], Number(each.flows)]),
    );
  return { groups, counts, recorded: classes(counts?.recorded), base: classes(counts?.base), done: done.value };
}

async function codeOf(run: Promise<unknown>) {
  const reason = await run.then(
    () => null,
    (error: unknown) => error,
  );
  return failureFromConnectError(ConnectError.from(reason))?.code;
}

describe("simulating policies", () => {
  it("says what a draft would change, without changing the workspace", async () => {
    await store([flow(), flow(), flow({ destinationPort: 22 }), flow({ kind: FlowEventKind.END })]);
    const { recorded, groups, counts, base } = await simulate({ files: [{ path: "web.yaml", text: onlyPort(443) }] });
    expect(recorded).toEqual({ STAYS_ALLOWED: 3, NEWLY_BLOCKED: 1 });
    expect(base).toEqual({});
    expect(counts).toMatchObject({ total: 4n, read: 4n, judged: 4n, sampledOut: 0n });
    expect(groups[0]).toMatchObject({
      recordedClass: FlowClass.NEWLY_BLOCKED,
      from: "10.0.0.0/24",
      to: "default app=web",
      port: 22,
      flows: 1n,
      example: {
        toKey: "Host/alpha",
        fromKey: "",
        direction: Direction.INGRESS,
        flow: { sourceAddress: "10.0.0.9", destinationPort: 22, host: "alpha" },
        decision: { policyKeys: ["NetworkPolicy/default/web"], verdict: Verdict.DENY },
      },
    });
    expect(groups[1]).toMatchObject({ recordedClass: FlowClass.STAYS_ALLOWED, flows: 3n, ends: 1n });
    // The example leads to its walkthrough.
    await tester.policies.saveFile({ path: "web.yaml", text: onlyPort(443) });
    const explained = await tester.policies.explain({
      from: "10.0.0.9",
      to: "Host/alpha",
      protocol: 6,
      port: 22,
      basis: 1,
    });
    expect(explained.evaluation?.verdict).toBe(Verdict.DENY);
    expect((await simulate({})).recorded).toEqual({ STAYS_ALLOWED: 3, NEWLY_BLOCKED: 1 });
  });

  it("takes a window and a sample of what is stored, and says how much that was", async () => {
    const now = Date.now();
    const old = Array.from({ length: 5 }, () => flow({ time: timestampFromMs(now - 3_600_000) }));
    await store([...old, ...Array.from({ length: 10 }, () => flow({ time: timestampFromMs(now) }))]);
    const filter = { since: timestampFromMs(now - 60_000) };
    const { counts } = await simulate({ filter, sampleEvery: 3 });
    expect(counts).toMatchObject({ total: 10n, read: 10n, judged: 4n, sampledOut: 6n });
  });

  it("compares with what the host enforces now, when asked to", async () => {
    await store([flow(), flow({ destinationPort: 22 })]);
    await tester.agent.dial().then(async ({ client, close }) => {
      const files = [
        { path: "host.yaml", text: HOST },
        { path: "web.yaml", text: onlyPort(22) },
      ];
      await client.apply({ state: { files } });
      close();
    });
    const files = [{ path: "web.yaml", text: onlyPort(443) }];
    const { base, recorded, groups } = await simulate({ files, compareEnforced: true });
    expect(base).toEqual({ NEWLY_ALLOWED: 1, NEWLY_BLOCKED: 1 });
    expect(recorded).toEqual({ STAYS_ALLOWED: 1, NEWLY_BLOCKED: 1 });
    expect(groups[0]?.baseClass).toBe(FlowClass.NEWLY_BLOCKED);
  });

  it("gives other calls their turn while it runs, tells its progress, and ends when the reader leaves", async () => {
    const many = Array.from({ length: 20_000 }, (_, index) =>
      flow({ sourcePort: index, destinationPort: 1 + (index % 9000) }),
    );
    for (let start = 0; start < many.length; start += 5000) tester.agent.pushFlows(many.slice(start, start + 5000));
    await expect
      .poll(async () => Number((await tester.flows.queryFlows({})).total), { timeout: 20_000 })
      .toBe(many.length);
    const stopping = new AbortController();
    let isOver = false;
    const run = collect(
      tester.policies.simulatePolicies(
        { files: [{ path: "web.yaml", text: onlyPort(443) }] },
        { signal: stopping.signal },
      ),
    ).finally(() => {
      isOver = true;
    });
    await tester.policies.listVersions({});
    expect(isOver).toBe(false);
    stopping.abort();
    await expect(run).rejects.toThrow();
    const { done, groups, recorded } = await simulate({
      files: [{ path: "web.yaml", text: onlyPort(443) }],
      maxGroups: 10,
    });
    expect(groups.filter(({ recordedClass }) => recordedClass === FlowClass.NEWLY_BLOCKED)).toHaveLength(10);
    const listed = groups.reduce((sum, group) => sum + Number(group.flows), 0);
    const other = done.otherRecorded.reduce((sum, { flows }) => sum + Number(flows), 0);
    expect(listed + other).toBe(20_000);
    expect(recorded).toEqual({ STAYS_ALLOWED: 3, NEWLY_BLOCKED: 19_997 });
  }, 60_000);

  it("refuses what it cannot judge by", async () => {
    const broken = [{ path: "web.yaml", text: "kind: Nothing" }];
    expect(await codeOf(simulate({ files: broken }))).toBe(ErrorCode.POLICY_INVALID);
    expect(await codeOf(simulate({ files: [{ path: "../etc/web.yaml", text: HOST }] }))).toBe(
      ErrorCode.INVALID_ARGUMENT,
    );
    expect(await codeOf(simulate({ maxGroups: 1001 }))).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(await codeOf(simulate({ sampleEvery: 1_000_001 }))).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(await codeOf(simulate({ filter: { addresses: ["nowhere"] } }))).toBe(ErrorCode.INVALID_ARGUMENT);
  });
});
