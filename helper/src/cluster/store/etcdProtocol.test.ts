/** Our declaration of etcd's messages against etcd itself: what its own tool writes and says, we read alike, and it ours. */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AlarmRequest_AlarmAction, Cluster, KV, Lease, Maintenance } from "@wardline/api/etcdserverpb/rpc";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdLab, etcdProblem } from "../../testing/etcdLab.ts";
import { put, text } from "../../testing/storeTesting.ts";
import { EtcdStore } from "./etcdStore.ts";

const problem = etcdProblem();

describe.skipIf(problem !== null)(`the messages of etcd${problem ? ` (${problem})` : ""}`, () => {
  let lab: EtcdLab;
  let store: EtcdStore;
  const clientOf = <T extends typeof KV | typeof Lease | typeof Cluster | typeof Maintenance>(service: T) =>
    createClient(service, createGrpcTransport({ baseUrl: lab.endpoints[0]! }));
  /** 64-bit numbers as text: JSON would round them. */
  const ask = async (...words: string[]) => {
    const json = await lab.etcdctl([...words, "-w", "json"]);
    return JSON.parse(json.replaceAll(/:(\d{10,})/g, ':"$1"'));
  };

  beforeAll(async () => {
    lab = await EtcdLab.start({ quotaBytes: 50_000_000 });
    store = EtcdStore.open({ endpoints: lab.endpoints, log: pino({ level: "silent" }) });
  });
  afterAll(async () => {
    await store?.close();
    await lab?.close();
  });

  it("of keys, revisions and leases are the tool's", async () => {
    const lease = await store.grantLease(60_000);
    await store.transact({ compare: [], then: [put("/ours", "1")] });
    const { revision } = await store.transact({ compare: [], then: [put("/ours", "é", lease.id)] });
    const { kvs, header } = await ask("get", "/ours");
    expect(BigInt(header.revision)).toBe(revision);
    expect(kvs).toHaveLength(1);
    expect(Buffer.from(kvs[0].key, "base64").toString()).toBe("/ours");
    expect(Buffer.from(kvs[0].value, "base64").toString()).toBe("é");
    expect([kvs[0].create_revision, kvs[0].mod_revision, kvs[0].version]).toStrictEqual([
      Number(revision - 1n),
      Number(revision),
      2,
    ]);
    expect(BigInt(kvs[0].lease)).toBe(lease.id);
    await lab.etcdctl(["put", "/theirs", "2", `--lease=${lease.id.toString(16)}`]);
    expect((await store.get("/theirs")).item).toStrictEqual({
      key: "/theirs",
      value: text("2"),
      createRevision: revision + 1n,
      modRevision: revision + 1n,
      version: 1n,
      leaseId: lease.id,
    });
    const { TTL, grantedTTL, keys } = await clientOf(Lease).leaseTimeToLive({ ID: lease.id, keys: true });
    expect(TTL).toBeGreaterThan(50n);
    expect(grantedTTL).toBe(60n);
    expect(keys.map((key) => Buffer.from(key).toString()).sort()).toStrictEqual(["/ours", "/theirs"]);
    await lab.etcdctl(["lease", "revoke", lease.id.toString(16)]);
    expect(await store.renewLease(lease.id)).toBeNull();
    expect((await clientOf(Lease).leaseTimeToLive({ ID: lease.id })).TTL).toBe(-1n);
  });

  it("of the simple calls mean what a transaction means", async () => {
    const kv = clientOf(KV);
    await kv.put({ key: text("/simple"), value: text("1") });
    const { count } = await kv.range({ key: text("/simple"), countOnly: true });
    expect(count).toBe(1n);
    expect((await kv.deleteRange({ key: text("/simple") })).deleted).toBe(1n);
    expect((await store.get("/simple")).item).toBeNull();
  });

  it("of its state are the tool's", async () => {
    const [status] = await store.endpoints();
    const [told] = await ask("endpoint", "status");
    expect(status).toMatchObject({
      serverVersion: told.Status.version,
      memberId: BigInt(told.Status.header.member_id).toString(16),
      leaderId: BigInt(told.Status.leader).toString(16),
      raftTerm: BigInt(told.Status.raftTerm),
      raftIndex: BigInt(told.Status.raftIndex),
      databaseBytes: BigInt(told.Status.dbSize),
    });
    const { members } = await clientOf(Cluster).memberList({});
    const listed = await ask("member", "list");
    expect(members.map(({ ID, name, clientURLs }) => ({ ID: `${ID}`, name, clientURLs }))).toStrictEqual(
      listed.members.map(({ ID, name, clientURLs }: Record<string, unknown>) => ({ ID, name, clientURLs })),
    );
    const { alarms } = await clientOf(Maintenance).alarm({ action: AlarmRequest_AlarmAction.GET });
    expect(alarms).toStrictEqual([]);
    await clientOf(Maintenance).defragment({});
    expect((await store.endpoints())[0]!.reachable).toBe(true);
  });
});
