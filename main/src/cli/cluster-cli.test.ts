/** The commands of the cluster against a fake agent on a socket: words, JSON, exit codes. */
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { Http2Server } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { DocumentWriteSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { MemberPresenceSchema, MemberState, SyncReportSchema, SyncState } from "@wardline/api/wardline/v1/cluster";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeAgent } from "../backend/testing/fake-agent.ts";
import { FakeCluster, FakeClusterNode } from "../backend/testing/fake-cluster.ts";
import { InProcessCli } from "./testing/run-in-process.ts";

const policy = (name: string, note = "a", other = "b") => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ${name}
  namespace: default
  annotations:
    one: ${note}
    two: x
    three: y
    four: ${other}
spec:
  podSelector: {}
  policyTypes: [Ingress]
`;
const WEB = "networkpolicy/default/web";

let cli: InProcessCli;
let agent: FakeAgent;
let server: Http2Server;
let prod: FakeCluster;
let node: FakeClusterNode;
const world = new Map<string, FakeCluster>();

beforeAll(async () => {
  cli = new InProcessCli();
  agent = new FakeAgent();
  agent.cluster = new FakeClusterNode("alpha", null, world);
  server = await agent.serve(cli.socketPath);
});
afterAll(() => {
  server.close();
  cli.dispose();
});
beforeEach(() => {
  prod = new FakeCluster("prod", "alpha");
  prod.admit("alpha", true, { tier: "control" });
  node = agent.cluster as FakeClusterNode;
  node.cluster = prod;
  node.onStatus = (status) => status;
});

const code = (text: string) => (JSON.parse(text) as { error: { code: string } }).error.code;

describe("wardline cluster", () => {
  it("init makes one, and says what comes next", async () => {
    node.cluster = null;
    const made = await cli.run("cluster", "init", "prod", "--label", "tier=control", "--lease", "10s");
    expect(made).toMatchObject({ exitCode: 0, stdout: "The cluster prod is made of alpha.\n" });
    expect(made.stderr).toContain("10.0.0.1:7443");
    expect(made.stderr).toContain("wardline cluster token");
    const again = await cli.json("cluster", "init", "other");
    expect([again.exitCode, code(again.stderr)]).toEqual([1, "ALREADY_EXISTS"]);
    expect((await cli.run("cluster", "init", "Not a name")).exitCode).toBe(2);
    expect((await cli.run("cluster", "init", "x", "--label", "nolabel")).exitCode).toBe(2);
  });

  it("join takes a token, or names hosts", async () => {
    node.cluster = null;
    const token = "wl1.prod.1";
    prod.tokens.set(token, "alpha false");
    world.set(token, prod);
    expect(await cli.run("cluster", "join", token)).toMatchObject({
      exitCode: 0,
      stdout: "alpha is in the cluster prod.\n",
    });
    node.cluster = null;
    const used = await cli.json("cluster", "join", token);
    expect([used.exitCode, code(used.stderr)]).toEqual([1, "TOKEN_INVALID"]);
    for (const wrong of [[], ["--hosts", "all"], [token, "--hosts", "all", "--cluster", "prod"]]) {
      expect((await cli.run("cluster", "join", ...wrong)).exitCode).toBe(2);
    }
    node.cluster = prod;
    const named = await cli.json("cluster", "join", "--hosts", "all", "--cluster", "prod");
    expect(named).toMatchObject({ exitCode: 0, value: { hosts: [{ hostId: "local" }] } });
  });

  it("token prints the secret alone, and its end beside it", async () => {
    const { exitCode, stdout, stderr } = await cli.run("cluster", "token", "--member", "web-1", "--candidate");
    expect([exitCode, stdout]).toEqual([0, "wl1.prod.1\n"]);
    expect(prod.tokens.get("wl1.prod.1")).toBe("web-1 true");
    expect(stderr).toContain("Lets one host into prod until");
  });

  it("status shows age, term, skew, latency and lag, makes it harmless, and fails when something is wrong", async () => {
    prod.admit("beta\u001b[2J", true);
    const beta = prod.members.get("beta\u001b[2J")!;
    beta.state = MemberState.UNHEALTHY;
    beta.presence = create(MemberPresenceSchema, {
      heartbeatAt: timestampFromMs(Date.now() - 65_000),
      heartbeatLatency: durationFromMs(12),
      clockOffset: { seconds: -3n, nanos: -400_000_000 },
      agentVersion: "1.2.3",
    });
    prod.write({ writes: [create(DocumentWriteSchema, { text: policy("web") })] }, "ann");
    prod.write({ writes: [create(DocumentWriteSchema, { text: policy("db") })] }, "ann");
    beta.report = create(SyncReportSchema, {
      activeSetNumber: 1n,
      state: SyncState.REFUSED,
      problem: { message: "no" },
    });
    const good = await cli.run("cluster", "status");
    expect(good.exitCode).toBe(0);
    expect(good.stdout).toMatch(/^prod \(prod\.wardline\): alpha leads in term 1 for /);
    expect(good.stdout).toContain("set 2 (2 documents) confirmed");
    expect(good.stdout).toMatch(/beta\\u\{1b\}\[2J +unhealthy +candidate +1 min +12\.0 ms +-3\.4 s +1 refused +1 /);
    expect(good.stdout).not.toContain("\u001b[2J");
    const json = await cli.json("cluster", "status");
    expect(json.value).toMatchObject({ status: { clusterName: "prod", head: { setNumber: "2" } } });
    prod.storeIsWritable = false;
    expect((await cli.run("cluster", "status")).exitCode).toBe(1);
    prod.storeIsWritable = true;
    prod.lead(null);
    const nobody = await cli.run("cluster", "status");
    expect([nobody.exitCode, nobody.stdout.includes("nobody leads")]).toEqual([1, true]);
  });

  it("says that a host is in no cluster, that an agent is too old, that nobody answers", async () => {
    node.cluster = null;
    const alone = await cli.json("cluster", "status");
    expect([alone.exitCode, code(alone.stderr)]).toEqual([1, "NOT_A_MEMBER"]);
    const older = await FakeServer.at(cli.path("older.sock"), new FakeAgent());
    const old = await cli.json("cluster", "status", ...older.options);
    expect([old.exitCode, code(old.stderr)]).toEqual([3, "VERSION_MISMATCH"]);
    older.close();
    const away = await cli.json("cluster", "status", "--agent-socket", cli.path("absent.sock"));
    expect(away.exitCode).toBe(3);
    const unknown = await cli.json("cluster", "status", "--host", "nobody");
    expect([unknown.exitCode, code(unknown.stderr)]).toEqual([2, "NOT_FOUND"]);
  });

  it("list has every cluster of the console's hosts", async () => {
    const { exitCode, stdout } = await cli.run("cluster", "list");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^prod +alpha +1 +1 +1 +etcd +no desired set yet +alpha$/m);
    node.cluster = null;
    const none = await cli.run("cluster", "list");
    expect(none.stdout).toBe("No host of this console is in a cluster.\n");
    expect(none.stderr).toContain("In no cluster: alpha");
  });

  it("watch tells of each change until it is interrupted", async () => {
    const watching = cli.start("cluster", "watch");
    await expect.poll(watching.stdout, { timeout: 40_000 }).toContain("alpha leads in term 1");
    prod.admit("beta", false);
    await expect.poll(watching.stdout, { timeout: 40_000 }).toContain("beta is let in");
    prod.lead("beta");
    await expect.poll(watching.stdout, { timeout: 40_000 }).toContain("beta leads in term 2");
    prod.write({ writes: [create(DocumentWriteSchema, { text: policy("web") })], reason: "why" }, "ann");
    await expect.poll(watching.stdout, { timeout: 40_000 }).toContain("set 1 (1 documents) confirmed by ann: why");
    prod.members.delete("beta");
    prod.changes.notify();
    await expect.poll(watching.stdout, { timeout: 40_000 }).toContain("beta is no member any more");
    watching.interrupt();
    expect((await watching.ended).exitCode).toBe(0);
  });

  it("leave, remove and resign ask first where it matters, and do it", async () => {
    prod.admit("beta", true);
    expect(await cli.run("cluster", "remove", "beta")).toMatchObject({ exitCode: 2 });
    expect(prod.members.has("beta")).toBe(true);
    expect(await cli.run("cluster", "resign")).toMatchObject({ exitCode: 0, stdout: "alpha has stepped down.\n" });
    expect(prod.leader).toBe("beta");
    prod.lead("alpha");
    expect(await cli.run("cluster", "remove", "beta", "--yes", "--reason", "dead")).toMatchObject({ exitCode: 0 });
    expect(prod.members.has("beta")).toBe(false);
    node.leaveProblems = ["Its record is still there."];
    const left = await cli.run("cluster", "leave", "--yes");
    expect(left).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("Its record is still there.") });
    node.leaveProblems = [];
    expect(node.cluster).toBeNull();
  });

  it("backend shows, tests and sets, and takes no password from the command line", async () => {
    expect(await cli.run("cluster", "backend", "show")).toMatchObject({ exitCode: 0, stdout: "etcd\n" });
    writeFileSync(cli.path("password"), "secret\n");
    const test = ["cluster", "backend", "test"];
    for (const wrong of [
      test,
      [...test, "--etcd", "https://a:2379", "--embedded"],
      [...test, "--etcd", "https://a:2379", "--user", "root"],
      [...test, "--ca", cli.path("password")],
      [...test, "--users-per-member"],
      [
        ...test,
        "--etcd",
        "https://a:2379",
        "--users-per-member",
        "--user",
        "r",
        "--password-file",
        cli.path("password"),
      ],
      [...test, "--etcd", "https://a:2379", "--user", "root", "--password-file", cli.path("absent")],
    ]) {
      expect((await cli.run(...wrong)).exitCode).toBe(2);
    }
    expect((await cli.run("cluster", "backend", "set", "--embedded")).exitCode).toBe(2);
  });

  it("certificate makes the key here, overwrites nothing, and believes no other certificate", async () => {
    const out = cli.path("certificates");
    mkdirSync(out);
    writeFileSync(`${out}/etcd-1.key`, "mine");
    const exists = await cli.json("cluster", "certificate", "etcd-1", "--out", out);
    expect([exists.exitCode, code(exists.stderr)]).toEqual([1, "ALREADY_EXISTS"]);
    expect(readFileSync(`${out}/etcd-1.key`, "utf8")).toBe("mine");
    let sentKey: Uint8Array = new Uint8Array();
    const routes = node.routes.bind(node);
    node.routes = (closing) => ({
      ...routes(closing),
      issueCertificate: ({ publicKey }) => {
        sentKey = publicKey;
        return {
          certificateChainPem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
          bundlePem: "x",
        };
      },
    });
    const other = await FakeServer.at(cli.path("other.sock"), agent);
    const refused = await cli.json(...["cluster", "certificate", "etcd-2", "--out", out], ...other.options);
    expect([refused.exitCode, code(refused.stderr)]).toEqual([1, "IDENTITY_REFUSED"]);
    const spki = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });
    expect(sentKey.length).toBe(spki.length);
    expect(() => statSync(`${out}/etcd-2.key`)).toThrow();
    node.routes = routes;
    other.close();
  });
});

class FakeServer {
  readonly options: string[];
  readonly close: () => void;

  constructor(path: string, server: Http2Server) {
    this.options = ["--agent-socket", path];
    this.close = () => void server.close();
  }

  static async at(path: string, served: FakeAgent): Promise<FakeServer> {
    return new FakeServer(path, await served.serve(path));
  }
}

describe("wardline policy, of a cluster", () => {
  const sync = (...more: string[]) => cli.run("policy", "sync", cli.path("web.yaml"), "--yes", ...more);
  const write = (text: string, name = "web.yaml") => writeFileSync(cli.path(name), text);
  const elsewhere = (text: string, baseVersion: bigint) =>
    prod.write({ writes: [create(DocumentWriteSchema, { text, baseVersion })] }, "bob");

  it("sync shows what it would do, asks, writes, and finds nothing the second time", async () => {
    write(policy("web"));
    const shown = await cli.json("policy", "sync", cli.path("web.yaml"), "--dry-run");
    expect(shown.value).toMatchObject({ documents: [{ key: WEB, change: "DOCUMENT_CHANGE_ADDED" }] });
    expect((await cli.run("policy", "sync", cli.path("web.yaml"))).exitCode).toBe(2);
    expect(prod.sets).toHaveLength(0);
    const done = await sync("--reason", "first");
    expect(done.exitCode).toBe(0);
    expect(done.stdout).toContain(`add     ${WEB}`);
    expect(done.stdout).toContain("prod: set 1 (1 documents) confirmed.");
    expect(prod.newest(WEB)).toMatchObject({ reason: "first", text: policy("web") });
    expect((await sync()).stdout).toContain("Nothing to write.");
    write("kind: Nonsense\n");
    const bad = await sync();
    expect([bad.exitCode, prod.sets.length]).toEqual([1, 1]);
    expect(bad.stdout).toContain("web.yaml");
  });

  it("sync merges, refuses a conflict with both texts, and takes a side when told", async () => {
    write(policy("web", "agreed"));
    await sync();
    write(policy("web", "mine"));
    elsewhere(policy("web", "agreed", "theirs"), prod.newest(WEB)!.version);
    const merged = await sync();
    expect(merged.stdout).toContain(`merge   ${WEB}`);
    expect(prod.newest(WEB)?.text).toBe(policy("web", "mine", "theirs"));
    write(policy("web", "mine again", "theirs"));
    elsewhere(policy("web", "theirs again", "theirs"), prod.newest(WEB)!.version);
    const open = await sync();
    expect(open.exitCode).toBe(1);
    expect(open.stdout).toMatch(/<<<<<<< this workspace\n +one: mine again\n/);
    expect(open.stderr).toContain("Nothing was written");
    expect((await sync("--prefer", "mine")).exitCode).toBe(0);
    expect(prod.newest(WEB)?.text).toBe(policy("web", "mine again", "theirs"));
  });

  it("sync with a deadline says how to keep it, and confirm and rollback end it", async () => {
    write(policy("web", "one"));
    await sync();
    write(policy("web", "two"));
    const pending = await sync("--confirm-within", "1m");
    expect(pending.stdout).toContain("wardline policy confirm --set 2");
    expect((await cli.run("policy", "confirm", "--set", "9")).exitCode).toBe(2);
    const kept = await cli.run("policy", "confirm", "--set", "2");
    expect(kept).toMatchObject({ exitCode: 0, stdout: "prod: set 2 (1 documents) confirmed.\n" });
    write(policy("web", "three"));
    await sync("--confirm-within", "1m");
    const back = await cli.run("policy", "rollback", "--set", "3");
    expect(back.stdout).toContain("rolled back");
    expect(prod.newest(WEB)?.text).toBe(policy("web", "two"));
  });

  it("list, show, history, rollback and delete know documents by their short names", async () => {
    write(policy("web", "one"));
    await sync("--reason", "first");
    write(policy("web", "two"));
    await sync("--reason", "second");
    expect((await cli.run("policy", "list", "--cluster")).stdout).toMatch(new RegExp(`^${WEB} +2 .*second$`, "m"));
    expect((await cli.run("policy", "show", "web")).stdout).toBe(policy("web", "two"));
    expect((await cli.run("policy", "show", WEB, "--at", "1")).stdout).toBe(policy("web", "one"));
    const history = await cli.json("policy", "history", "default/web");
    expect(history.value).toMatchObject({ versions: [{ version: "2", reason: "second" }, { version: "1" }] });
    const rolled = await cli.run("policy", "rollback", "web", "--to", "1", "--reason", "worse");
    expect(rolled.stdout).toContain(`${WEB} as in version 1`);
    expect(prod.newest(WEB)).toMatchObject({ version: 3n, text: policy("web", "one") });
    for (const wrong of [
      ["web"],
      ["--to", "1"],
      ["web", "--to", "1", "--generation", "1"],
      ["--confirm-within", "1m"],
    ]) {
      expect((await cli.run("policy", "rollback", ...wrong)).exitCode).toBe(2);
    }
    expect((await cli.run("policy", "delete", "web")).exitCode).toBe(2);
    expect((await cli.run("policy", "delete", "web", "--yes", "--reason", "old")).exitCode).toBe(0);
    expect(prod.newest(WEB)).toMatchObject({ deleted: true, reason: "old" });
    expect((await cli.run("policy", "show", "web")).exitCode).toBe(1);
    const absent = await cli.json("policy", "history", "nothing");
    expect([absent.exitCode, code(absent.stderr)]).toEqual([2, "NOT_FOUND"]);
  });

  it("watch shows what is there, then each change", async () => {
    elsewhere(policy("web"), 0n);
    const watching = cli.start("policy", "watch", "--format", "json");
    await expect.poll(watching.stdout, { timeout: 40_000 }).toContain(WEB);
    elsewhere(policy("db"), 0n);
    await expect.poll(() => watching.stdout().trim().split("\n").length, { timeout: 40_000 }).toBe(2);
    watching.interrupt();
    const { exitCode, stdout } = await watching.ended;
    const keys = stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { key: string }).key);
    expect([exitCode, keys]).toEqual([0, [WEB, "networkpolicy/default/db"]]);
  });

  it("merge works on files alone", async () => {
    write(policy("web"), "base.yaml");
    write(policy("web", "mine"), "mine.yaml");
    write(policy("web", "a", "theirs"), "theirs.yaml");
    const files = (...names: string[]) => names.map((name) => cli.path(name));
    const merged = await cli.run("policy", "merge", ...files("base.yaml", "mine.yaml", "theirs.yaml"));
    expect(merged).toMatchObject({ exitCode: 0, stdout: policy("web", "mine", "theirs") });
    write(policy("web", "yours"), "theirs.yaml");
    const conflict = await cli.run("policy", "merge", ...files("base.yaml", "mine.yaml", "theirs.yaml"));
    expect([conflict.exitCode, conflict.stdout.includes("<<<<<<<")]).toEqual([1, true]);
    expect((await cli.run("policy", "merge", ...files("base.yaml", "absent.yaml", "theirs.yaml"))).exitCode).toBe(2);
  });
});

describe("wardline discovery and note", () => {
  it("registers, lists, resolves and takes out", async () => {
    const register = ["discovery", "register", "db", "--address", "10.0.0.5", "--port", "5432"];
    expect(await cli.run(...register, "--label", "tier=db", "--ttl", "1m")).toMatchObject({
      exitCode: 0,
      stdout: "default/db is at 10.0.0.5 port 5432.\n",
    });
    expect((await cli.run("discovery", "list")).stdout).toMatch(/^default\/db +10\.0\.0\.5 +5432 +tier=db/m);
    const found = await cli.json("discovery", "resolve", "--member", "web-1");
    expect(found).toMatchObject({ exitCode: 0, value: { endpoints: [{ key: "host/web-1" }] } });
    for (const wrong of [[], ["--member", "a", "--name", "b.example"]]) {
      expect((await cli.run("discovery", "resolve", ...wrong)).exitCode).toBe(2);
    }
    expect((await cli.run("discovery", "deregister", "db")).stdout).toBe("1 of default/db taken out.\n");
    expect((await cli.run("discovery", "deregister", "db")).exitCode).toBe(1);
  });

  it("notes are set, listed and removed", async () => {
    expect((await cli.run("note", "set", "host/web-1", "old disk\nask Ann")).stdout).toBe("Noted about host/web-1.\n");
    const { stdout } = await cli.run("note", "list");
    expect(stdout).toContain("host/web-1");
    expect(stdout).toContain("  old disk\n  ask Ann\n");
    expect((await cli.run("note", "set", "host/web-1", "")).stdout).toBe("The note is removed.\n");
    expect((await cli.json("note", "list")).value).toEqual({ notes: [] });
    expect((await cli.run("note", "set", "nothing", "x")).exitCode).toBe(2);
  });
});

it("changes nothing in read-only mode, and still shows", async () => {
  process.env.WARDLINE_READ_ONLY = "1";
  try {
    for (const command of [
      ["cluster", "token"],
      ["cluster", "init", "x"],
      ["cluster", "remove", "alpha", "--yes"],
      ["cluster", "backend", "set", "--embedded", "--yes"],
      ["policy", "delete", "web", "--yes"],
      ["discovery", "register", "db", "--address", "10.0.0.5", "--port", "1"],
      ["note", "set", "host/a", "x"],
    ]) {
      const refused = await cli.json(...command);
      expect([command, refused.exitCode, code(refused.stderr)]).toEqual([command, 1, "READ_ONLY"]);
    }
    expect((await cli.run("cluster", "status")).exitCode).toBe(0);
    expect(prod.calls).toEqual([]);
  } finally {
    delete process.env.WARDLINE_READ_ONLY;
  }
});
