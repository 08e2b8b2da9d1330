/** A whole agent and its own store: alone, in a cluster of one, and out of it again. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { ApplyRequestSchema } from "@wardline/api/wardline/agent/v1/agent";
import { MemberState, StoreKind, SyncState } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { outcomeOf } from "../../testing/agentClient.ts";
import { type ClusterAgent, ClusterAgents } from "../../testing/clusterAgents.ts";

let lab: ClusterAgents;
beforeEach(() => {
  lab = new ClusterAgents();
});
afterEach(() => lab.close());

const hostDocument = (name: string, address: string) =>
  `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${name}, labels: {app: web}}\nspec: {addresses: [${address}]}\n`;

const WEB = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: 443}]}]
`;

const write = (agent: ClusterAgent, ...texts: string[]) =>
  agent.cluster.writeDocuments({
    mode: EnforcementMode.ENFORCE,
    reason: "test",
    writes: texts.map((text) => ({ text })),
  });

const isActive = (agent: ClusterAgent, setNumber: bigint) =>
  agent.until(({ members, self }) => {
    const own = members.find(({ record }) => record?.name === self)?.report;
    return own?.state === SyncState.ACTIVE && own.activeSetNumber === setNumber;
  });

async function initialised(name = "a"): Promise<ClusterAgent> {
  const agent = await lab.add(name);
  await agent.cluster.initCluster({ clusterName: "prod", peerAddress: agent.peerAddress });
  return agent;
}

async function applyByHand(agent: ClusterAgent): Promise<string> {
  const state = { files: [{ path: "a.yaml", text: hostDocument(agent.name, "10.0.0.9") }] };
  const { programDigest } = await agent.agent.check({ state });
  const { status } = await agent.agent.getStatus({});
  const request = create(ApplyRequestSchema, {
    state,
    mode: EnforcementMode.ENFORCE,
    expectedProgramDigest: programDigest,
    baseGeneration: status?.enforced?.number ?? 0n,
    confirmWithin: durationFromMs(10_000),
  });
  return outcomeOf(
    (async () => {
      const { generation } = await agent.agent.apply(request);
      await agent.agent.confirm({ generation: generation?.number ?? 0n, programDigest });
    })(),
  );
}

it("does not leave a cluster after its caller was told that it failed, while it waited for another change", async () => {
  const a = await lab.add("a");
  const founding = a.cluster.initCluster({ clusterName: "prod", peerAddress: a.peerAddress });
  const leaving = a.cluster.leaveCluster({}, { timeoutMs: 100 });
  await expect(leaving).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  await founding;
  const refused = async () => (await a.agent.listAudit({ limit: 10 })).entries.map(({ detail }) => detail);
  await expect.poll(refused).toContainEqual(expect.stringContaining("did not wait for the turn"));
  expect(await a.status()).toMatchObject({ clusterName: "prod" });
});

describe("a host that is alone", () => {
  it("answers without a file of the cluster, and says that nothing was ever written", async () => {
    const a = await lab.add("a");
    expect(await a.status()).toMatchObject({ clusterName: "", self: "a", store: StoreKind.EMBEDDED, members: [] });
    expect(await a.cluster.listDocuments({})).toMatchObject({ documents: [], more: false });
    expect(await a.cluster.listSets({})).toMatchObject({ sets: [] });
    expect(await outcomeOf(a.cluster.getDocument({ key: "policy/default/web" }))).toBe("NOT_FOUND");
    for await (const { snapshotComplete, documents } of a.cluster.watchDocuments({})) {
      expect([snapshotComplete, documents]).toEqual([true, []]);
      break;
    }
    expect(existsSync(join(a.stateDir, "cluster"))).toBe(false);
    expect(await outcomeOf(a.cluster.leaveCluster({}))).toBe("NOT_A_MEMBER");
    expect(await outcomeOf(a.cluster.createJoinToken({}))).toBe("NOT_A_MEMBER");
  });

  it("refuses what is too large for what it is, and survives what is larger than any request", async () => {
    const a = await lab.add("a");
    const writes = (mebibytes: number) => [{ text: "x".repeat(mebibytes * 1024 * 1024) }];
    expect(await outcomeOf(a.cluster.writeDocuments({ mode: 2, writes: writes(9) }))).toBe("TOO_LARGE");
    await expect(a.cluster.writeDocuments({ mode: 2, writes: writes(40) })).rejects.toThrow();
    const update = new Uint8Array(64 * 1024 + 1);
    expect(await outcomeOf(a.cluster.pushNotes({ document: "hosts", update }))).toBe("TOO_LARGE");
    expect(existsSync(join(a.stateDir, "cluster"))).toBe(false);
    expect(await a.audited()).toEqual([
      expect.stringMatching(/^root \(0\) documents.write refused: TOO_LARGE: The documents have 9437184 bytes/),
      expect.stringMatching(/^root \(0\) notes.push refused: TOO_LARGE/),
    ]);
  });

  it("keeps documents in its own store, follows them from the first set on, over a restart as well", async () => {
    const a = await lab.add("a");
    expect(await applyByHand(a)).toBe("ok");
    const { head } = await write(a, hostDocument("a", "10.0.0.1"), WEB);
    expect(head).toMatchObject({ setNumber: 1n, author: "root (uid 0) on a", documentCount: 2 });
    await isActive(a, 1n);
    expect(await applyByHand(a)).toBe("FOLLOWS_CLUSTER");
    await a.restart();
    expect(await applyByHand(a)).toBe("FOLLOWS_CLUSTER");
    const { documents } = await a.cluster.listDocuments({ withTexts: true });
    expect(documents.map(({ key, text }) => [key, text])).toEqual([
      ["host/-/a", hostDocument("a", "10.0.0.1")],
      ["networkpolicy/default/web", WEB],
    ]);
  });
});

describe("a cluster of one host", () => {
  it("is made, led, restarted and left; what was enforced stays", async () => {
    const a = await lab.add("a");
    await write(a, hostDocument("a", "10.0.0.1"));
    const { status } = await a.cluster.initCluster({
      clusterName: "prod",
      peerAddress: a.peerAddress,
      labels: { zone: "x" },
      lease: durationFromMs(3_000),
    });
    expect(status).toMatchObject({
      clusterName: "prod",
      trustDomain: "prod.wardline",
      lease: { seconds: 3n },
      currentTerm: { leader: "a" },
      problems: [],
      head: { setNumber: 1n },
      members: [{ isLeader: true, state: MemberState.HEALTHY, record: { labels: { zone: "x" } } }],
    });
    expect(await outcomeOf(a.cluster.initCluster({ clusterName: "b", peerAddress: a.peerAddress }))).toBe(
      "ALREADY_EXISTS",
    );
    await isActive(a, 1n);
    const term = status?.currentTerm?.number ?? 0n;
    await a.restart();
    const again = await a.until(({ currentTerm }) => currentTerm?.leader === "a" && currentTerm.endedAt === undefined);
    expect(again.currentTerm?.number).toBe(term + 1n);
    const generation = (await a.agent.getStatus({})).status?.enforced?.number;
    expect(await a.cluster.leaveCluster({ reason: "moving out" })).toMatchObject({ problems: [] });
    expect(await a.status()).toMatchObject({
      clusterName: "",
      members: [],
      problems: [expect.stringMatching(/left the cluster prod \(moving out\).*enforces what it enforced last/)],
    });
    expect(await applyByHand(a)).toBe("ok");
    expect((await a.agent.getStatus({})).status?.enforced?.number).toBe((generation ?? 0n) + 1n);
    expect(readdirSync(join(a.stateDir, "cluster")).sort()).toEqual(["left.json", "store.before.sqlite"]);
    await a.restart();
    expect((await a.status()).problems).toHaveLength(1);
    await a.cluster.initCluster({ clusterName: "next", peerAddress: a.peerAddress });
    expect(await a.status()).toMatchObject({ clusterName: "next", problems: [] });
  });

  it("is not made at an address that others cannot reach it at", async () => {
    const a = await lab.add("a");
    const at = (peerAddress: string) => outcomeOf(a.cluster.initCluster({ clusterName: "prod", peerAddress }));
    expect(await at("192.0.2.77:7443")).toBe("INVALID_ARGUMENT");
    const other = await initialised("b");
    expect(await at(other.peerAddress)).toBe("INVALID_ARGUMENT");
    expect(await a.status()).toMatchObject({ clusterName: "", problems: [] });
    expect(await a.audited()).toHaveLength(2);
    expect(await at(a.peerAddress)).toBe("ok");
    expect((await a.audited()).slice(2)).toEqual([
      `root (0) cluster.init started: prod at ${a.peerAddress} on the embedded store`,
      `root (0) cluster.init done: prod at ${a.peerAddress} on the embedded store`,
    ]);
  });

  it("is left alone by a damaged file: the host stays down, says so, enforces, and can leave", async () => {
    const a = await initialised();
    await write(a, hostDocument("a", "10.0.0.1"));
    await isActive(a, 1n);
    const enforced = (await a.agent.getStatus({})).status?.enforced;
    await a.stop();
    const path = join(a.stateDir, "cluster", "config.json");
    writeFileSync(path, readFileSync(path, "utf8").slice(0, 50));
    await a.start();
    expect(await a.status()).toMatchObject({
      clusterName: "",
      problems: [expect.stringContaining("config.json cannot be used (it is not JSON)")],
    });
    expect((await a.agent.getStatus({})).status?.enforced).toEqual(enforced);
    expect(await outcomeOf(write(a, WEB))).toBe("STORE_UNAVAILABLE");
    expect(await outcomeOf(a.cluster.listDocuments({}))).toBe("STORE_UNAVAILABLE");
    await a.cluster.leaveCluster({});
    expect((await a.status()).problems).toEqual([expect.stringContaining("left its cluster")]);
    expect((await a.agent.getStatus({})).status?.enforced).toEqual(enforced);
  });
});
