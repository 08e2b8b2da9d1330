/** A cluster made from the console: a host first, then others through their own connections. */
import { Code, ConnectError } from "@connectrpc/connect";
import { StoreKind } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { TestConsole } from "../testing/console.ts";
import { type FakeCluster, FakeClusterNode } from "../testing/fake-cluster.ts";
import { type TestFleet, testFleet } from "../testing/fleet.ts";

let fleet: TestFleet;
let tester: TestConsole;
const node = (name: string) => fleet.agent(name).cluster as FakeClusterNode;
const prod = () => node("alpha").cluster as FakeCluster;

/** Hosts a to c and the console's own, alone; d has an agent that is older than clusters. */
beforeEach(() => {
  fleet = testFleet(["a", "b", "c", "d"]);
  const world = new Map<string, FakeCluster>();
  for (const name of ["alpha", "a", "b", "c"]) fleet.agent(name).cluster = new FakeClusterNode(name, null, world);
  tester = fleet.start();
});
afterEach(() => tester.close());

const failure = async (work: Promise<unknown>) =>
  failureFromConnectError(
    await work.then(
      () => null,
      (thrown: unknown) => thrown,
    ),
  );
const make = (cluster: object = { clusterName: "prod" }) => tester.clusters.createCluster({ hostId: "local", cluster });
const host = (hostId: string, more: object = {}) => ({ hostId, ...more });
const join = (...hosts: object[]) => tester.clusters.joinHosts({ clusterName: "prod", hosts });

it("begins on one host, at the address that its peers would reach it at", async () => {
  const { cluster } = await make({ clusterName: "prod", labels: { tier: "control" } });
  expect(cluster?.status).toMatchObject({ clusterName: "prod", currentTerm: { leader: "alpha" } });
  expect(cluster?.hostIds).toEqual({ alpha: "local" });
  expect(prod().members.get("alpha")?.record).toMatchObject({
    peerAddress: "10.0.0.1:7443",
    labels: { tier: "control" },
  });
});

it.each([
  ["a name that no host could have", { clusterName: "Prod!" }],
  ["an address without a port", { clusterName: "prod", peerAddress: "10.0.0.1" }],
  ["a name instead of an address", { clusterName: "prod", peerAddress: "a.example:7443" }],
  ["labels that are none", { clusterName: "prod", labels: { "a b": "c" } }],
])("refuses %s, and asks no host", async (_what, cluster) => {
  expect(await failure(make(cluster))).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
  expect(node("alpha").cluster).toBeNull();
});

it("does not make a second one on a host that has one", async () => {
  await make();
  expect(await failure(make({ clusterName: "other" }))).toMatchObject({ code: ErrorCode.ALREADY_EXISTS });
});

it("lets hosts in, each with a token of its own, and says of each how it ended", async () => {
  await make();
  fleet.agent("c").dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "away" });
  const { results } = await join(
    host("a", { candidate: true, peerAddress: "[fd00::1]:7443" }),
    host("b"),
    host("c"),
    host("d"),
  );
  expect(results.map(({ hostId, problem }) => [hostId, problem?.code])).toEqual([
    ["a", undefined],
    ["b", undefined],
    ["c", ErrorCode.HOST_UNREACHABLE],
    ["d", ErrorCode.VERSION_MISMATCH],
  ]);
  expect([...prod().members.keys()]).toEqual(["alpha", "a", "b"]);
  expect(prod().members.get("a")?.record).toMatchObject({ candidate: true, peerAddress: "[fd00::1]:7443" });
  expect(prod().members.get("b")?.record).toMatchObject({ candidate: false });
  // Only the two that joined used theirs up; none was made for hosts that cannot join.
  expect(prod().calls.filter((call) => call.startsWith("createJoinToken"))).toHaveLength(2);
  expect(prod().tokens.size).toBe(0);
});

it("can be asked again: who is in stays in, and who had failed joins", async () => {
  await make();
  fleet.agent("b").dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "away" });
  await join(host("a"), host("b"));
  fleet.agent("b").dialFailure = null;
  await new Promise((resolve) => setTimeout(resolve, 10));
  tester.backend.registry.byId("b").connection.retryNow();
  await tester.backend.registry.byId("b").connection.connect(AbortSignal.timeout(60_000));
  const { results } = await join(host("a"), host("b"));
  expect(results.every(({ problem }) => problem === undefined)).toBe(true);
  expect(prod().calls.filter((call) => call.startsWith("createJoinToken"))).toHaveLength(2);
});

it("counts a host as joined when only the answer was lost", async () => {
  await make();
  node("a").failures.set("joinCluster", { failure: new ConnectError("lost", Code.Unavailable), isAfter: true });
  const { results } = await join(host("a"));
  expect(results).toMatchObject([{ hostId: "a" }]);
  expect(results[0]?.problem).toBeUndefined();
});

it("refuses hosts that are named twice or not known, before anything is done", async () => {
  await make();
  expect(await failure(join(host("a"), host("a")))).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
  expect(await failure(join(host("a"), host("nobody")))).toMatchObject({ code: ErrorCode.NOT_FOUND });
  expect(await failure(join())).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
  expect(prod().members.size).toBe(1);
});

it("lets nobody into a cluster whose state is a file on one host", async () => {
  await make();
  prod().store = StoreKind.EMBEDDED;
  tester.backend.clusters.learn(tester.backend.registry.local, prod().statusFor("alpha"));
  const refused = await failure(join(host("a")));
  expect(refused).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT, hint: expect.stringContaining("--etcd") });
  expect(node("a").cluster).toBeNull();
});

it("leaves, removes and lets another lead", async () => {
  await make();
  await join(host("a", { candidate: true }), host("b"), host("c"));
  await tester.clusters.leaveHost({ hostId: "c", reason: "moved" });
  expect(node("c").cluster).toBeNull();
  expect(tester.backend.clusters.hosts.of("c").kind).toBe("alone");
  await tester.clusters.removeMember({ clusterName: "prod", memberName: "b", reason: "dead" });
  expect([...prod().members.keys()]).toEqual(["alpha", "a"]);
  expect(await failure(tester.clusters.removeMember({ clusterName: "prod", memberName: "" }))).toMatchObject({
    code: ErrorCode.INVALID_ARGUMENT,
  });
  await tester.clusters.resignLeader({ clusterName: "prod", reason: "upgrade" });
  expect(prod().leader).toBe("a");
});
