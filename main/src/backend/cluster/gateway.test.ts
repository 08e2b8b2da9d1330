/** Clusters of hosts whose agents are in memory: who is where, through whom it is followed, and where writes go. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { DocumentWriteSchema } from "@wardline/api/wardline/agent/v1/cluster";
import type { ClusterList } from "@wardline/api/wardline/console/v1/activity";
import type { ClusterStatus } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";
import { failureFromConnectError, failureToConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TestConsole } from "../testing/console.ts";
import { FakeCluster, FakeClusterNode } from "../testing/fake-cluster.ts";
import { type TestFleet, testFleet } from "../testing/fleet.ts";

const POLICY = `apiVersion: wardline.io/v1
kind: Policy
metadata: {name: web, namespace: default}
spec: {description: one}
`;

let fleet: TestFleet;
let tester: TestConsole;
let prod: FakeCluster;
let shown: ClusterList | null;
let leaving: AbortController;

/** alpha is alone, a b c are in prod (a leads, b may), d has an agent that is older than clusters. */
beforeEach(async () => {
  fleet = testFleet(["a", "b", "c", "d"]);
  prod = new FakeCluster("prod", "a");
  for (const name of ["a", "b", "c"]) {
    prod.admit(name, name !== "c");
    fleet.agent(name).cluster = new FakeClusterNode(name, prod);
  }
  fleet.agent("alpha").cluster = new FakeClusterNode("alpha", null);
  tester = fleet.start();
  await fleet.connected(tester);
  leaving = new AbortController();
  shown = null;
});
afterEach(async () => {
  leaving.abort();
  await tester.close();
});

/** As the window does: what is shown is the newest part of its stream. */
function look(): void {
  void (async () => {
    for await (const list of tester.backend.services.clusters.follow(leaving.signal)) shown = list;
  })();
}

const until = (read: () => unknown) => expect.poll(read, { timeout: 60_000, interval: 20 });
const view = () => shown?.clusters[0];
const code = async (work: Promise<unknown>) => {
  try {
    await work;
    return null;
  } catch (error) {
    return (error instanceof Failure ? error : failureFromConnectError(error))?.code ?? error;
  }
};
const writes = () => prod.calls.filter((call) => call.startsWith("writeDocuments"));
const write = (isRepeatable = true) =>
  tester.backend.clusters.write(
    "prod",
    (client) =>
      client.writeDocuments({ mode: EnforcementMode.ENFORCE, writes: [create(DocumentWriteSchema, { text: POLICY })] }),
    { isRepeatable },
  );

describe("which host is in which cluster", () => {
  it("is what each host says; an old agent and a host that is alone are states and no errors", async () => {
    look();
    await until(() => view()?.status?.clusterName).toBe("prod");
    await until(() => shown?.unclusteredHostIds).toEqual(["local"]);
    await until(() => shown?.outdatedHostIds).toEqual(["d"]);
    await until(() => view()?.hostIds).toEqual({ a: "a", b: "b", c: "c" });
    expect(view()?.problem).toBeUndefined();
    expect(view()?.throughHostId).toBe("a");
  });

  it("changes when a host joins or leaves by somebody else's hand", async () => {
    look();
    await until(() => shown?.unclusteredHostIds).toEqual(["local"]);
    fleet.agent("alpha").cluster!.cluster = prod;
    prod.admit("alpha", false);
    await until(() => view()?.hostIds.alpha).toBe("local");
    expect(shown?.unclusteredHostIds).toEqual([]);
    fleet.agent("alpha").cluster!.cluster = null;
    prod.members.delete("alpha");
    prod.changes.notify();
    await until(() => shown?.unclusteredHostIds).toEqual(["local"]);
  });

  it("does not take a host's word for another one, nor that it belongs where nobody lists it", async () => {
    fleet.agent("alpha").cluster!.onStatus = () => prod.statusFor("intruder");
    look();
    await until(() => view()?.status?.problems.join()).toContain("intruder in this cluster, which does not list it");
    await until(() => view()?.hostIds).toEqual({ a: "a", b: "b", c: "c" });
    await until(() => view()?.throughHostId).toBe("a");
  });
});

describe("following a cluster", () => {
  it("goes on through another member when one is lost, and says so while nobody answers", async () => {
    look();
    await until(() => view()?.throughHostId).toBe("a");
    fleet.agent("a").dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "gone" });
    fleet.agent("a").dropConnections();
    await until(() => view()?.throughHostId).toBe("b");
    prod.lead("b");
    await until(() => view()?.status?.currentTerm?.leader).toBe("b");
    for (const name of ["b", "c"]) {
      fleet.agent(name).dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "gone" });
      fleet.agent(name).dropConnections();
    }
    await until(() => view()?.problem?.code).toBe(ErrorCode.HOST_UNREACHABLE);
    expect(view()?.throughHostId).toBe("");
    expect(view()?.status?.currentTerm?.leader).toBe("b");
    const release = tester.backend.registry.byId("c").connection.need();
    fleet.agent("c").dialFailure = null;
    tester.backend.registry.byId("c").connection.retryNow();
    await until(() => view()?.throughHostId).toBe("c");
    expect(view()?.problem).toBeUndefined();
    release();
  });

  it("leaves a member that the store does not answer for one that it does", async () => {
    look();
    await until(() => view()?.throughHostId).toBe("a");
    const cutOff = (isCutOff: boolean) => (status: ClusterStatus) => Object.assign(status, { stale: isCutOff });
    fleet.agent("a").cluster!.onStatus = cutOff(true);
    prod.changes.notify();
    await until(() => [view()?.throughHostId, view()?.status?.stale]).toEqual(["b", false]);
    for (const name of ["b", "c"]) fleet.agent(name).cluster!.onStatus = cutOff(true);
    prod.changes.notify();
    await until(() => view()?.status?.stale).toBe(true);
    expect(view()?.problem).toBeUndefined();
    fleet.agent("c").cluster!.onStatus = cutOff(false);
    await until(() => [view()?.throughHostId, view()?.status?.stale]).toEqual(["c", false]);
  });

  it("bounds what a member says before anybody sees it", async () => {
    fleet.agent("a").cluster!.onStatus = (status) => {
      status.problems = Array.from({ length: 200 }, () => `\u001b[2J${"x".repeat(5_000)}`);
      status.documentCounts = Object.fromEntries(Array.from({ length: 1_500 }, (_, index) => [`\u202e${index}`, 1]));
      status.members[0]!.record!.labels = { "__proto__\u0007": "\u001b" };
      return status;
    };
    look();
    await until(() => view()?.status?.problems.length).toBe(50);
    const text = JSON.stringify(view(), (_, value) => (typeof value === "bigint" ? "" : value));
    expect(hasInvisible(text)).toBe(false);
    expect(Object.keys(view()?.status?.documentCounts ?? {}).length).toBeLessThanOrEqual(1_000);
    expect(text.length).toBeLessThan(200_000);
  });

  it("sends nothing anew when nothing has changed", async () => {
    look();
    await until(() => view()?.hostIds).toEqual({ a: "a", b: "b", c: "c" });
    await until(() => shown?.outdatedHostIds).toEqual(["d"]);
    const before = shown;
    tester.backend.clusters.changes.notify();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(shown).toBe(before);
  });
});

describe("a write", () => {
  it("goes to the leader's host", async () => {
    const { head } = await write();
    expect(head?.setNumber).toBe(1n);
    expect(writes()).toEqual(["writeDocuments at a"]);
  });

  it("finds the new leader when the one that it knew has lost its term", async () => {
    await tester.backend.clusters.require("prod");
    prod.lead("b");
    fleet.agent("a").cluster!.cluster!.members.get("a")!.record!.candidate = false;
    await write();
    expect(writes()).toEqual(["writeDocuments at b"]);
  });

  it("goes to a candidate when this console does not know the leader", async () => {
    prod.admit("elsewhere", true);
    prod.lead("elsewhere");
    await write();
    expect(writes()[0]).toMatch(/at [ab]$/);
  });

  it("names the leader and what to do when nobody takes it", async () => {
    prod.admit("elsewhere", true);
    prod.lead("elsewhere");
    for (const name of ["a", "b"]) {
      fleet.agent(name).dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "gone" });
      fleet.agent(name).dropConnections();
    }
    const failure = await write().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: ErrorCode.NOT_LEADER });
    expect(String((failure as Failure).message)).toContain("elsewhere leads the cluster prod");
    expect((failure as Failure).hint).toContain("wardline host add");
  });

  it("waits out an election", async () => {
    await tester.backend.clusters.require("prod");
    prod.lead(null);
    const writing = write();
    setTimeout(() => prod.lead("b"), 600);
    expect((await writing).head?.setNumber).toBe(1n);
  });

  it("waits for the next leader when a candidate cannot hand it on to the one that has died", async () => {
    await tester.backend.clusters.require("prod");
    fleet.agent("a").dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "gone" });
    fleet.agent("a").dropConnections();
    await until(() => tester.backend.registry.byId("a").connection.cluster).toBeNull();
    const refusal = new Failure({
      code: ErrorCode.HOST_UNREACHABLE,
      message: "a cannot be reached over the peer link",
    });
    fleet
      .agent("b")
      .cluster!.failures.set("writeDocuments", { failure: failureToConnectError(refusal), isAfter: false });
    setTimeout(() => prod.lead("b"), 600);
    expect((await write()).head?.setNumber).toBe(1n);
    expect(writes()).toEqual(["writeDocuments at b"]);
  });

  it("is not made twice when its answer was lost, unless it may be", async () => {
    const lost = { failure: new ConnectError("lost", Code.Unavailable), isAfter: true };
    fleet.agent("a").cluster!.failures.set("writeDocuments", lost);
    const failure = (await write(false).catch((error: unknown) => error)) as Failure;
    expect(failure.code).toBe(ErrorCode.AGENT_UNREACHABLE);
    expect(failure.message).toContain("may have been written");
    expect(writes()).toHaveLength(1);
    const { clusters } = tester.backend;
    fleet.agent("a").cluster!.failures.set("createJoinToken", lost);
    await clusters.write("prod", (client) => client.createJoinToken({}), { isRepeatable: true });
    expect(prod.calls.filter((call) => call.startsWith("createJoinToken"))).toEqual([
      "createJoinToken at a",
      "createJoinToken at b",
    ]);
  });

  it("is refused at once while the store has no majority", async () => {
    prod.storeIsWritable = false;
    expect(await code(write())).toBe(ErrorCode.STORE_UNAVAILABLE);
  });

  it("is refused for a name that two clusters have, and for one that none has", async () => {
    const other = new FakeCluster("prod", "alpha");
    fleet.agent("alpha").cluster!.cluster = other;
    fleet.agent("alpha").cluster!.onStatus = (status) => Object.assign(status, { trustDomain: "other" });
    const ambiguous = (await write().catch((error: unknown) => error)) as Failure;
    expect(ambiguous.code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(ambiguous.message).toContain("trust domains other, prod.wardline");
    expect(await code(tester.clusters.listSets({ clusterName: "absent" }))).toBe(ErrorCode.NOT_FOUND);
  });
});
