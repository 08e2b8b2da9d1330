/** Who the store speaks with, and as whom: mutual TLS with certificates that change, users by password and by certificate. */
import { ErrorCode } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { encodePem } from "../../identity/pem.ts";
import { type ForgedCertificate, forge } from "../../testing/certificateForge.ts";
import { EtcdLab, type EtcdTls, etcdProblem } from "../../testing/etcdLab.ts";
import { collect, failureOf, put, textOf } from "../../testing/storeTesting.ts";
import type { ClusterStore } from "./clusterStore.ts";
import { EtcdStore, type EtcdStoreOptions } from "./etcdStore.ts";

const log = pino({ level: "silent" });
const problem = etcdProblem();
const never = new AbortController().signal;
const ROOT = { userName: "root", password: "correct horse" };

let authority: ForgedCertificate;
let lab: EtcdLab;
const opened: ClusterStore[] = [];

async function issue(commonName: string, issuer = authority, address = "127.0.0.1"): Promise<EtcdTls> {
  const names = [
    { type: "ip", value: address },
    { type: "url", value: "spiffe://test/store/0" },
  ] as const;
  const { der, privateKey } = await forge({ commonName, names, issuer });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  return { ca: encodePem([authority.der]), cert: encodePem([der]), key };
}

function open(tls: EtcdTls | (() => EtcdTls), more: Partial<EtcdStoreOptions> = {}): EtcdStore {
  const ask = typeof tls === "function" ? tls : () => tls;
  const store = EtcdStore.open({ endpoints: lab.endpoints, tls: ask, log, ...more });
  opened.push(store);
  return store;
}

const refusal = (store: ClusterStore) =>
  expect(store.get("/a", { timeoutMs: 800 })).rejects.toMatchObject({ code: ErrorCode.STORE_UNAVAILABLE });

describe.skipIf(problem !== null)(`etcd with mutual TLS and users${problem ? ` (${problem})` : ""}`, () => {
  beforeAll(async () => {
    authority = await forge({ commonName: "authority", isAuthority: true });
    lab = await EtcdLab.start({ tls: [await issue("m0")], clientTls: await issue("root") });
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });
  afterAll(async () => {
    await lab?.close();
  });

  it("works with a certificate of the authority, and with none other", async () => {
    await open(await issue("alpha")).transact({ compare: [], then: [put("/a", "1")] });
    const stranger = await forge({ commonName: "stranger", isAuthority: true });
    await refusal(open(await issue("alpha", stranger)));
    const { ca } = await issue("alpha");
    await refusal(open({ ca } as EtcdTls));
    const foreign = { ...(await issue("alpha")), ca: encodePem([stranger.der]) };
    const [status] = await open(foreign).endpoints();
    expect(status).toMatchObject({ reachable: false });
    expect(status!.problem).toMatch(/certificate/);
  });

  it("asks whoever is told to judge the server, instead of looking for its host name", async () => {
    const named = lab.endpoints.map((endpoint) => endpoint.replace("127.0.0.1", "localhost"));
    const tls = await issue("alpha");
    await refusal(open(tls, { endpoints: named }));
    const asked: string[] = [];
    const verifyServer: EtcdStoreOptions["verifyServer"] = (host, { subjectaltname }) => {
      asked.push(host);
      return subjectaltname?.includes("URI:spiffe://test/store/0") ? undefined : new Error("another identity");
    };
    expect(textOf((await open(tls, { endpoints: named, verifyServer }).get("/a")).item)).toBe("1");
    expect(asked).toStrictEqual(["localhost"]);
    const strict = open(tls, { verifyServer: () => new Error("not of this cluster") });
    await refusal(strict);
    expect((await strict.endpoints())[0]?.problem).toContain("not of this cluster");
  });

  it("shows the newest certificate with each new connection, without being opened anew", async () => {
    let current = await issue("first", await forge({ commonName: "stranger", isAuthority: true }));
    let asked = 0;
    const store = open(() => {
      asked += 1;
      return current;
    });
    await refusal(store);
    current = await issue("second");
    expect(textOf((await store.get("/a")).item)).toBe("1");
    const before = asked;
    await lab.stop(0);
    lab.start(0);
    expect(textOf((await store.get("/a", { timeoutMs: 20_000 })).item)).toBe("1");
    expect(asked).toBeGreaterThan(before);
  });

  it("lets a user in where nobody has to say who he is", async () => {
    const store = open(await issue("alpha"), { credentials: ROOT });
    expect(textOf((await store.get("/a")).item)).toBe("1");
  });

  it("refuses to be opened with endpoints that are none", () => {
    const wrong: EtcdStoreOptions[] = [
      { endpoints: [], log },
      { endpoints: ["127.0.0.1:2379"], log },
      { endpoints: ["ftp://127.0.0.1:2379"], log },
      { endpoints: ["http://127.0.0.1:2379/path"], log },
      { endpoints: ["http://user:secret@127.0.0.1:2379"], log },
      { endpoints: ["http://a:1", "http://a:1"], log },
      { endpoints: ["http://a:1", "https://b:1"], tls: () => ({}), log },
      { endpoints: ["https://a:1"], log },
      { endpoints: Array.from({ length: 17 }, (_, index) => `http://a:${index + 1}`), log },
    ];
    for (const options of wrong) {
      expect(() => EtcdStore.open(options)).toThrow(expect.objectContaining({ code: ErrorCode.INVALID_ARGUMENT }));
    }
  });

  describe("and authentication", () => {
    const asRoot = ["--user", `${ROOT.userName}:${ROOT.password}`];

    beforeAll(async () => {
      for (const words of [
        ["user", "add", `${ROOT.userName}:${ROOT.password}`],
        ["user", "grant-role", "root", "root"],
        ["role", "add", "reader"],
        ["role", "grant-permission", "--prefix=true", "reader", "read", "/shared/"],
        ["role", "add", "own-presence"],
        ["role", "grant-permission", "own-presence", "readwrite", "/shared/presence/beta"],
        ["user", "add", "beta", "--no-password"],
        ["user", "grant-role", "beta", "reader"],
        ["user", "grant-role", "beta", "own-presence"],
        ["auth", "enable"],
      ])
        await lab.etcdctl(words);
    });
    afterAll(async () => {
      await lab.etcdctl([...asRoot, "auth", "disable"]);
    });

    it("knows a user by password, and gets a new token by itself when the old one counts no more", async () => {
      const tls = await issue("nobody");
      const store = open(tls, { credentials: ROOT });
      const { revision } = await store.transact({ compare: [], then: [put("/shared/a", "1")] });
      const watched = collect(store.watch({ prefix: "/shared/", fromRevision: revision, signal: never }));
      await watched.waitFor((batches) => batches.length === 1);
      // Tokens live in the memory of etcd's members.
      await lab.stop(0);
      lab.start(0);
      await store.transact({ compare: [], then: [put("/shared/a", "2")] }, { timeoutMs: 20_000 });
      await watched.waitFor((batches) => batches.length === 2);
      const wrong = open(tls, { credentials: { ...ROOT, password: "wrong" } });
      expect(await failureOf(wrong.get("/shared/a"))).toBe(ErrorCode.PERMISSION_DENIED);
    });

    it("knows a user by the name in its certificate, and holds it to what it may do", async () => {
      const store = open(await issue("beta"));
      expect(textOf((await store.get("/shared/a")).item)).not.toBeNull();
      expect((await store.range("/shared/")).items).toHaveLength(1);
      const lease = await store.grantLease(5000);
      await store.transact({ compare: [], then: [put("/shared/presence/beta", "here", lease.id)] });
      expect(await store.renewLease(lease.id)).not.toBeNull();
      const denied = async (work: Promise<unknown>) => expect(await failureOf(work)).toBe(ErrorCode.PERMISSION_DENIED);
      await denied(store.transact({ compare: [], then: [put("/shared/a", "mine")] }));
      await denied(store.transact({ compare: [], then: [put("/shared/presence/alpha", "me")] }));
      await denied(store.transact({ compare: [], then: [{ kind: "delete-prefix", prefix: "/shared/" }] }));
      await denied(store.get("/other"));
      await denied(store.range("/"));
      await denied(collect(store.watch({ prefix: "/", fromRevision: 1n, signal: never })).ended);
      const watched = collect(store.watch({ prefix: "/shared/presence/", fromRevision: 1n, signal: never }));
      await watched.waitFor((batches) => batches.length > 0);
      await denied(open(await issue("unknown")).get("/shared/a"));
      await denied(open(await issue("")).get("/shared/a"));
    });

    it("loses what it may do at once when its user is removed", async () => {
      const store = open(await issue("beta"));
      await store.get("/shared/a");
      await lab.etcdctl([...asRoot, "user", "delete", "beta"]);
      expect(await failureOf(store.get("/shared/a"))).toBe(ErrorCode.PERMISSION_DENIED);
    });
  });
});
