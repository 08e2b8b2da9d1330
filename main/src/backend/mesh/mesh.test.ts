import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import { ActivityService } from "@wardline/api/wardline/console/v1/activity";
import { AlertService } from "@wardline/api/wardline/console/v1/alerts";
import { MeshNodeState, MeshService, type WatchMeshResponse } from "@wardline/api/wardline/console/v1/mesh";
import {
  HealingMode,
  HealingState,
  MeshObservationSchema,
  MeshProvider,
  MeshProviderState,
  MeshTreeEntrySchema,
} from "@wardline/api/wardline/v1/mesh";
import { USUAL_RULES } from "@wardline/domain/alerts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError, timestampOf } from "@wardline/domain/wire";
import { afterEach, describe, expect, it } from "vitest";
import { toWireRule } from "../alerts/alert-wire.ts";
import { collect, type TestConsole } from "../testing/console.ts";
import { FakeMesh, meshKey, observationOf, peerOf, runOf } from "../testing/fake-mesh.ts";
import { testFleet } from "../testing/fleet.ts";

const WAIT = { timeout: 60_000, interval: 30 };
const LINK = "yggdrasil|host/web-1|host/web-2";
const testers: TestConsole[] = [];
afterEach(async () => {
  for (const tester of testers.splice(0)) await tester.close();
});

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: unknown) => ErrorCode[failureFromConnectError(error)?.code ?? 0],
  );

/** Two hosts that peer with each other, connected and told of; `db-1` has an agent that is older than meshes. */
async function start(over: Parameters<ReturnType<typeof testFleet>["start"]>[0] = {}) {
  const fleet = testFleet(["web-1", "web-2", "db-1"]);
  const meshes = {
    "web-1": new FakeMesh(observationOf("web-1", 1, [peerOf(2)])),
    "web-2": new FakeMesh(observationOf("web-2", 2, [peerOf(1, { inbound: true, configured: false, latencyMs: 6 })])),
  };
  for (const [name, mesh] of Object.entries(meshes)) fleet.agent(name).mesh = mesh.routes;
  const tester = fleet.start(over);
  testers.push(tester);
  for (const { connection } of tester.backend.registry.hosts) connection.need();
  await fleet.connected(tester);
  const transport = createRouterTransport((router) => tester.backend.routes(router));
  const client = createClient(MeshService, transport);
  const { mesh: service } = tester.backend.services;
  const alerts = createClient(AlertService, transport);
  return { fleet, meshes, tester, client, service, alerts, activity: createClient(ActivityService, transport) };
}

describe("the meshes of all hosts", () => {
  it("are one picture, in the activity stream in short, and whole with what changes", async () => {
    const { client, service, activity, meshes } = await start();
    await expect.poll(() => service.feed.summary().linksGood, WAIT).toBe(1);
    for await (const { mesh } of activity.watchActivity({})) if (mesh?.links === 1) break;
    expect(service.feed.summary()).toMatchObject({ nodesOnline: 2, partitions: 1, meanLatencyMs: 5, problems: [] });
    const leaving = new AbortController();
    const stream = client.watchMesh({}, { signal: leaving.signal })[Symbol.asyncIterator]();
    const next = async (): Promise<WatchMeshResponse> => (await stream.next()).value as WatchMeshResponse;
    const first = await next();
    expect(first.sequence).toBe(1n);
    expect(first.topology?.links).toMatchObject([
      { id: LINK, up: true, aToB: { latencyMs: 4 }, bToA: { latencyMs: 6 } },
    ]);
    // What was not measured is absent.
    expect(first.topology?.links[0]?.aToB?.loss).toBeUndefined();
    meshes["web-1"].see(observationOf("web-1", 1, [peerOf(2, { up: false })]));
    meshes["web-2"].see(observationOf("web-2", 2, []));
    let [sequence, down] = [1n, false];
    while (!down) {
      const message = await next();
      expect(message.sequence).toBe(++sequence);
      expect(message.topology).toBeUndefined();
      down = message.links.some(({ id, up }) => id === LINK && !up);
    }
    leaving.abort();
    const old = await client.getMeshOfHost({ hostId: "db-1" });
    expect(old).toMatchObject({ isOutdated: true });
    expect(old.observation).toBeUndefined();
    const told = await client.getMeshOfHost({ hostId: "web-1" });
    expect(told.observation?.providers[0]?.peers).toHaveLength(1);
    expect(await codeOf(client.getMeshOfHost({ hostId: "none" }))).toBe("NOT_FOUND");
  }, 240_000);

  it("are no longer believed of a host whose connection ended", async () => {
    const { fleet, service, client } = await start();
    await expect.poll(() => service.feed.summary().nodesOnline, WAIT).toBe(2);
    const agent = fleet.agent("web-2");
    agent.dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "away" });
    agent.dropConnections();
    const stateOf = async (id: string) => {
      for await (const { topology } of client.watchMesh({}))
        return topology?.nodes.find((node) => node.id === id)?.state;
      return undefined;
    };
    const isObserved = async () => {
      for await (const { topology } of client.watchMesh({})) return topology?.links[0]?.bToA?.observed;
      return undefined;
    };
    await expect.poll(isObserved, WAIT).toBe(false);
    expect(await stateOf("host/web-1")).toBe(MeshNodeState.ONLINE);
    // What it said is shown with its age.
    expect((await client.getMeshOfHost({ hostId: "web-2" })).receivedAt).toBeDefined();
  }, 240_000);

  it("hold no host for another: a key that two have is told, names and figures are judged", async () => {
    const { meshes, client, service, tester } = await start();
    const evil = observationOf("web-1", 1, [
      peerOf(1, { latencyMs: Number.NaN, quality: 7, uri: "tls://user:pw@192.0.2.1:1?password=secret" }),
      peerOf(2, { key: "not a key" }),
    ]);
    evil.problems = ["\u001b[31mred", ...Array.from({ length: 200 }, () => "x")];
    evil.providers.push(...Array.from({ length: 20 }, () => evil.providers[0]!));
    evil.observedAt = timestampOf(Date.now() + 86_400_000);
    meshes["web-2"].see(evil);
    const said = () => service.observation("web-2");
    await expect.poll(() => said()?.problems[0], WAIT).toBe("\\u{1b}[31mred");
    expect(said()).toMatchObject({
      host: "web-2",
      providers: [{ peers: [{ uri: "tls://192.0.2.1:1" }, { key: "", up: false }] }],
    });
    expect(said()?.problems).toHaveLength(50);
    expect(said()?.providers[0]?.peers[0]?.latencyMs).toBeUndefined();
    expect(said()?.providers[0]?.peers[0]?.quality).toBeUndefined();
    await expect.poll(() => service.feed.summary().problems.join(" "), WAIT).toMatch(/web-1.*web-2|web-2.*web-1/);
    expect((await client.getMeshOfHost({ hostId: "web-1" })).observation?.host).toBe("web-1");
    expect(tester.backend.registry.hosts.map(({ id }) => service.observation(id)?.host)).toEqual([
      ...[undefined, "web-1", "web-2", undefined],
    ]);
  }, 240_000);

  it("are read anew after a gap in what a host sends, and cut where a host sends too much", async () => {
    const { meshes, service, fleet } = await start();
    await expect.poll(() => service.feed.summary().links, WAIT).toBe(1);
    const mesh = meshes["web-2"];
    const streams = mesh.streams;
    const many = Array.from({ length: 1_500 }, (_, index) => peerOf(1, { key: index.toString(16).padStart(64, "0") }));
    mesh.odd = [
      { sequence: 1n, observation: create(MeshObservationSchema), runs: [], knowledge: [] },
      { sequence: 7n } as never,
    ];
    mesh.observation = observationOf("web-2", 2, many);
    fleet.agent("web-2").dropConnections();
    await expect.poll(() => mesh.streams, WAIT).toBeGreaterThan(streams + 1);
    mesh.odd = [];
    await expect.poll(() => service.observation("web-2")?.providers[0]?.peers.length, WAIT).toBe(1_000);
    expect(service.observation("web-2")?.providers[0]?.truncated).toBe(true);
  }, 240_000);

  it("have ways between nodes that are named as people name them", async () => {
    const { client, service } = await start();
    await expect.poll(() => service.feed.summary().linksGood, WAIT).toBe(1);
    const found = await client.findMeshPath({ from: "web-1", to: meshKey(2) });
    expect(found.paths).toMatchObject([
      { latencyMs: 4, hops: [{ linkId: LINK, from: "host/web-1", to: "host/web-2" }] },
    ]);
    expect(found.limitedBy).not.toBe("");
    const wrong = [
      { from: "", to: "web-1" },
      { from: "web-1", to: "web-1" },
      { from: "web-1", to: "web-2", count: 9 },
    ];
    for (const request of wrong) expect(await codeOf(client.findMeshPath(request))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(client.findMeshPath({ from: "web-1", to: "x".repeat(301) }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(client.findMeshPath({ from: "web-1", to: "web-9" }))).toBe("NOT_FOUND");
  }, 240_000);
});

describe("healing", () => {
  it("of one cluster that each member tells of is one run, asked at the coordinator, then at who is left", async () => {
    const { meshes, service, fleet } = await start();
    const cluster = { term: 3n, coordinator: "web-2", hosts: ["web-1"] };
    for (const mesh of Object.values(meshes)) mesh.coordinator = "web-2";
    meshes["web-1"].put(
      runOf("run-1", cluster),
      runOf("run-2", { ...cluster, state: HealingState.HEALED, endedAt: timestampOf(1) }),
    );
    meshes["web-2"].put(
      runOf("run-1", { ...cluster, state: HealingState.EXECUTING }),
      runOf("own", { coordinator: "web-2" }),
    );
    meshes["web-1"].put(runOf("own", { coordinator: "web-1" }));
    const runs = () =>
      service
        .runs()
        .map(({ hostId, run }) => `${hostId} ${run?.id} ${HealingState[run?.state ?? 0]}`)
        .sort();
    await expect
      .poll(runs, WAIT)
      .toEqual([
        "web-1 own WAITING_FOR_APPROVAL",
        "web-1 run-2 HEALED",
        "web-2 own WAITING_FOR_APPROVAL",
        "web-2 run-1 EXECUTING",
      ]);
    await expect.poll(() => service.feed.summary().needingPerson, WAIT).toBe(2);
    expect(service.feed.summary().healing).toMatchObject([{ coordinator: "web-2", hostIds: ["web-1", "web-2"] }]);
    fleet.agent("web-2").dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "away" });
    fleet.agent("web-2").dropConnections();
    await expect.poll(() => runs().includes("web-1 run-1 WAITING_FOR_APPROVAL"), WAIT).toBe(true);
  }, 240_000);

  it("takes decisions and settings to the host, and tells why they are refused", async () => {
    const { meshes, client, service } = await start();
    meshes["web-1"].put(runOf("run-1"));
    await expect.poll(() => service.runs().length, WAIT).toBe(1);
    const decide = (request: object) => client.decideMeshHealing({ hostId: "web-1", request });
    const { run } = await decide({ runId: "run-1", decision: HealingDecision.APPROVE, reason: " go ", candidate: 1 });
    expect(run?.state).toBe(HealingState.EXECUTING);
    expect(meshes["web-1"].calls.at(-1)).toMatchObject({ request: { runId: "run-1", candidate: 1, reason: "go" } });
    expect(service.runs()[0]?.run?.state).toBe(HealingState.EXECUTING);
    expect(await codeOf(decide({ runId: "run-1" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(decide({ runId: "", decision: HealingDecision.STOP }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(decide({ runId: "other", decision: HealingDecision.STOP }))).toBe("NOT_FOUND");
    const configure = (settings: object) => client.configureMeshHealing({ hostId: "web-1", settings });
    expect((await configure({ mode: HealingMode.ACT })).settings?.mode).toBe(HealingMode.ACT);
    await expect.poll(() => service.feed.summary().healing[0]?.settings?.mode, WAIT).toBe(HealingMode.ACT);
    for (const settings of [{}, { mode: 9 }, { mode: HealingMode.ACT, hold: { seconds: 9_999n } }])
      expect(await codeOf(configure(settings))).toBe("INVALID_ARGUMENT");
    expect((await client.resetMeshHealingKnowledge({ hostId: "web-1" })).at).toBeDefined();
    meshes["web-1"].refusal = new Failure({ code: ErrorCode.PERMISSION_DENIED, message: "vera is viewer." });
    expect(await codeOf(configure({ mode: HealingMode.ACT }))).toBe("PERMISSION_DENIED");
    expect(await codeOf(client.configureMeshHealing({ hostId: "db-1", settings: { mode: HealingMode.ACT } }))).toBe(
      "VERSION_MISMATCH",
    );
  }, 240_000);

  it("takes peers to the host; what cannot be meant is refused here", async () => {
    const { meshes, client } = await start();
    const base = { provider: MeshProvider.YGGDRASIL, uri: "tls://192.0.2.9:4443?password=x", dryRun: true };
    const { response } = await client.addMeshPeer({ hostId: "web-1", request: base });
    expect(response?.effects).toHaveLength(1);
    expect(meshes["web-1"].calls.at(-1)).toMatchObject({ name: "addPeer", request: base });
    await client.removeMeshPeer({ hostId: "web-1", request: { ...base, allowCutOff: true } });
    expect(meshes["web-1"].calls.at(-1)).toMatchObject({ name: "removePeer", request: { allowCutOff: true } });
    const count = meshes["web-1"].calls.length;
    for (const uri of ["", "file:///etc/passwd", "tls://192.0.2.9:4443\u202e", `tls://${"a".repeat(600)}:1`])
      expect(await codeOf(client.addMeshPeer({ hostId: "web-1", request: { ...base, uri } }))).toBe("INVALID_ARGUMENT");
    const reason = "r".repeat(501);
    expect(await codeOf(client.addMeshPeer({ hostId: "web-1", request: { ...base, reason } }))).toBe(
      "INVALID_ARGUMENT",
    );
    expect(await codeOf(client.removeMeshPeer({ hostId: "web-1" }))).toBe("INVALID_ARGUMENT");
    expect(meshes["web-1"].calls).toHaveLength(count);
  }, 240_000);

  it("that needs a person, and a mesh that fell apart, are what alerts are about", async () => {
    const { meshes, tester, service, alerts } = await start({ alerts: { delivers: true } });
    const open = () => tester.backend.alerts.board.board().alerts.map(({ rule, sentence }) => `${rule}: ${sentence}`);
    meshes["web-1"].put(runOf("run-1", { state: HealingState.ESCALATED }), runOf("run-2"));
    await expect
      .poll(() => open().sort(), WAIT)
      .toEqual([
        "mesh-not-healed: Not healed, a person has to look: The daemon on web-1 ended.",
        "mesh-waits-for-approval: Healing waits for approval: The daemon on web-1 ended.",
      ]);
    meshes["web-1"].put(runOf("run-1", { state: HealingState.ESCALATED, endedAt: timestampOf(Date.now()) }));
    meshes["web-1"].put(runOf("run-2", { state: HealingState.STOPPED, endedAt: timestampOf(Date.now()) }));
    await expect.poll(open, WAIT).toEqual([]);
    // A backtest goes by what was recorded, and says since when that is.
    const rule = toWireRule(USUAL_RULES.find(({ name }) => name === "mesh-not-healed")!);
    const backtest = async (sinceMs: number) => {
      const time = { since: timestampOf(sinceMs), until: timestampOf(Date.now()) };
      const answers = await collect(alerts.backtestRule({ rule, ...time }));
      return answers.at(-1);
    };
    const tested = await backtest(Date.now() - 86_400_000);
    expect(tested?.run?.alerts.map(({ sentence }) => sentence)).toEqual([expect.stringContaining("Not healed")]);
    expect(tested?.gaps).toEqual([expect.stringMatching(/^Conditions of meshes are recorded since /)]);
    meshes["web-1"].see(observationOf("web-1", 1, [peerOf(7)]));
    meshes["web-2"].see(observationOf("web-2", 2, [peerOf(8)]));
    const parts = () => service.feed.standing().partitions.get(MeshProvider.YGGDRASIL);
    await expect.poll(parts, WAIT).toBe(2);
    expect(service.feed.summary().partitions).toBe(2);
    // Strangers join them: both name one root.
    for (const [index, mesh] of Object.values(meshes).entries()) {
      const joined = observationOf(`web-${index + 1}`, index + 1, [peerOf(7 + index)]);
      joined.providers[0]!.tree = [create(MeshTreeEntrySchema, { key: meshKey(9), parentKey: meshKey(9) })];
      mesh.see(joined);
    }
    await expect.poll(parts, WAIT).toBe(1);
  }, 240_000);
});

it("a daemon that does not answer is a state, no mesh without peers", async () => {
  const { meshes, service } = await start();
  const hung = observationOf("web-2", 2, []);
  hung.providers[0]!.state = MeshProviderState.UNRESPONSIVE;
  meshes["web-2"].see(hung);
  await expect.poll(() => service.observation("web-2")?.providers[0]?.state, WAIT).toBe(MeshProviderState.UNRESPONSIVE);
  await expect.poll(() => service.feed.summary().nodesOnline, WAIT).toBe(2);
}, 240_000);
