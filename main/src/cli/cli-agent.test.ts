/** The command line with a real agent (observe backend: no root needed) on a socket of its own. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "./testing/run-cli.ts";
import { InProcessCli } from "./testing/run-in-process.ts";
import { BAD_POLICY, GOOD_POLICY, INVENTORY } from "./testing/samples.ts";

let sandbox: CliSandbox;
beforeAll(async () => {
  sandbox = new CliSandbox();
  writeFileSync(sandbox.path("good.yaml"), GOOD_POLICY);
  writeFileSync(sandbox.path("bad.yaml"), BAD_POLICY);
  writeFileSync(sandbox.path("hosts.yaml"), INVENTORY);
  await sandbox.startAgent();
});
afterAll(() => sandbox.dispose());

const WHOLE = ["good.yaml", "hosts.yaml"];

describe("from plan to rollback", { timeout: 300_000 }, () => {
  it("plans files without touching the workspace", async () => {
    const { exitCode, value } = await sandbox.json(["policy", "plan", ...WHOLE]);
    expect(exitCode).toBe(0);
    expect(value).toMatchObject({
      planId: expect.stringMatching(/./),
      fileChanges: [
        { path: "good.yaml", kind: "CHANGE_KIND_ADDED" },
        { path: "hosts.yaml", kind: "CHANGE_KIND_ADDED" },
      ],
      hosts: [{ hostId: "local", backend: "BACKEND_KIND_OBSERVE", accessChanges: expect.anything() }],
    });
    expect(await sandbox.json(["policy", "list"])).toMatchObject({ exitCode: 0, value: { files: [] } });
  });

  it("shows in words who loses what", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "plan", ...WHOLE]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("  + good.yaml\n");
    expect(stdout).toContain("Host here (nothing is in force yet)");
    expect(stdout).toMatch(/- deny +Host\/here +in from/);
  });

  it("plans and applies nothing of policies with errors", async () => {
    for (const command of [
      ["policy", "plan", "bad.yaml"],
      ["policy", "apply", "bad.yaml", "--yes"],
    ]) {
      const { exitCode, stdout } = await sandbox.run(command);
      expect(exitCode).toBe(1);
      expect(stdout).toMatch(/bad\.yaml:7:3: error\[WL2/);
    }
    expect(await sandbox.json(["policy", "list"])).toMatchObject({ value: { files: [] } });
  });

  it("asks before it applies, and needs --yes where nobody can answer", async () => {
    const { exitCode, stderr } = await sandbox.run(["policy", "apply", ...WHOLE]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("Add --yes.");
    expect(await sandbox.json(["policy", "list"])).toMatchObject({ value: { files: [] } });
  });

  it("says that an observing agent enforces nothing", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "apply", ...WHOLE, "--yes", "--mode", "enforce"]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/failed on local: .*observe/i);
  });

  it("applies, waits for confirmation, keeps", async () => {
    const applying = ["policy", "apply", ...WHOLE, "--yes", "--mode", "observe", "--confirm-within", "1m"];
    const { exitCode, stdout } = await sandbox.run(applying);
    expect(exitCode).toBe(0);
    const generation = /generation (\d+) \(/.exec(stdout)?.[1];
    expect(stdout).toContain(`wardline policy confirm --generation ${generation}`);

    const second = await sandbox.json([...applying, "--reason", "again"]);
    expect(second).toMatchObject({
      exitCode: 1,
      value: { hosts: [{ error: { code: "ERROR_CODE_CONFIRMATION_PENDING" } }] },
    });

    const wrong = await sandbox.json(["policy", "confirm", "--generation", "999"]);
    expect(wrong.exitCode).toBe(1);
    const confirmed = await sandbox.json(["policy", "confirm"]);
    expect(confirmed).toMatchObject({
      exitCode: 0,
      value: { generation: { number: generation, mode: "ENFORCEMENT_MODE_OBSERVE" } },
    });
    const again = await sandbox.json(["policy", "confirm"]);
    expect(again.exitCode).toBe(1);
    expect(JSON.parse(again.stderr)).toMatchObject({ error: { code: "NOTHING_PENDING" } });
  });

  it("lists and shows what is now the workspace", async () => {
    const [list, words, shown, versions, absent] = await Promise.all([
      sandbox.json(["policy", "list"]),
      sandbox.run(["policy", "list"]),
      sandbox.run(["policy", "show", "good.yaml"]),
      sandbox.json(["policy", "list", "--versions"]),
      sandbox.run(["policy", "show", "absent.yaml"]),
    ]);
    expect(list).toMatchObject({
      exitCode: 0,
      value: { files: [{ path: "good.yaml", state: "FILE_STATE_ENFORCED" }, { path: "hosts.yaml" }] },
    });
    expect(words.stdout).toMatch(/^good\.yaml +enforced +NetworkPolicy\/default\/web$/m);
    expect(shown).toMatchObject({ exitCode: 0, stdout: GOOD_POLICY });
    expect(versions).toMatchObject({ exitCode: 0, value: { versions: [{ fileCount: 2, policyCount: 1 }] } });
    expect(absent.exitCode).toBe(2);
  });

  it("explains the workspace", async () => {
    const { value } = await sandbox.json(["policy", "explain", "--from", "192.0.2.1", "--to", "here", "--port", "443"]);
    expect(value).toMatchObject({ verdict: "deny" });
  });

  it("sees no change in the same policies, and rolls back what is in force", async () => {
    expect((await sandbox.run(["policy", "plan"])).stdout).toContain("No change");
    const { exitCode, value } = await sandbox.json(["policy", "rollback", "--reason", "test"]);
    expect(exitCode).toBe(0);
    expect(value).toHaveProperty("generation");
    expect((await sandbox.run(["policy", "plan"])).stdout).not.toContain("No change");
  });

  it("with --wait counts down, and ends with 1 when nobody confirms", async () => {
    const args = ["policy", "apply", "--yes", "--mode", "observe", "--confirm-within", "5s", "--wait"];
    const { exitCode, stderr } = await sandbox.run(args);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/5 s left to confirm/);
    expect(stderr).toMatch(/Rolled back: generation \d+ is no longer in force/);
  });

  it("with --wait ends with 0 when somebody confirms", async () => {
    const applying = sandbox.start([
      "policy",
      "apply",
      "--yes",
      "--mode",
      "observe",
      "--confirm-within",
      "1m",
      "--wait",
    ]);
    await applying.waitFor("left to confirm");
    expect((await sandbox.run(["policy", "confirm"])).exitCode).toBe(0);
    await applying.waitFor("Confirmed: generation");
    const exitCode = applying.child.exitCode ?? (await new Promise((resolve) => applying.child.once("exit", resolve)));
    expect(exitCode).toBe(0);
  });
});

describe("looking at hosts", () => {
  it("lists them and their agent", async () => {
    const [hosts, words, agent, status] = await Promise.all([
      sandbox.json(["host", "list"]),
      sandbox.run(["host", "list"]),
      sandbox.json(["agent", "status"]),
      sandbox.run(["agent", "status"]),
    ]);
    expect(hosts).toMatchObject({
      exitCode: 0,
      value: { hosts: [{ id: "local", name: "here", reachability: "REACHABILITY_CONNECTED" }] },
    });
    expect(words.stdout).toMatch(/^here +connected +observe only/m);
    expect(agent).toMatchObject({
      value: { agent: { host: { name: "here" } }, status: { info: { backend: "BACKEND_KIND_OBSERVE" } } },
    });
    expect(status.stdout).toMatch(/^Backend +observe only: /m);
  });

  it("shows flows once and follows them until it is told to stop", async () => {
    const once = await sandbox.run(["flows", "--format", "json", "--limit", "5"]);
    expect(once).toMatchObject({ exitCode: 0, stdout: "" });
    const following = sandbox.start(["flows", "--follow"]);
    await following.waitFor("DECIDED BY");
    expect(await following.stop("SIGINT")).toBe(0);
  });
});

describe("the meshes of hosts", () => {
  it("are told by a real agent, with how healing stands; a mesh that is not there takes no peer", async () => {
    const cli = new InProcessCli(sandbox.socketPath);
    try {
      const { exitCode, value } = await cli.json("mesh", "status");
      expect(exitCode).toBe(0);
      expect(value).toMatchObject({ topology: { nodes: [{ id: "host/here", hostId: "local" }] } });
      const settings = await cli.run("mesh", "heal", "settings");
      expect(settings.stdout).toMatch(/(nobody|here) +1 +suggest +5\.0 s +60 s +12/);
      const added = await cli.run("mesh", "peer", "add", "local", "tls://192.0.2.1:4443", "--dry-run");
      expect(added).toMatchObject({ stdout: "", stderr: expect.stringMatching(/mesh|yggdrasil/i) });
      expect(added.exitCode).not.toBe(0);
    } finally {
      cli.dispose();
    }
  });
});

// Each test starts several programs.
describe("the audit log of hosts", { timeout: 300_000 }, () => {
  it("is copied, listed, verified, and said to be cut short when it was", async () => {
    expect(await sandbox.json(["audit", "verify"])).toMatchObject({
      exitCode: 0,
      value: { hosts: [{ hostId: "local", state: "AUDIT_STATE_VERIFIED" }, { hostId: "console" }] },
    });
    const { value } = await sandbox.json(["audit", "list", "--action", "confirm", "--hosts", "here"]);
    const done = expect.objectContaining({ action: "confirm", outcome: "done" });
    const confirmed = expect.objectContaining({ hostName: "here", entry: done });
    expect(value).toMatchObject({ entries: expect.arrayContaining([confirmed]) });
    expect((await sandbox.run(["audit", "list"])).stdout).toMatch(/^\d{4}-\S+ +here +\d+ .* confirm +done/m);
    expect((await sandbox.run(["audit", "list", "--hosts", "hree"])).stderr).toContain("here");

    const log = sandbox.path("agent/audit/0000000000000001.ndjson");
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    // Cut under the hands of the agent: what it writes next goes after the end that is there now.
    writeFileSync(log, `${lines.slice(0, -2).join("\n")}\n`);
    const cut = await sandbox.run(["audit", "verify"]);
    expect([cut.exitCode, cut.stdout]).toEqual([1, expect.stringMatching(/here +(cut short|broken) /)]);
    expect((await sandbox.run(["audit", "accept", "here"])).exitCode).toBe(2);
    expect(await sandbox.run(["audit", "accept", "here", "--reason", "a test cut it"])).toMatchObject({ exitCode: 0 });
    expect((await sandbox.run(["audit", "verify"])).exitCode).toBe(0);
  });
});
