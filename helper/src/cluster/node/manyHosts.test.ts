/** Whole agents of one cluster on one machine, with one real etcd: the way there, joining, forwarding, leaving, removal. */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { MemberState, StoreKind, SyncState } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { inOrder } from "@wardline/domain/testing";
import { failureFromConnectError } from "@wardline/domain/wire";
import { pino } from "pino";
import { describe, expect } from "vitest";
import { outcomeOf } from "../../testing/agentClient.ts";
import { type ClusterAgent, ClusterAgents, etcdStoreAt } from "../../testing/clusterAgents.ts";
import { type EtcdLab, etcdProblem } from "../../testing/etcdLab.ts";
import { EtcdStore } from "../store/etcdStore.ts";
import { KEYS } from "./nodePorts.ts";

const problem = etcdProblem();
/** Long enough that a busy machine does not lose it; some steps wait for its end. */
const LEASE_MS = 6_000;

const hostDocument = (name: string, address: string) =>
  `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${name}, labels: {app: web}}\nspec: {addresses: [${address}]}\n`;

const write = (agent: ClusterAgent, ...texts: string[]) =>
  agent.cluster.writeDocuments({
    mode: EnforcementMode.ENFORCE,
    reason: "test",
    writes: texts.map((text) => ({ text })),
  });

const change = (agent: ClusterAgent, text: string, baseVersion: bigint) =>
  agent.cluster.writeDocuments({ mode: EnforcementMode.ENFORCE, writes: [{ text, baseVersion }] });

const areActive = (agent: ClusterAgent, setNumber: bigint, count: number) =>
  agent.until(({ members }) => {
    const active = members.filter(
      ({ report }) => report?.state === SyncState.ACTIVE && report.activeSetNumber === setNumber,
    );
    return active.length === count;
  });

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof Failure ? ErrorCode[error.code] : String(error)),
  );

const healthy = (agent: ClusterAgent, count: number) =>
  agent.until(({ members }) => members.filter(({ state }) => state === MemberState.HEALTHY).length === count);

/** The steps build on each other, as those of a person do. */
describe.skipIf(problem)(`three hosts and one etcd${problem ? ` (${problem})` : ""}`, () => {
  let lab: ClusterAgents;
  let a: ClusterAgent;
  let b: ClusterAgent;
  let c: ClusterAgent;
  let etcd: EtcdLab;
  const step = inOrder({
    begin: async () => {
      lab = new ClusterAgents();
      a = await lab.add("a");
      const lease = durationFromMs(LEASE_MS);
      await a.cluster.initCluster({ clusterName: "prod", peerAddress: a.peerAddress, lease });
      await write(a, hostDocument("a", "10.0.0.1"));
      etcd = await lab.clusterEtcd(a);
    },
    end: () => lab.close(),
  });

  /** The store as somebody sees it who has a member's key and certificate in hand. */
  async function storeAs(agent: ClusterAgent): Promise<EtcdStore> {
    const text = readFileSync(join(agent.stateDir, "cluster", "identity.json"), "utf8");
    const { keyPem: key, chainPem: cert, bundlePem: ca } = JSON.parse(text).payload;
    return EtcdStore.open({
      endpoints: etcd.endpoints,
      tls: () => ({ key, cert, ca }),
      log: pino({ level: "silent" }),
    });
  }

  step("carries everything from the embedded store into etcd, and goes on there", async () => {
    const store = etcdStoreAt(etcd.endpoints);
    const test = await a.cluster.testStore({ store });
    expect(test).toMatchObject({ usable: true, problems: [], endpoints: [{ reachable: true }] });
    const { status } = await a.cluster.setStore({ store });
    expect(status).toMatchObject({
      store: StoreKind.ETCD,
      currentTerm: { number: 2n },
      head: { setNumber: 1n },
      problems: [],
    });
    const { head } = await write(a, hostDocument("b", "10.0.0.2"), hostDocument("c", "10.0.0.3"));
    expect(head?.setNumber).toBe(2n);
    await areActive(a, 2n, 1);
    const { documents } = await a.cluster.listDocuments({});
    expect(documents.map(({ key }) => key)).toEqual(["host/-/a", "host/-/b", "host/-/c"]);
  });

  step("refuses a store that holds another cluster, and says so before", async () => {
    const other = await lab.add("other");
    const store = etcdStoreAt((await lab.plainEtcd()).endpoints);
    await other.cluster.initCluster({ clusterName: "other", peerAddress: other.peerAddress, store });
    expect(await a.cluster.testStore({ store })).toMatchObject({
      usable: false,
      problems: [expect.stringContaining('holds the cluster "other" already')],
    });
    expect(await outcomeOf(a.cluster.setStore({ store }))).toBe("ALREADY_EXISTS");
    expect(await a.status()).toMatchObject({ store: StoreKind.ETCD, clusterName: "prod" });
    const third = await lab.add("third");
    const second = third.cluster.initCluster({ clusterName: "third", peerAddress: third.peerAddress, store });
    expect(await outcomeOf(second)).toBe("ALREADY_EXISTS");
    expect(await third.status()).toMatchObject({ clusterName: "", problems: [] });
  });

  step("lets hosts in with a token each, which then get what is in force", async () => {
    b = await lab.join(a, "b");
    c = await lab.join(a, "c", { candidate: false });
    const { members } = await areActive(c, 2n, 3);
    expect(members.map(({ record }) => [record?.name, record?.candidate, record?.admittedBy])).toEqual([
      ["a", true, "root (uid 0) on a"],
      ["b", true, "root (uid 0) on a"],
      ["c", false, "root (uid 0) on a"],
    ]);
  });

  step(
    "takes writes at the leader, forwards those of another candidate, and names the leader to a plain member",
    async () => {
      const { head } = await write(b, hostDocument("d", "10.0.0.4"));
      expect(head).toMatchObject({ setNumber: 3n, author: "root (uid 0) on b" });
      const refused = failureFromConnectError(
        await write(c, hostDocument("e", "10.0.0.5")).catch((error: unknown) => error),
      );
      expect(refused).toMatchObject({ message: "The cluster is led by a.", hint: "Ask at a." });
      await areActive(a, 3n, 3);
      expect(await b.audited()).toContainEqual(
        expect.stringMatching(/^root \(0\) documents.write done: 1 documents written/),
      );
      const audited = await a.audited();
      expect(audited).toContainEqual(expect.stringMatching(/^root \(uid 0\) on b documents.write started/));
      expect(audited).toContainEqual(expect.stringMatching(/^root \(uid 0\) on b documents.write done/));
      const conflict = b.cluster.writeDocuments({
        mode: 2,
        writes: [{ text: hostDocument("d", "10.0.0.9"), baseVersion: 7n }],
      });
      expect(await outcomeOf(conflict)).toBe("VERSION_CONFLICT");
    },
  );

  step("shares notes, and registers services, from any candidate", async () => {
    const note = await b.cluster.pushNotes({ document: "hosts", update: Buffer.from("hello") });
    expect(note).toMatchObject({ number: 1n, kept: 1 });
    for await (const { updates, upTo } of c.cluster.watchNotes({ document: "hosts" })) {
      expect([Buffer.from(updates[0] ?? []).toString(), upTo]).toEqual(["hello", 1n]);
      break;
    }
    const instance = { namespace: "shop", service: "db", address: "10.0.0.7", port: 5432 };
    const registered = await b.cluster.registerService({ instance });
    expect(registered.instance?.registeredBy).toBe("root (uid 0) on b");
    const { instances } = await c.cluster.listServices({});
    expect(instances).toMatchObject([{ namespace: "shop", service: "db", address: "10.0.0.7" }]);
  });

  step("changes hands at once when the leader steps down, whoever is asked", async () => {
    const before = (await a.status()).currentTerm?.number ?? 0n;
    await b.cluster.resignLeadership({ reason: "maintenance" });
    const { currentTerm } = await c.until((status) => (status.currentTerm?.number ?? 0n) > before);
    expect(currentTerm?.leader).toBe("b");
    expect((await change(a, hostDocument("d", "10.0.0.6"), 1n)).head).toMatchObject({
      setNumber: 4n,
      author: "root (uid 0) on a",
    });
  });

  step("takes other endpoints of the same etcd, which every member learns", async () => {
    const endpoints = etcd.endpoints.map((endpoint) => endpoint.replace("127.0.0.1", "localhost"));
    await a.cluster.setStore({ store: etcdStoreAt(endpoints) });
    for (const agent of [a, b, c]) {
      await agent.until((status) => status.endpoints.map(({ endpoint }) => endpoint).join() === endpoints.join());
      await healthy(agent, 3);
    }
    const elsewhere = etcdStoreAt((await lab.plainEtcd()).endpoints);
    const refused = await b.cluster.setStore({ store: elsewhere }).catch(failureFromConnectError);
    expect(refused).toMatchObject({ message: expect.stringContaining("other members (") });
  });

  step("lets etcd itself hold members to what they may, where that is wished", async () => {
    const plain = { ...etcdStoreAt((await lab.plainEtcd()).endpoints), usersPerMember: true };
    expect(await outcomeOf(a.cluster.testStore({ store: plain }))).toBe("INVALID_ARGUMENT");
    const store = { ...etcdStoreAt(etcd.endpoints), usersPerMember: true };
    expect(await a.cluster.testStore({ store })).toMatchObject({ usable: true, problems: [] });
    const open = await etcd.etcdctl(["get", "--prefix", "/wardline/v1/identity/authority", "--keys-only"]);
    expect(open).toContain("authority");
    await a.cluster.setStore({ store });
    for (const agent of [a, b, c]) {
      await agent.until((status) => status.endpoints.map(({ endpoint }) => endpoint).join() === store.endpoints.join());
      await healthy(agent, 3);
    }
    await a.until(({ currentTerm }) => currentTerm !== undefined);
    const asC = await storeAs(c);
    expect((await asC.range(KEYS.members)).items).toHaveLength(3);
    const steal = (key: string) => asC.transact({ compare: [], then: [{ kind: "delete", key }] });
    for (const key of [KEYS.head, KEYS.member("a"), KEYS.presence("a")]) {
      expect(await codeOf(steal(key))).toBe("PERMISSION_DENIED");
    }
    expect(await codeOf(asC.get(KEYS.authority))).toBe("PERMISSION_DENIED");
    await expect(etcd.etcdctl(["get", "--prefix", "/wardline/"])).rejects.toThrow();
    await asC.close();
  });

  step("comes back after a restart of each, and after one while the store was away", async () => {
    for (const agent of [a, b, c]) {
      await agent.restart();
      await healthy(agent, 3);
    }
    await areActive(c, 4n, 3);
    await a.stop();
    await etcd.kill(0);
    await a.start();
    const away = await a.until(({ problems }) => problems.length > 0);
    expect(away).toMatchObject({ clusterName: "prod", storeWritable: false, stale: true });
    expect(away.problems[0]).toContain("No lease from the store");
    expect(await outcomeOf(a.cluster.pushNotes({ document: "hosts", update: Buffer.from("x") }))).toBe(
      "STORE_UNAVAILABLE",
    );
    etcd.start(0);
    await healthy(a, 3);
    // The lease of the leader of before may still run in etcd: until it is over nobody leads.
    const attempt = () => outcomeOf(change(a, hostDocument("d", "10.0.0.7"), 2n));
    await expect.poll(attempt, { timeout: 60_000, interval: 500 }).toBe("ok");
    await areActive(b, 5n, 3);
  });

  step("removes a member, which notices, stops and says so, and can be let in again", async () => {
    expect(await outcomeOf(a.cluster.removeMember({ memberName: "nobody" }))).toBe("NOT_FOUND");
    const asC = await storeAs(c);
    const { status } = await a.cluster.removeMember({ memberName: "c", reason: "test" });
    expect(status?.members.map(({ record }) => record?.name)).not.toContain("c");
    const gone = await c.until(({ clusterName }) => clusterName === "");
    expect(gone.problems).toEqual([expect.stringContaining("was removed from the cluster prod")]);
    expect((await c.agent.getStatus({})).status?.enforced?.number).toBeGreaterThan(0n);
    expect(await c.audited()).toContainEqual(expect.stringMatching(/^agent cluster.removed automatic/));
    // Its certificate lasts for hours, and opens nothing any more.
    await expect.poll(() => codeOf(asC.get(KEYS.head)), { timeout: 60_000 }).not.toBe("ok");
    await asC.close();
    await c.restart();
    expect((await c.status()).problems).toEqual(gone.problems);
    const { token } = await a.cluster.createJoinToken({ candidate: false });
    await c.cluster.joinCluster({ token, peerAddress: c.peerAddress });
    await areActive(a, 5n, 3);
  });

  step("notices at its start that it was removed meanwhile", async () => {
    await c.stop();
    await a.cluster.removeMember({ memberName: "c" });
    // Not even etcd lets it in to read that: another member has to tell it.
    const asC = await storeAs(c);
    await expect.poll(() => codeOf(asC.get(KEYS.head)), { timeout: 60_000 }).toBe("PERMISSION_DENIED");
    await asC.close();
    await c.start();
    await c.until(({ clusterName }) => clusterName === "");
  });

  step("is left by a candidate and by a plain member, and nothing of them stays", async () => {
    const { token } = await a.cluster.createJoinToken({ candidate: false });
    await c.cluster.joinCluster({ token, peerAddress: c.peerAddress });
    await healthy(a, 3);
    expect((await c.cluster.leaveCluster({})).problems).toEqual([]);
    expect((await b.cluster.leaveCluster({})).problems).toEqual([]);
    const { members } = await a.until((status) => status.members.length === 1);
    expect(members[0]?.record?.name).toBe("a");
    const asA = await storeAs(a);
    const { items } = await asA.range(KEYS.root, { keysOnly: true });
    await asA.close();
    expect(items.map(({ key }) => key).filter((key) => /\/(members|presence|reports)\/[bc]$/.test(key))).toEqual([]);
  });

  step("goes back into the embedded store with its last member", async () => {
    const { status } = await a.cluster.setStore({ store: { kind: StoreKind.EMBEDDED } });
    expect(status).toMatchObject({ store: StoreKind.EMBEDDED, head: { setNumber: 5n }, members: [{ isLeader: true }] });
    expect((await change(a, hostDocument("d", "10.0.0.8"), 3n)).head?.setNumber).toBe(6n);
    // etcd is open again for whoever may reach it with a certificate.
    await etcd.etcdctl(["get", "--prefix", "/wardline/", "--keys-only"]);
  });
});
