/** The workspace and a cluster that others write to, over a fake agent. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { DocumentWriteSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { DocumentChange, type PlannedDocument } from "@wardline/api/wardline/console/v1/cluster";
import { SetState } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTestConsole, type TestConsole } from "../../testing/console.ts";
import { FakeAgent } from "../../testing/fake-agent.ts";
import { FakeCluster, FakeClusterNode } from "../../testing/fake-cluster.ts";

const policy = (name: string, ...descriptions: string[]) => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ${name}
  namespace: default
  annotations:
    one: ${descriptions[0] ?? "a"}
    two: b
    three: c
    four: d
    five: ${descriptions[1] ?? "e"}
spec:
  podSelector: {}
  policyTypes: [Ingress]
`;
const key = (name: string) => `networkpolicy/default/${name}`;
const HOST = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: a}
spec: {addresses: [10.0.0.1]}
`;

let cluster: FakeCluster;
let node: FakeClusterNode;
let tester: TestConsole;

beforeEach(() => {
  ({ cluster, node, tester } = start());
});
afterEach(() => tester.close());

function start(shared = new FakeCluster("prod", "alpha")) {
  const agent = new FakeAgent();
  if (!shared.members.has("alpha")) shared.admit("alpha", true);
  agent.cluster = new FakeClusterNode("alpha", shared);
  return {
    cluster: shared,
    node: agent.cluster,
    tester: startTestConsole(agent, { introducesLocalHost: false }),
  };
}

async function plan(options: { deleteMissing?: boolean; files?: { path: string; text: string }[] } = {}) {
  const answer = await tester.clusters.planSync({ clusterName: "prod", ...options });
  const changes = Object.fromEntries(answer.documents.map((each) => [each.key, DocumentChange[each.change]]));
  const of = (name: string) => answer.documents.find((each) => each.key === key(name)) as PlannedDocument;
  return { ...answer, changes, of };
}

/** Somebody else, on another console. */
function elsewhere(...writes: MessageInitShape<typeof DocumentWriteSchema>[]): void {
  cluster.write({ writes: writes.map((each) => create(DocumentWriteSchema, each)) }, "bob on beta");
}
const save = (path: string, text: string) => {
  const { workspace } = tester.backend;
  const revision = workspace.snapshot().files.find((file) => file.path === path)?.revision ?? 0;
  workspace.save(path, text, revision);
};
const textOf = (path: string) => tester.backend.workspace.snapshot().files.find((file) => file.path === path)?.text;
const failure = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return failureFromConnectError(error) ?? error;
};
async function syncAll() {
  const { planId } = await plan();
  return tester.clusters.sync({ planId, reason: "first" });
}

describe("a sync", () => {
  it("writes what is new, with the reason, policies and hosts alike, and finds nothing to do afterwards", async () => {
    save("web.yaml", `${policy("web")}---\n${policy("db")}`);
    save("hosts.yaml", HOST);
    const { planId, changes } = await plan();
    expect(changes).toEqual({ [key("web")]: "ADDED", [key("db")]: "ADDED", "host/-/a": "ADDED" });
    const { outcome, updatedPaths } = await tester.clusters.sync({ planId, reason: "the first" });
    expect(outcome?.head?.setNumber).toBe(1n);
    expect(updatedPaths).toEqual([]);
    expect(cluster.newest(key("db"))).toMatchObject({ text: policy("db"), reason: "the first", version: 1n });
    const again = await plan();
    expect(new Set(Object.values(again.changes))).toEqual(new Set(["UNCHANGED"]));
    expect(again.documents[0]).toMatchObject({ mineText: "", theirsText: "" });
    const nothing = await tester.clusters.sync({ planId: again.planId });
    expect(nothing.outcome?.head?.setNumber).toBe(1n);
    expect(cluster.sets).toHaveLength(1);
  });

  it("is refused when somebody wrote since the plan, and the next plan has both", async () => {
    save("web.yaml", policy("web"));
    await syncAll();
    save("web.yaml", policy("web", "mine"));
    const { planId, changes } = await plan();
    expect(changes).toEqual({ [key("web")]: "CHANGED" });
    elsewhere({ text: policy("web", "a", "theirs"), baseVersion: 1n });
    expect(await failure(tester.clusters.sync({ planId }))).toMatchObject({ code: ErrorCode.VERSION_CONFLICT });
    expect(cluster.newest(key("web"))?.author).toBe("bob on beta");
    const merged = await plan();
    expect(merged.of("web")).toMatchObject({
      change: DocumentChange.MERGED,
      baseVersion: 1n,
      theirsVersion: 2n,
      theirsAuthor: "bob on beta",
      mergedText: policy("web", "mine", "theirs"),
    });
    const { updatedPaths } = await tester.clusters.sync({ planId: merged.planId });
    expect(cluster.newest(key("web"))).toMatchObject({ version: 3n, text: policy("web", "mine", "theirs") });
    expect(updatedPaths).toEqual(["web.yaml"]);
    expect(textOf("web.yaml")).toBe(policy("web", "mine", "theirs"));
    expect((await plan()).changes).toEqual({ [key("web")]: "UNCHANGED" });
  });

  it("asks for a choice where both changed one place, takes it, and brings it into the workspace", async () => {
    save("web.yaml", policy("web"));
    await syncAll();
    save("web.yaml", policy("web", "mine"));
    elsewhere({ text: policy("web", "theirs"), baseVersion: 1n });
    const { planId, of } = await plan();
    expect(of("web").change).toBe(DocumentChange.CONFLICT);
    expect(of("web").mergedText).toContain("<<<<<<<");
    const open = await failure(tester.clusters.sync({ planId }));
    expect(open).toMatchObject({ code: ErrorCode.VERSION_CONFLICT, message: expect.stringContaining(key("web")) });
    const marked = { planId, choices: [{ key: key("web"), text: of("web").mergedText }] };
    expect(await failure(tester.clusters.sync(marked))).toMatchObject({ code: ErrorCode.POLICY_INVALID });
    const other = { planId, choices: [{ key: key("web"), text: policy("other") }] };
    expect(await failure(tester.clusters.sync(other))).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT });
    const chosen = policy("web", "both");
    await tester.clusters.sync({ planId, choices: [{ key: key("web"), text: chosen }] });
    expect(cluster.newest(key("web"))).toMatchObject({ version: 3n, text: chosen });
    expect(textOf("web.yaml")).toBe(chosen);
    expect((await plan()).changes).toEqual({ [key("web")]: "UNCHANGED" });
  });

  it("keeps what was typed while it was under way: it merges into what was written", async () => {
    save("web.yaml", policy("web"));
    await syncAll();
    save("web.yaml", policy("web", "mine"));
    elsewhere({ text: policy("web", "a", "theirs"), baseVersion: 1n });
    const { planId } = await plan();
    save("web.yaml", policy("web", "mine, and more"));
    await tester.clusters.sync({ planId });
    expect(textOf("web.yaml")).toBe(policy("web", "mine, and more"));
    const next = await plan();
    expect(next.of("web")).toMatchObject({
      change: DocumentChange.MERGED,
      mergedText: policy("web", "mine, and more", "theirs"),
    });
  });

  it("is one write when its answer was lost and it is sent again", async () => {
    save("web.yaml", policy("web"));
    const { planId } = await plan();
    node.failures.set("writeDocuments", { failure: new ConnectError("lost", Code.Unavailable), isAfter: true });
    expect(await failure(tester.clusters.sync({ planId }))).not.toBeNull();
    // The cluster has it, whoever says so: both sides agree.
    expect((await plan()).changes).toEqual({ [key("web")]: "UNCHANGED" });
    save("web.yaml", policy("web", "next"));
    expect((await plan()).changes).toEqual({ [key("web")]: "CHANGED" });
  });

  it("plans nothing of a workspace with errors, and says which", async () => {
    save("bad.yaml", "kind: Nonsense\n");
    const answer = await plan();
    expect(answer.planId).toBe("");
    expect(answer.diagnostics.length).toBeGreaterThan(0);
  });

  it("refuses a plan that it does not know", async () => {
    expect(await failure(tester.clusters.sync({ planId: "x" }))).toMatchObject({ code: ErrorCode.PLAN_STALE });
  });
});

describe("what is missing in the workspace", () => {
  beforeEach(async () => {
    save("web.yaml", policy("web"));
    save("db.yaml", policy("db"));
    await syncAll();
  });

  it("is deleted only when that is meant, and never what was not seen here", async () => {
    tester.backend.workspace.delete("db.yaml", 0);
    elsewhere({ text: policy("new"), baseVersion: 0n });
    expect((await plan()).changes).toEqual({
      [key("db")]: "UNCHANGED",
      [key("new")]: "BEHIND",
      [key("web")]: "UNCHANGED",
    });
    const { planId, changes } = await plan({ deleteMissing: true });
    expect(changes).toEqual({ [key("db")]: "DELETED", [key("new")]: "BEHIND", [key("web")]: "UNCHANGED" });
    await tester.clusters.sync({ planId, reason: "gone" });
    expect(cluster.newest(key("db"))).toMatchObject({ deleted: true, version: 2n, reason: "gone" });
    expect(cluster.newest(key("new"))?.deleted).toBe(false);
    // Deleted on both sides: nothing is left to say.
    expect(Object.keys((await plan({ deleteMissing: true })).changes)).toEqual([key("new"), key("web")]);
  });

  it("is a conflict when somebody changed what is deleted here", async () => {
    tester.backend.workspace.delete("db.yaml", 0);
    elsewhere({ text: policy("db", "theirs"), baseVersion: 1n });
    expect((await plan()).changes[key("db")]).toBe("BEHIND");
    const { planId, changes } = await plan({ deleteMissing: true });
    expect(changes[key("db")]).toBe("CONFLICT");
    await tester.clusters.sync({ planId, choices: [{ key: key("db"), text: "" }] });
    expect(cluster.newest(key("db"))?.deleted).toBe(true);
  });

  it("is taken over from the cluster, whole files and parts of files, with what was there kept as a version", async () => {
    elsewhere(
      { text: policy("db", "theirs"), baseVersion: 1n },
      { text: policy("new"), baseVersion: 0n },
      { deleteKey: key("web"), baseVersion: 1n },
    );
    const before = tester.backend.workspace.snapshot().stateDigest;
    const { planId, changes } = await plan();
    expect(new Set(Object.values(changes))).toEqual(new Set(["BEHIND"]));
    // Edited meanwhile: it stays.
    save("web.yaml", policy("web", "just now"));
    const { updatedPaths } = await tester.clusters.pullDocuments({ planId });
    expect([...updatedPaths].sort()).toEqual(["db.yaml", "networkpolicy/default/new.yaml"]);
    expect(textOf("db.yaml")).toBe(policy("db", "theirs"));
    expect(textOf("web.yaml")).toBe(policy("web", "just now"));
    expect((await plan()).changes).toEqual({
      [key("db")]: "UNCHANGED",
      [key("new")]: "UNCHANGED",
      [key("web")]: "CONFLICT",
    });
    const { versions } = await tester.policies.listVersions({});
    expect(versions.map(({ reason }) => reason).join()).toContain("Before taking over from the cluster prod");
    expect(versions.length).toBeGreaterThanOrEqual(2);
    expect(before).not.toBe(tester.backend.workspace.snapshot().stateDigest);
  });

  it("is written all the same when a person says so", async () => {
    elsewhere({ text: policy("web", "theirs"), baseVersion: 1n });
    const { planId, changes } = await plan();
    expect(changes[key("web")]).toBe("BEHIND");
    await tester.clusters.sync({ planId, choices: [{ key: key("web"), text: policy("web") }] });
    expect(cluster.newest(key("web"))).toMatchObject({ version: 3n, text: policy("web") });
  });

  it("counts from what a first plan finds: with the same texts nobody is behind", async () => {
    const other = start(cluster);
    other.tester.backend.workspace.save("mine.yaml", policy("web"), 0);
    const answer = await other.tester.clusters.planSync({ clusterName: "prod", deleteMissing: true });
    expect(answer.documents.map((each) => [each.key, DocumentChange[each.change]])).toEqual([
      [key("db"), "DELETED"],
      [key("web"), "UNCHANGED"],
    ]);
    await other.tester.close();
  });
});

describe("a set with a deadline", () => {
  beforeEach(async () => {
    save("web.yaml", policy("web"));
    await syncAll();
    save("web.yaml", policy("web", "new"));
    const { planId } = await plan();
    const { outcome } = await tester.clusters.sync({ planId, confirmWithin: durationFromMs(60_000) });
    expect(outcome?.head?.state).toBe(SetState.PENDING);
  });

  it("that nobody confirms is the workspace's to send again", async () => {
    expect((await plan()).changes[key("web")]).toBe("UNCHANGED");
    cluster.settle(false);
    expect((await plan()).changes[key("web")]).toBe("CHANGED");
  });

  it("is what both agree on once it is confirmed here", async () => {
    await tester.clusters.confirmSet({ clusterName: "prod", confirmation: { setNumber: 2n, digest: "" } });
    elsewhere({ text: policy("web", "theirs"), baseVersion: 2n });
    expect((await plan()).changes[key("web")]).toBe("BEHIND");
  });

  it("is so too when somebody else confirmed it", async () => {
    cluster.settle(true);
    elsewhere({ text: policy("web", "theirs"), baseVersion: 2n });
    expect((await plan()).changes[key("web")]).toBe("BEHIND");
  });
});

it("begins anew with a cluster that was made anew under the same name", async () => {
  save("web.yaml", policy("web"));
  await syncAll();
  node.cluster = new FakeCluster("prod", "alpha");
  node.cluster.admit("alpha", true);
  expect((await plan()).changes).toEqual({ [key("web")]: "ADDED" });
  await syncAll();
  save("web.yaml", policy("web", "mine"));
  await syncAll();
  const other = new FakeCluster("prod", "alpha");
  other.admit("alpha", true);
  for (const name of ["a", "b", "c"]) {
    other.write({ writes: [create(DocumentWriteSchema, { text: policy(name) })] }, "bob");
  }
  node.cluster = other;
  expect((await plan()).changes).toMatchObject({ [key("web")]: "ADDED", [key("a")]: "BEHIND" });
});

it("syncs files that are not in the workspace, and leaves both the rest and the workspace alone", async () => {
  save("web.yaml", policy("web"));
  await syncAll();
  const files = [{ path: "ci/db.yaml", text: policy("db") }];
  const { planId, changes } = await plan({ files });
  expect(changes).toEqual({ [key("db")]: "ADDED", [key("web")]: "UNCHANGED" });
  const { updatedPaths } = await tester.clusters.sync({ planId });
  expect(updatedPaths).toEqual([]);
  expect(cluster.newest(key("db"))?.text).toBe(policy("db"));
  expect(textOf("ci/db.yaml")).toBeUndefined();
});

it("shows documents and their history to the byte, and refuses a text that is not its digest's", async () => {
  save("web.yaml", `# \t comment\n${policy("web")}`);
  await syncAll();
  const { documents } = await tester.clusters.listDocuments({ clusterName: "prod", query: { withTexts: true } });
  expect(documents?.documents[0]?.text).toBe(`# \t comment\n${policy("web")}`);
  const { history } = await tester.clusters.listDocumentHistory({ clusterName: "prod", query: { key: key("web") } });
  expect(history?.versions).toHaveLength(1);
  cluster.newest(key("web"))!.digest = "0".repeat(64);
  const get = tester.clusters.getDocument({ clusterName: "prod", key: key("web") });
  expect(await failure(get)).toMatchObject({ code: ErrorCode.INTERNAL });
});
