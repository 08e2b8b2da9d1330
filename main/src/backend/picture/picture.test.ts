import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import * as wire from "@wardline/api/wardline/console/v1/picture";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { BackendKind, Emergency } from "@wardline/api/wardline/v1/host";
import { EnforcementMode, PolicyFileSchema } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowRecord } from "@wardline/domain/flows";
import { readPolicyFiles } from "@wardline/domain/policy";
import { toWireFlowRecord } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryHistory } from "../history/testing/memory-history.ts";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";

const NOW_MS = Date.now();
const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: HOST, labels: {app: web}}
spec: {addresses: [192.0.2.10]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [192.0.2.20]}
`;
const POLICY = `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: web, namespace: default}
spec:
  subject: {selector: {matchLabels: {app: web}}}
  isolate: [egress]
  egress:
    - to: [{selector: {matchLabels: {app: db}}}]
      ports: [{port: 5432}]
`;

let history: MemoryHistory;
let tester: TestConsole;
let hostName = "";

function record(changes: Partial<FlowRecord>): FlowRecord {
  const windowStartMs = NOW_MS - 60_000;
  return {
    ...{
      host: hostName,
      windowStartMs,
      windowMs: 10_000,
      firstSeenMs: windowStartMs,
      lastSeenMs: windowStartMs + 5_000,
    },
    ...{ direction: "egress", protocol: 6, sourceAddress: "192.0.2.10", destinationAddress: "192.0.2.20" },
    ...{
      destinationPort: 5432,
      sourceName: "",
      destinationName: "",
      observedName: "",
      verdict: "allow",
      enforced: "allow",
    },
    ...{ policyKeys: [], decisionSummary: "", subjectKey: `Host/${hostName}`, cgroupPath: "" },
    process: { pid: 7, userId: 33, userName: "www-data", command: "psql", executable: "/usr/bin/psql" },
    ...{ started: 2, ended: 2, deniedPackets: 0, packets: 20, originatorBytes: 1_000, responderBytes: 5_000 },
    foldedFlows: 0,
    ...changes,
  };
}

async function keep(records: readonly FlowRecord[]): Promise<void> {
  const batch = create(FlowRecordBatchSchema, { sequence: 1n, records: records.map(toWireFlowRecord) });
  await history.ingest([{ hostId: "local", hostName, journalId: "j", batches: [batch] }]);
}

beforeEach(async () => {
  history = new MemoryHistory();
  const options = { flowHistory: history, collectFlows: false, introducesLocalHost: false };
  const agent = new FakeAgent();
  agent.backend = BackendKind.EBPF;
  tester = startTestConsole(agent, options);
  const { local } = tester.backend.registry;
  await expect.poll(() => local.connection.state.status?.info?.agentVersion ?? "").not.toBe("");
  hostName = local.connection.hostName;
  tester.backend.workspace.putAll([
    { path: "hosts.yaml", text: INVENTORY.replaceAll("HOST", hostName) },
    { path: "web.yaml", text: POLICY },
  ]);
});
afterEach(() => tester.close());

const { signal } = new AbortController();
const WEB = "group:default app=web";
const DB = "group:default app=db";
type Basis = Partial<wire.PictureBasis>;

const basisOf = (basis: Basis) => ({ ...create(wire.PictureBasisSchema), ...basis });
const fileOf = (text: string) => create(PolicyFileSchema, { path: "web.yaml", text });
const parts = (basis: Basis = {}, more: Partial<wire.GetPictureRequest> = {}, until = signal) =>
  collect(
    tester.backend.services.picture.picture(
      { ...create(wire.GetPictureRequestSchema), basis: basisOf(basis), ...more },
      until,
    ),
  );
async function draw(basis: Basis = {}, more: Partial<wire.GetPictureRequest> = {}, until = signal) {
  const [first, ...rest] = await parts(basis, more, until);
  if (!first) throw new Error("A picture without a part.");
  expect(first.edges).toEqual([]);
  return { ...first, edges: rest.flatMap(({ edges }) => edges) };
}
const edge = (basis: Basis = {}, sourceId = WEB, destinationId = DB) =>
  tester.backend.services.picture.edge(
    create(wire.GetEdgeRequestSchema, { basis: basisOf(basis), sourceId, destinationId }),
    signal,
  );
const draftFor = (...nodeIds: string[]) =>
  tester.backend.services.picture.draftFor(create(wire.DraftForRequestSchema, { nodeIds }), signal);

async function apply(mode = EnforcementMode.ENFORCE): Promise<void> {
  const { planId } = await tester.ship.plan({});
  await collect(tester.ship.apply({ planId, mode, confirmWithin: { seconds: 10n }, reason: "test" }));
  await expect
    .poll(() => tester.backend.registry.local.connection.state.status?.enforced?.number ?? 0n)
    .toBeGreaterThan(0n);
}

const failureOf = (answer: Promise<unknown>) =>
  answer.then(
    () => null,
    (error: unknown) => (error instanceof Failure ? error.code : error),
  );

const textsOf = ({ edges }: Pick<wire.GetPictureResponse, "edges">) =>
  edges.map(({ sourceId, destinationId, draft, classes }) =>
    [sourceId, destinationId, draft?.ports?.text, ...classes.map((name) => wire.PictureClass[name])].join(" | "),
  );

describe("GetPicture", () => {
  it("has what the draft allows, what was seen, and who cannot say what it enforces", async () => {
    await keep([
      record({}),
      record({ destinationPort: 22, verdict: "deny", enforced: "deny", started: 0, ended: 0, deniedPackets: 3 }),
    ]);
    const picture = await draw();
    expect(picture.labelKeys).toEqual(["app"]);
    expect(textsOf(picture)[0]).toBe(`${WEB} | ${DB} | 5432/tcp | TRIED | USED | UNKNOWN`);
    const [first] = picture.edges;
    expect(first?.flows).toMatchObject({ connections: 2n, deniedPackets: 3n, wouldDeny: 0n, wouldAllow: 0n });
    expect(first?.classes).toContain(wire.PictureClass.TRIED);
    expect(first?.classes).toContain(wire.PictureClass.USED);
    const byId = new Map(picture.nodes.map((node) => [node.id, node]));
    expect(byId.get(DB)).toMatchObject({ members: 1, unknownMembers: 1, ingressMembers: 0, egressMembers: 0 });
    expect(byId.get(WEB)).toMatchObject({ unknownMembers: 0, egressMembers: 1, policyKeys: ["Policy/default/web"] });
    expect(picture.flowRecords).toBe(2n);
  });

  it("compares a draft with what the host enforces", async () => {
    await apply();
    const files = [fileOf(POLICY.replace("5432", "5433"))];
    const [changed] = (await draw({ files })).edges;
    expect([changed?.opens?.text, changed?.closes?.text]).toEqual(["5433/tcp", ""]);
    expect(changed?.enforced?.unknownPairs).toBe(1n);
    const same = await draw();
    expect(same.edges.every(({ opens, closes }) => `${opens?.text}${closes?.text}` === "")).toBe(true);
    expect(same.hosts).toMatchObject([{ name: hostName, problem: "", observes: false }]);
  });

  it("shows the neighbours of what is in focus only", async () => {
    const focused = await draw({}, { focusFile: "web.yaml" });
    expect(focused.nodes.filter(({ inFocus }) => inFocus).map(({ id }) => id)).toEqual([WEB]);
    expect((await draw({}, { focusNodeId: WEB })).nodes.map(({ id }) => id)).toContain(DB);
    expect(await failureOf(draw({}, { focusNodeId: "nobody" }))).toBe(ErrorCode.NOT_FOUND);
  });

  it("refuses what it cannot draw", async () => {
    expect(await failureOf(draw({ files: [fileOf("kind: [")] }))).toBe(ErrorCode.POLICY_INVALID);
    expect(await failureOf(draw({ labelKeys: Array.from({ length: 9 }, (_, index) => `key${index}`) }))).toBe(
      ErrorCode.INVALID_ARGUMENT,
    );
    expect(await failureOf(draw({ hostIds: ["nobody"] }))).toBe(ErrorCode.NOT_FOUND);
    const window = { since: timestampFromMs(200_000), until: timestampFromMs(100_000) };
    expect(await failureOf(draw(window))).toBe(ErrorCode.INVALID_ARGUMENT);
    const gone = AbortSignal.abort();
    const grouping = wire.PictureGrouping.HOST;
    expect([null, ErrorCode.CANCELED]).toContain(await failureOf(draw({ grouping }, {}, gone)));
  });

  it("does not send again what the caller has, until something of it changes", async () => {
    await keep([record({})]);
    const first = await draw();
    const [same, ...more] = await parts({}, { knownPictureId: first.pictureId });
    expect([same?.unchanged, same?.nodes, more]).toEqual([true, [], []]);
    expect([same?.endpoints, same?.flowRecords]).toEqual([first.endpoints, first.flowRecords]);
    const [focused] = await parts({}, { knownPictureId: first.pictureId, focusFile: "web.yaml" });
    expect(focused?.unchanged).toBe(false);
    const changed = await draw(
      { files: [fileOf(POLICY.replace("5432", "5433"))] },
      { knownPictureId: first.pictureId },
    );
    expect([changed.unchanged, changed.pictureId === first.pictureId]).toEqual([false, false]);
    expect(textsOf(changed).join()).toContain("5433/tcp");
  });

  it("knows that a pulled emergency brake counts more than the policies of the host", async () => {
    await apply();
    const { connection } = tester.backend.registry.local;
    const pull = async (emergency: Emergency) => {
      tester.agent.emergency = emergency;
      tester.agent.changes.notify();
      await expect.poll(() => connection.state.status?.emergency).toBe(emergency);
    };
    const before = await draw();
    const closesOf = ({ edges }: typeof before) => edges.map(({ closes }) => closes?.text ?? "").join("");
    expect(closesOf(before)).toBe("");
    await pull(Emergency.OPEN);
    const open = await draw({}, { knownPictureId: before.pictureId });
    expect(open.unchanged).toBe(false);
    expect(open.hosts).toMatchObject([{ generation: 1n, problem: "", observes: true }]);
    expect(closesOf(open)).not.toBe("");
    await pull(Emergency.CLOSED);
    const closed = await draw({}, { knownPictureId: open.pictureId });
    expect(closed.unchanged).toBe(false);
    expect(closed.hosts).toMatchObject([{ generation: 1n, problem: expect.stringContaining("brake is closed") }]);
    expect(closed.nodes.find(({ id }) => id === WEB)?.unknownMembers).toBe(1);
  });

  it("takes nothing for enforced where the programs are not attached, or can only observe", async () => {
    await apply();
    const { connection } = tester.backend.registry.local;
    const before = await draw();
    tester.agent.isDetached = true;
    tester.agent.changes.notify();
    await expect.poll(() => connection.state.status?.attached).toBe(false);
    const loose = await draw({}, { knownPictureId: before.pictureId });
    expect(loose.hosts).toMatchObject([{ generation: 1n, problem: expect.stringContaining("not attached") }]);
    expect(loose.nodes.find(({ id }) => id === WEB)?.unknownMembers).toBe(1);
    tester.agent.backend = BackendKind.OBSERVE;
    tester.agent.changes.notify();
    await expect.poll(() => connection.state.status?.info?.backend).toBe(BackendKind.OBSERVE);
    const observing = await draw({}, { knownPictureId: loose.pictureId });
    expect(observing.hosts).toMatchObject([{ generation: 1n, problem: "", observes: true }]);
    expect(observing.edges.some(({ closes }) => (closes?.text ?? "") !== "")).toBe(true);
  });

  it("says of a host that is away that what it enforces is its last word, and since when", async () => {
    await apply();
    expect((await draw()).hosts.map(({ awaySince }) => awaySince)).toEqual([undefined]);
    const { connection } = tester.backend.registry.local;
    tester.agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone" });
    tester.agent.dropConnections();
    await expect.poll(() => connection.state.reachability).not.toBe(Reachability.CONNECTED);
    const { lastHeardAtMs } = connection.state;
    expect(lastHeardAtMs).toBeGreaterThan(NOW_MS - 60_000);
    const picture = await draw();
    expect(picture.hosts.map(({ awaySince, generation, problem }) => [awaySince, generation, problem])).toEqual([
      [timestampFromMs(lastHeardAtMs), 1n, ""],
    ]);
    const web = picture.nodes.find(({ id }) => id === WEB);
    expect([web?.awayMembers, web?.awaySince]).toEqual([1, timestampFromMs(lastHeardAtMs)]);
    expect(picture.nodes.find(({ id }) => id === DB)?.awayMembers).toBe(0);
  });
});

describe("GetEdge", () => {
  it("has the rules with their places, the flows, the query that finds them, and a test that holds", async () => {
    await keep([record({}), record({ destinationPort: 6000, started: 1 })]);
    const answer = await edge();
    const rules = answer.allowing.filter(({ decision }) => decision?.policyKeys.length);
    expect(rules.map(({ ports, decision }) => [ports, decision?.source?.file, decision?.source?.line])).toEqual([
      ["5432/tcp", "web.yaml", 8],
    ]);
    expect(answer.denying[0]?.decision?.policyKeys).toEqual(["Policy/default/web"]);
    expect(answer.flowGroups.map(({ port, draftAllows }) => [port, draftAllows])).toEqual([
      [5432, true],
      [6000, false],
    ]);
    expect(answer.edge?.flows?.wouldDeny).toBe(1n);
    expect(answer.deniedExample).toMatchObject({
      fromKey: `Host/${hostName}`,
      toKey: "Host/db-1",
      protocol: 6,
      port: 1,
    });
    const messages = await collect(tester.history.searchRecords({ query: { text: answer.flowQuery } }));
    expect(messages.flatMap(({ records }) => records)).toHaveLength(2);
    expect(answer.testText).toContain("expect: allow");
    expect(readPolicyFiles([{ path: "test.yaml", text: answer.testText }]).ok).toBe(true);
  });
});

describe("DraftFor", () => {
  it("writes the least that what was seen needs, and adds nothing", async () => {
    await keep([
      record({ started: 40 }),
      record({ destinationPort: 443, destinationAddress: "203.0.113.9", started: 30 }),
    ]);
    const before = tester.backend.workspace.snapshot().revision;
    const answer = await draftFor(WEB);
    expect(answer.suggestions.map(({ group, rules }) => [group, rules.length > 0])).toEqual([
      ["default app=web", true],
    ]);
    expect(answer.text).toContain("5432");
    expect(readPolicyFiles([{ path: answer.path, text: answer.text }]).ok).toBe(true);
    expect(tester.backend.workspace.snapshot().revision).toBe(before);
    expect(answer.notes).toEqual([]);
    expect((await draftFor(DB)).notes.join()).toContain("1 of 1 endpoints recorded nothing");
  });

  it("says nothing of folded flows: nobody knows any more between whom they were", async () => {
    const folded = { destinationAddress: "", destinationPort: 0, foldedFlows: 9_000, started: 9_000 };
    await keep([record({ started: 40 }), record(folded)]);
    const { text } = await draftFor(WEB);
    const picture = await draw();
    expect(picture.notes.join()).toContain("more different ends than are kept (1)");
    await history.forgetHost("local");
    await keep([record({ started: 40 })]);
    expect(text).toContain("5432");
    expect(text).toBe((await draftFor(WEB)).text);
  });

  it("needs somebody to write for", async () => {
    expect(await failureOf(draftFor())).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(await failureOf(draftFor("world"))).toBe(ErrorCode.INVALID_ARGUMENT);
  });
});
