import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  ShownVerdict,
  StagedReason,
  VerdictColumn,
  type VerdictRow,
  VerdictService,
  type VerdictVersion,
} from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import {
  DecisionReason,
  type DecisionSchema,
  Direction,
  EnforcementMode,
  Verdict,
} from "@wardline/api/wardline/v1/policy";
import { Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../../testing/console.ts";
import { FakeAgent } from "../../testing/fake-agent.ts";

const HOSTS = `apiVersion: wardline.io/v1
kind: Host
metadata: { name: alpha, labels: { app: web } }
spec: { addresses: [10.0.0.1] }
---
apiVersion: wardline.io/v1
kind: Host
metadata: { name: office, labels: { app: desk } }
spec: { addresses: [10.0.0.7] }
`;
const OPEN = `apiVersion: wardline.io/v1
kind: Policy
metadata: { name: web }
spec:
  subject: { selector: { matchLabels: { app: web } } }
  isolate: [ingress]
  ingress:
    - from: [{ selector: { matchLabels: { app: desk } } }]
      ports: [{ protocol: TCP, port: 22 }, { protocol: TCP, port: 443 }]
`;
const CLOSED = OPEN.replace("{ protocol: TCP, port: 22 }, ", "");

let tester: TestConsole;
let verdicts: Client<typeof VerdictService>;
const nowMs = Date.now();

beforeEach(async () => {
  const agent = new FakeAgent();
  agent.backend = BackendKind.EBPF;
  tester = startTestConsole(agent, { introducesLocalHost: false });
  verdicts = createClient(
    VerdictService,
    createRouterTransport((router) => tester.backend.routes(router)),
  );
  await tester.policies.saveFile({ path: "hosts.yaml", text: HOSTS });
});
afterEach(() => tester.close());

async function save(text: string): Promise<void> {
  const file = await tester.policies.getFile({ path: "web.yaml" }).catch(() => null);
  await tester.policies.saveFile({ path: "web.yaml", text, baseRevision: file?.revision ?? 0n });
}

/** Applies the workspace to the local host and returns the generation. */
async function apply(mode: EnforcementMode, isConfirmed = true): Promise<bigint> {
  const plan = await tester.ship.plan({});
  const steps = await collect(
    tester.ship.apply({ planId: plan.planId, mode, confirmWithin: { seconds: 60n }, reason: "test" }),
  );
  const generation = steps.at(-1)?.pending?.generation?.number ?? 0n;
  if (isConfirmed) await tester.ship.confirm({ hostId: "local", generation });
  return generation;
}

async function record(
  port: number,
  started: number,
  over: { verdict?: Verdict; generation?: bigint; decision?: MessageInitShape<typeof DecisionSchema> } = {},
) {
  const seen = timestampFromMs(nowMs - 60_000);
  const verdict = over.verdict ?? Verdict.ALLOW;
  await tester.backend.history.ingest([
    {
      ...{ hostId: "local", hostName: "alpha", journalId: "j" },
      batches: [
        create(FlowRecordBatchSchema, {
          sequence: BigInt(port),
          records: [
            {
              ...{ windowStart: seen, windowSeconds: 10, firstSeen: seen, lastSeen: seen },
              ...{ direction: Direction.INGRESS, protocol: 6, destinationPort: port },
              ...{ sourceAddress: "10.0.0.7", destinationAddress: "10.0.0.1", subjectKey: "Host/alpha" },
              ...{ verdict, enforced: verdict, generation: over.generation ?? 0n, started: BigInt(started) },
              ...(over.decision ? { decision: over.decision } : {}),
            },
          ],
        }),
      ],
    },
  ]);
}

async function list(request: Parameters<typeof verdicts.listVerdicts>[0] = {}) {
  const messages = await collect(verdicts.listVerdicts(request));
  const rows: VerdictRow[] = messages.flatMap(({ event }) => (event.case === "rows" ? event.value.rows : []));
  const versions: VerdictVersion[] = messages.flatMap(({ event }) =>
    event.case === "basis" || event.case === "done" ? event.value.versions : [],
  );
  const last = messages.at(-1)?.event;
  return { rows, versions, done: last?.case === "done" ? last.value : null };
}

const ssh = (rows: readonly VerdictRow[]) =>
  rows.find(
    ({ from, to, ports }) =>
      from === "default app=desk" &&
      to === "default app=web" &&
      ports.some(({ protocol, low, high }) => protocol === 6 && low <= 22 && 22 <= high),
  );

describe("the verdict table", () => {
  it("says draft, enforced and reported of one connection, each with its version", async () => {
    await save(OPEN);
    const generation = await apply(EnforcementMode.ENFORCE);
    await record(22, 40, { generation });
    await save(CLOSED);
    const { rows, versions, done } = await list({ since: timestampFromMs(nowMs - 3_600_000) });
    const row = ssh(rows);
    expect(row).toMatchObject({
      to: "default app=web",
      isRecorded: true,
      disagrees: true,
      draft: { verdict: ShownVerdict.DENY },
      staged: { verdict: ShownVerdict.NOTHING, parts: [] },
      enforced: { verdict: ShownVerdict.ALLOW, parts: [{ hostNames: ["alpha"] }] },
      reported: { verdict: ShownVerdict.ALLOW, parts: [{ count: 40n, generation, hostNames: ["alpha"] }] },
    });
    const draft = row?.draft?.parts[0]?.sides.find(({ direction }) => direction === Direction.INGRESS);
    expect(draft?.decision).toMatchObject({ policyKeys: ["Policy/default/web"], source: { file: "web.yaml" } });
    const versionOf = (part: { sides: { versionId: number }[] } | undefined) =>
      versions.find(({ id }) => id === part?.sides.at(-1)?.versionId);
    const enforced = versionOf(row?.enforced?.parts[0]);
    expect(enforced).toMatchObject({ column: VerdictColumn.ENFORCED, versionNumber: 1n, hosts: [{ generation }] });
    expect(versionOf(row?.reported?.parts[0])).toMatchObject({ stateDigest: enforced?.stateDigest, versionNumber: 1n });
    expect(versionOf(row?.draft?.parts[0])?.stateDigest).not.toBe(enforced?.stateDigest);
    expect(done?.source).toMatchObject({ totalRecords: 1n, readRecords: 1n });
  });

  it("knows a record of before any policy from one of several generations", async () => {
    await save(OPEN);
    await apply(EnforcementMode.ENFORCE);
    const reason = DecisionReason.BUILTIN;
    const id = "00000000000000aa";
    await record(22, 40, { decision: { id, reason, verdict: Verdict.ALLOW, summary: "allowed: no policy loaded" } });
    await record(23, 1);
    await save(CLOSED);
    const { rows, versions } = await list({ since: timestampFromMs(nowMs - 3_600_000), includeAgreeing: true });
    const reported = rows.flatMap(({ reported: cell }) => cell?.parts ?? []);
    const said = (count: bigint) => {
      const part = reported.find((one) => one.count === count);
      return versions.find(({ id: number }) => number === part?.sides[0]?.versionId);
    };
    expect(said(40n)).toMatchObject({ column: VerdictColumn.REPORTED, isNothing: true, unknownBecause: "" });
    expect(said(1n)).toMatchObject({ isNothing: false });
    expect(said(1n)?.unknownBecause).toContain("several generations");
  });

  it("says nothing where everything agrees, unless it is asked", async () => {
    await save(OPEN);
    await apply(EnforcementMode.ENFORCE);
    const { rows, done } = await list({});
    expect(rows.filter(({ to }) => to === "default app=web")).toEqual([]);
    expect(done?.matchingRows).toBe(0n);
    expect((await list({ includeAgreeing: true })).rows.length).toBeGreaterThan(0);
  });

  it.each([
    ["waits for confirmation", EnforcementMode.ENFORCE, false, StagedReason.WAITS_FOR_CONFIRMATION, ShownVerdict.DENY],
    ["is observed", EnforcementMode.OBSERVE, true, StagedReason.OBSERVED_GENERATION, ShownVerdict.OBSERVED],
  ])("knows what %s as staged", async (_name, mode, isConfirmed, stagedReason, enforced) => {
    await save(CLOSED);
    const generation = await apply(mode, isConfirmed);
    await expect.poll(() => tester.backend.registry.local.connection.state.status?.enforced?.number).toBe(generation);
    await save(OPEN);
    const { rows, versions } = await list({});
    const row = ssh(rows);
    expect(row).toMatchObject({
      draft: { verdict: ShownVerdict.ALLOW },
      staged: { verdict: ShownVerdict.DENY },
      enforced: { verdict: enforced },
    });
    const staged = versions.find(({ column, stagedReason: why }) => column === VerdictColumn.STAGED && why !== 0);
    expect(staged).toMatchObject({ stagedReason, hosts: [{ generation }] });
    expect(staged?.hosts[0]?.deadline === undefined).toBe(isConfirmed);
  });

  it("takes policies in observe mode as staged", async () => {
    await save(OPEN);
    await apply(EnforcementMode.ENFORCE);
    const observed = CLOSED.replace("spec:\n", "spec:\n  mode: observe\n");
    await save(observed);
    await apply(EnforcementMode.ENFORCE);
    const row = ssh((await list({})).rows);
    expect(row).toMatchObject({
      draft: { verdict: ShownVerdict.OBSERVED },
      staged: { verdict: ShownVerdict.DENY },
      enforced: { verdict: ShownVerdict.OBSERVED },
    });
  });

  it("does not guess for a host that cannot be reached", async () => {
    await save(OPEN);
    await apply(EnforcementMode.ENFORCE);
    await save(CLOSED);
    tester.agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone", retryable: true });
    tester.agent.dropConnections();
    await expect
      .poll(() => tester.backend.registry.local.connection.state.problem?.code)
      .toBe(ErrorCode.AGENT_UNREACHABLE);
    const { rows, versions } = await list({ includeAgreeing: true });
    expect(ssh(rows)).toMatchObject({ enforced: { verdict: ShownVerdict.UNKNOWN }, disagrees: false });
    const unknown = versions.find(({ unknownBecause }) => unknownBecause.includes("heard last"));
    expect(unknown?.unknownBecause).toContain("generation 1");
  });

  it("answers with the rows that were asked for", async () => {
    await save(OPEN);
    await apply(EnforcementMode.ENFORCE);
    await record(22, 3);
    await record(23, 9, { verdict: Verdict.DENY });
    await save(CLOSED);
    const count = async (request: Parameters<typeof list>[0]) => (await list(request)).rows.length;
    expect(await count({ port: 22, protocol: 6 })).toBe(1);
    expect(await count({ port: 21 })).toBe(0);
    expect(await count({ group: "APP=DESK" })).toBe(1);
    expect(await count({ group: "nobody" })).toBe(0);
    expect(await count({ policy: "default/web" })).toBe(1);
    const asked = (column: VerdictColumn, verdict: ShownVerdict) => ({ column, verdicts: [verdict] });
    const both = [asked(VerdictColumn.DRAFT, ShownVerdict.DENY), asked(VerdictColumn.REPORTED, ShownVerdict.ALLOW)];
    expect(await count({ where: both })).toBe(1);
    expect(await count({ where: [asked(VerdictColumn.DRAFT, ShownVerdict.ALLOW)] })).toBe(0);
    const few = await list({ includeAgreeing: true, maxRows: 1 });
    expect(few.rows).toHaveLength(1);
    expect(few.done?.leftOut).toBe((few.done?.matchingRows ?? 0n) - 1n);
  });

  it.each([
    ["a port", { port: 70_000 }],
    ["a column without verdicts", { where: [{ column: VerdictColumn.DRAFT }] }],
    ["too many rows", { maxRows: 5_001 }],
    ["a window that ends before it begins", { since: timestampFromMs(2_000), until: timestampFromMs(1_000) }],
  ])("refuses %s", async (_what, request) => {
    const failure = await list(request).catch((error: unknown) => failureFromConnectError(error));
    expect(failure).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
  });

  it("says which error of the draft keeps it from deciding", async () => {
    await save("kind: Policy\n");
    const failure = await list({}).catch((error: unknown) => failureFromConnectError(error));
    expect(failure).toMatchObject({ code: ErrorCode.POLICY_INVALID });
  });

  it("ends when nobody reads on", async () => {
    await save(OPEN);
    const stopped = new AbortController();
    const stream = verdicts.listVerdicts({}, { signal: stopped.signal })[Symbol.asyncIterator]();
    expect((await stream.next()).value?.event.case).toBe("basis");
    stopped.abort();
    await expect(stream.next()).rejects.toThrow();
  });
});

it("explains a part of a cell, step by step, under the version that decides there", async () => {
  await save(OPEN);
  await apply(EnforcementMode.ENFORCE);
  await save(CLOSED);
  const { rows, versions } = await list({});
  const row = ssh(rows);
  const explain = async (column: VerdictColumn, part = row?.draft?.parts[0]) => {
    const digest = (direction: Direction) =>
      versions.find(({ id }) => id === part?.sides.find((side) => side.direction === direction)?.versionId)
        ?.stateDigest;
    return verdicts.explainVerdict({
      column,
      egressStateDigest: digest(Direction.EGRESS) ?? "",
      ingressStateDigest: digest(Direction.INGRESS) ?? "",
      ...{ fromKey: part?.fromKey ?? "", fromAddress: part?.fromAddress ?? "", toKey: part?.toKey ?? "" },
      ...{ toAddress: part?.toAddress ?? "", protocol: 6, port: 22 },
    });
  };
  const draft = await explain(VerdictColumn.DRAFT);
  expect(draft.evaluation?.verdict).toBe(Verdict.DENY);
  expect(draft.evaluation?.directions.flatMap(({ steps }) => steps.map(({ policyKey }) => policyKey))).toContain(
    "Policy/default/web",
  );
  const enforced = await explain(VerdictColumn.ENFORCED, row?.enforced?.parts[0]);
  expect(enforced.evaluation?.verdict).toBe(Verdict.ALLOW);
  const lost = await verdicts.explainVerdict({
    ...{ column: VerdictColumn.REPORTED, egressStateDigest: "", ingressStateDigest: "f".repeat(64) },
    ...{ fromAddress: "10.0.0.7", toAddress: "10.0.0.1", protocol: 6, port: 22 },
  });
  expect(lost.evaluation).toBeUndefined();
  expect(lost.ingressProblem).toContain("not kept here");
});

it("suggests nothing from nothing, and says how much it looked at", async () => {
  const messages = await collect(verdicts.findSuggestions({ generalize: 0.5 }));
  const last = messages.at(-1)?.event;
  expect(last).toMatchObject({ case: "done", value: { counts: { total: 0n, read: 0n }, suggestions: [] } });
  const failure = await collect(verdicts.findSuggestions({ generalize: 2 })).catch((error: unknown) =>
    failureFromConnectError(error),
  );
  expect(failure).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
});
