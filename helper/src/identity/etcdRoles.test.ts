/** On a real etcd that takes its users from certificates. */
import { createPublicKey } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { Keys } from "../cluster/keys.ts";
import { EtcdStore } from "../cluster/store/etcdStore.ts";
import { EtcdLab, type EtcdTls, etcdProblem } from "../testing/etcdLab.ts";
import { Authority } from "./authority.ts";
import { EtcdRoles } from "./etcdRoles.ts";
import { newPrivateKey, privateKeyPem } from "./keyPairs.ts";

const problem = etcdProblem();
const log = pino({ enabled: false });
const keys = new Keys();

let authority: Authority;
let lab: EtcdLab;
let roles: EtcdRoles;
const opened: EtcdStore[] = [];

async function withKey(
  issue: (key: ReturnType<typeof createPublicKey>) => Promise<{ readonly chainPem: string }>,
): Promise<EtcdTls> {
  const key = newPrivateKey();
  const { chainPem } = await issue(createPublicKey(key));
  return { ca: authority.bundlePem, cert: chainPem, key: privateKeyPem(key) };
}
const memberTls = (name: string) =>
  withKey((publicKey) => authority.issueMember({ name, publicKey, ipAddress: "127.0.0.1", nowMs: Date.now() }));
const serverTls = (name: string) =>
  withKey((publicKey) =>
    authority.issueServer({
      name,
      publicKey,
      dnsNames: [],
      ipAddresses: ["127.0.0.1"],
      nowMs: Date.now(),
      lifeMs: 86_400_000,
    }),
  );

async function as(tls: EtcdTls): Promise<EtcdStore> {
  const store = EtcdStore.open({ endpoints: lab.endpoints, tls: () => tls, log });
  opened.push(store);
  return store;
}
const asMember = async (name: string) => as(await memberTls(name));
const put = (store: EtcdStore, key: string) =>
  store.transact({ compare: [], then: [{ kind: "put", key, value: Buffer.from("x") }] });
const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof Failure ? ErrorCode[error.code] : String(error)),
  );

const MEMBERS = [
  { name: "a", candidate: true },
  { name: "web", candidate: false },
  { name: "db", candidate: false },
];

describe.skipIf(problem !== null)(
  `etcd that knows members by their certificates${problem ? ` (${problem})` : ""}`,
  () => {
    beforeAll(async () => {
      authority = await Authority.create("demo", "demo.wardline", Date.now());
      const clientTls = await withKey((publicKey) => authority.issueStoreAdministrator(publicKey, Date.now()));
      lab = await EtcdLab.start({ tls: [await serverTls("etcd-1")], clientTls });
      roles = new EtcdRoles({
        endpoints: lab.endpoints,
        keys,
        authority: async () => authority,
        serverCaPem: "",
        clock: systemClock,
        log,
      });
      const founder = await asMember("a");
      for (const key of [
        keys.head,
        keys.authority,
        keys.bundle,
        keys.member("web"),
        keys.token("abc"),
        keys.presence("db"),
      ])
        await put(founder, key);
      await roles.enable(MEMBERS);
    });
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close();
    });
    afterAll(() => lab?.close());

    it("lets candidates read and write everything of the cluster, and nothing else", async () => {
      const a = await asMember("a");
      for (const key of [keys.head, keys.authority, keys.token("abc"), keys.presence("web")])
        expect(await outcome(put(a, key))).toBe("ok");
      expect((await a.range(keys.root)).items.length).toBeGreaterThan(4);
      expect(await outcome(put(a, "/other/a"))).toBe("PERMISSION_DENIED");
      expect(await outcome(a.get("/other/a"))).toBe("PERMISSION_DENIED");
    });

    it("lets plain members read what is for them, and write what is theirs", async () => {
      const web = await asMember("web");
      for (const key of [keys.head, keys.bundle, keys.member("web"), keys.presence("db")])
        expect(await outcome(web.get(key))).toBe("ok");
      for (const prefix of [keys.members, keys.presences, keys.documents, keys.services])
        expect(await outcome(web.range(prefix))).toBe("ok");
      const own = [keys.presence("web"), keys.report("web"), keys.wantedNamesOf("web")];
      own.push(keys.meshObservation("web"), keys.meshReceipt("web", "run/1"), keys.meshDecision("web", "x"));
      for (const key of [...own, keys.anomalySummary("web"), keys.anomalyMovement("web")])
        expect(await outcome(put(web, key))).toBe("ok");
      const lease = await web.grantLease(5_000);
      const alive = { kind: "put", key: keys.presence("web"), value: Buffer.from("x"), leaseId: lease.id } as const;
      const isMember = { key: keys.member("web"), target: "create", operator: ">", number: 0n } as const;
      expect((await web.transact({ compare: [isMember], then: [alive] })).succeeded).toBe(true);
      expect(await web.renewLease(lease.id)).not.toBeNull();
    });

    it("keeps them from the head, from the authority's key, from tokens and from each other", async () => {
      const web = await asMember("web");
      const written = [
        keys.head,
        keys.authority,
        keys.bundle,
        keys.leader,
        keys.member("web"),
        keys.presence("db"),
        keys.anomalySummary("db"),
        keys.anomalyGroup("all"),
        keys.meshObservation("db"),
        keys.meshReceipt("db", "run/1"),
        keys.meshReceipt("webb", "run/1"),
        keys.meshDecision("db", "x"),
        keys.meshOrder("web", "run/1"),
        keys.meshRun("run"),
        keys.meshSettings,
        keys.meshKnowledge,
        keys.meshAddresses,
        keys.presence("webb"),
        keys.report("db"),
        keys.token("abc"),
        keys.document("policy/default/web"),
      ];
      for (const key of written) expect(`${key} ${await outcome(put(web, key))}`).toBe(`${key} PERMISSION_DENIED`);
      for (const key of [keys.authority, keys.token("abc")])
        expect(await outcome(web.get(key))).toBe("PERMISSION_DENIED");
      for (const prefix of [keys.root, keys.identity, keys.tokens])
        expect(await outcome(web.range(prefix))).toBe("PERMISSION_DENIED");
      const smuggled = { key: keys.authority, target: "value", operator: "=", value: Buffer.from("x") } as const;
      expect(await outcome(web.transact({ compare: [smuggled], then: [] }))).toBe("PERMISSION_DENIED");
    });

    it("knows nobody who is no member: not a server, not a stranger with a certificate, not a member called root", async () => {
      expect(await outcome((await as(await serverTls("web"))).get(keys.head))).toBe("PERMISSION_DENIED");
      expect(await outcome((await asMember("stranger")).get(keys.head))).toBe("PERMISSION_DENIED");
      const root = await asMember("root");
      for (const call of [() => root.get("/other/a"), () => root.get(keys.head), () => put(root, keys.head)])
        expect(await outcome(call())).toBe("PERMISSION_DENIED");
    });

    it("lets in who was admitted later, and shuts out who was removed, on connections that are open", async () => {
      const late = await asMember("late");
      expect(await outcome(late.get(keys.head))).toBe("PERMISSION_DENIED");
      await roles.admit({ name: "late", candidate: false });
      expect(await outcome(late.get(keys.head))).toBe("ok");
      expect(await outcome(put(late, keys.presence("late")))).toBe("ok");
      await roles.remove("late");
      expect(await outcome(late.get(keys.head))).toBe("PERMISSION_DENIED");
      expect(await outcome(put(late, keys.presence("late")))).toBe("PERMISSION_DENIED");
      await roles.remove("late");
    });

    it("does not disturb who is connected, and a watch that was open goes on", async () => {
      const web = await asMember("web");
      const { revision } = await web.get(keys.head);
      const stop = new AbortController();
      const seen: string[] = [];
      const watching = (async () => {
        for await (const { events } of web.watch({
          prefix: keys.head,
          fromRevision: revision + 1n,
          signal: stop.signal,
        })) {
          for (const { key } of events) seen.push(key);
        }
      })();
      await roles.enable(MEMBERS);
      await put(await asMember("a"), keys.head);
      await expect.poll(() => seen).toContain(keys.head);
      stop.abort();
      await watching;
    });

    it("puts right what differs: a plain member that was a candidate, a user that stayed, and leaves other people's users", async () => {
      const etcd = (...words: string[]) => lab.etcdctl(words);
      await etcd("user", "add", "somebody", "--no-password");
      await roles.admit({ name: "web", candidate: true });
      await roles.admit({ name: "gone", candidate: false });
      expect(await outcome(put(await asMember("web"), keys.head))).toBe("ok");
      await roles.enable(MEMBERS);
      expect(await outcome(put(await asMember("web"), keys.head))).toBe("PERMISSION_DENIED");
      const users = (await etcd("user", "list")).trim().split("\n").sort();
      expect(users).toEqual(["a", "db", "root", "somebody", "web"]);
      expect(await etcd("role", "list")).not.toContain("gone");
    });

    it("gives a member no rights of a user that somebody else made, and does everything else", async () => {
      const etcd = (...words: string[]) => lab.etcdctl(words);
      await etcd("role", "add", "backups");
      await etcd("role", "grant-permission", "--prefix=true", "backups", "readwrite", "/other/");
      await etcd("user", "add", "backup", "--no-password");
      await etcd("user", "grant-role", "backup", "backups");
      const members = [{ name: "backup", candidate: true }, ...MEMBERS, { name: "new", candidate: false }];
      await expect(roles.enable(members)).rejects.toMatchObject({
        code: ErrorCode.ALREADY_EXISTS,
        message: /called backup/,
      });
      await expect(roles.admit({ name: "backup", candidate: false })).rejects.toMatchObject({
        code: ErrorCode.ALREADY_EXISTS,
      });
      expect(await outcome((await asMember("backup")).get(keys.head))).toBe("PERMISSION_DENIED");
      expect(await outcome((await asMember("new")).get(keys.head))).toBe("ok");
      await roles.enable(MEMBERS);
      expect(await etcd("user", "list")).toContain("backup");
    });

    it("can be turned off", async () => {
      await roles.disable();
      expect(await outcome((await asMember("stranger")).get(keys.head))).toBe("ok");
      await roles.enable(MEMBERS);
      expect(await outcome((await asMember("stranger")).get(keys.head))).toBe("PERMISSION_DENIED");
    });

    it("refuses an etcd without TLS", () => {
      const ports = { keys, authority: async () => authority, serverCaPem: "", clock: systemClock, log };
      expect(() => new EtcdRoles({ ...ports, endpoints: ["http://127.0.0.1:1"] })).toThrow(
        expect.objectContaining({ code: ErrorCode.INVALID_ARGUMENT }),
      );
    });
  },
);
