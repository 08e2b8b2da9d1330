/** `wardline host …` as a person and as a script use it, on a real sshd with an agent behind it. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Http2Server } from "node:http2";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newPerson, type Person } from "../backend/ssh/testing/person.ts";
import { generateKey, type RealSshd, sshdProblem, startSshd, TEST_USER } from "../backend/ssh/testing/real-sshd.ts";
import { FakeAgent } from "../backend/testing/fake-agent.ts";
import { CliSandbox } from "./testing/run-cli.ts";

const PROGRAM = fileURLToPath(new URL("../../../bin/wardline", import.meta.url));
const problem = sshdProblem();
const before = { HOME: process.env.HOME, SSH_AUTH_SOCK: process.env.SSH_AUTH_SOCK };

const title = `hosts on the command line${problem ? ` (${problem})` : ""}`;

// Each test starts several programs.
describe.skipIf(problem !== null)(title, { timeout: 300_000 }, () => {
  const sandbox = new CliSandbox();
  let sshd: RealSshd;
  let person: Person;
  let server: Http2Server;
  let agent: FakeAgent;
  let socketPath: string;

  beforeAll(async () => {
    person = newPerson();
    const locked = join(person.home, ".ssh", "id_locked");
    generateKey(locked, "ed25519", "open sesame");
    const lockedKey = readFileSync(`${locked}.pub`, "utf8").trim();
    sshd = await startSshd({ authorizedKeys: [person.publicKey, lockedKey] });
    mkdirSync(join(sshd.dir, "agent"), { mode: 0o755 });
    socketPath = join(sshd.dir, "agent", "agent.sock");
    agent = new FakeAgent();
    agent.hostName = "remote-1";
    server = await agent.serve(socketPath);
    process.env.HOME = person.home;
    delete process.env.SSH_AUTH_SOCK;
  });
  afterAll(async () => {
    Object.assign(process.env, before.HOME === undefined ? {} : { HOME: before.HOME });
    if (before.SSH_AUTH_SOCK !== undefined) process.env.SSH_AUTH_SOCK = before.SSH_AUTH_SOCK;
    server?.close();
    await sandbox.dispose();
    await sshd?.stop();
    person?.remove();
  });

  const way = () => ["--user", TEST_USER, "--port", String(sshd.port), "--agent-socket-path", socketPath];

  it("are added, and the key of first contact is for a person to decide", async () => {
    const added = await sandbox.run([
      "host",
      "add",
      "127.0.0.1",
      "--alias",
      "far",
      ...way(),
      "--group",
      "db",
      "--label",
      "app=db",
    ]);
    expect(added.exitCode).toBe(0);
    expect(added.stdout).toMatch(/✗ host key[\s\S]*far is managed now\./);
    expect(added.stderr).toContain("host check far");

    const asked = await sandbox.run(["host", "trust", "far"]);
    expect(asked.exitCode).toBe(2);
    const [fingerprint = ""] = /SHA256:[A-Za-z0-9+/]{43}/.exec(asked.stderr) ?? [];
    expect((await sandbox.json(["host", "trust", "far", "--fingerprint", fingerprint])).value).toEqual({
      trusted: true,
      path: join(person.home, ".ssh", "known_hosts"),
    });
  });

  it("are checked, listed and shown", async () => {
    const [checked, listed, shown, slip] = await Promise.all([
      sandbox.run(["host", "check", "far"]),
      sandbox.json(["host", "list", "--hosts", "group:db,app=db"]),
      sandbox.run(["host", "show", "far"]),
      sandbox.run(["host", "list", "--no-connect", "--hosts", "group:bd"]),
    ]);
    expect(checked.exitCode).toBe(0);
    expect(checked.stdout).toMatch(/✓ permission +test \(1000\): operator/);
    expect(listed).toMatchObject({
      exitCode: 0,
      value: {
        hosts: [
          { alias: "far", name: "remote-1", reachability: "REACHABILITY_CONNECTED", drift: "DRIFT_NEVER_APPLIED" },
        ],
      },
    });
    expect(shown.stdout).toMatch(/^Labels +app=db, kubernetes.io\/hostname=remote-1$/m);
    expect(shown.stdout).toMatch(/^Command +ssh .*127\.0\.0\.1/m);
    expect([slip.exitCode, slip.stderr]).toEqual([2, expect.stringContaining('no group "bd"')]);
  });

  it("are settled and cut off together: the one that is away does not stop the other", async () => {
    const cut = ["quarantine", "web", "--hosts", "far+local"];
    const both = await sandbox.run(["quarantine", "web", "--host", "far", "--hosts", "far"]);
    const unsaid = await sandbox.run(cut);
    expect([both.exitCode, unsaid.exitCode]).toEqual([2, 2]);
    expect(unsaid.stderr).toContain("Type: quarantine 2 hosts");
    expect(await sandbox.json([...cut, "--typed", "quarantine 2 hosts"])).toMatchObject({
      exitCode: 3,
      value: {
        hosts: [{ error: { code: "AGENT_UNREACHABLE" } }, { host: "far", quarantines: [{ subjectKey: "web" }] }],
      },
    });
    const lifted = await sandbox.run(["quarantine", "web", "--lift", "--hosts", "far"]);
    expect([lifted.exitCode, lifted.stdout]).toEqual([0, "far: web is not in quarantine any more\n"]);
    const confirmed = await sandbox.run(["policy", "confirm", "--hosts", "far"]);
    expect([confirmed.exitCode, confirmed.stdout]).toEqual([1, "far: nothing waits\n"]);
  });

  it("are only looked at in read-only mode", async () => {
    process.env.WARDLINE_READ_ONLY = "1";
    try {
      const changing = await Promise.all([
        sandbox.json(["quarantine", "web", "--hosts", "far"]),
        sandbox.json(["host", "update", "far", "--alias", "other"]),
        sandbox.json(["panic", "open", "--yes"]),
      ]);
      for (const { exitCode, stderr } of changing) {
        expect([exitCode, stderr]).toEqual([1, expect.stringContaining('"READ_ONLY"')]);
      }
      expect(await sandbox.json(["host", "list", "--hosts", "far"])).toMatchObject({
        exitCode: 0,
        value: { hosts: [{ alias: "far", reachability: "REACHABILITY_CONNECTED" }] },
      });
    } finally {
      delete process.env.WARDLINE_READ_ONLY;
    }
    expect(agent.quarantines).toEqual([]);
  });

  it("are imported whole or not at all", async () => {
    writeFileSync(sandbox.path("hosts.ini"), `[web]\nweb[1:2] ansible_user=ops\nfar\nbad host\n`);
    const file = sandbox.path("hosts.ini");
    const [refused, asking, nothing] = await Promise.all([
      sandbox.run(["host", "import", file, "--yes"]),
      sandbox.run(["host", "import", file, "--skip-bad"]),
      sandbox.run(["host", "import"]),
    ]);
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("hosts.ini:4: WL501")]);
    expect([asking.exitCode, asking.stdout]).toEqual([2, expect.stringMatching(/^web1 +web1 +ops +web/m)]);
    expect(nothing.exitCode).toBe(2);
    const { exitCode, value } = await sandbox.json(["host", "import", file, "--skip-bad", "--yes"]);
    const added = [{ alias: "web1" }, { alias: "web2" }, { alias: "bad" }];
    expect([exitCode, value]).toMatchObject([0, { added, known: 1 }]);
    person.writeConfig("Host from-config other", "  User ops", "Host *.example.com", "  Port 2222");
    const config = await sandbox.json(["host", "import", "--ssh-config", "--yes"]);
    expect(config.value).toMatchObject({ added: [{ alias: "from-config" }, { alias: "other" }] });
  });

  it("are changed and forgotten", async () => {
    const changed = await sandbox.run([
      "host",
      "update",
      "far",
      "--alias",
      "near",
      "--group",
      "none",
      "--label",
      "tier=1",
      "--environment",
      "lab:red",
    ]);
    expect(changed).toMatchObject({ exitCode: 0, stdout: "near is changed.\n" });
    const { value } = await sandbox.json(["host", "show", "near"]);
    expect(value).toMatchObject({
      host: {
        alias: "near",
        access: { address: "127.0.0.1", port: sshd.port },
        labels: { app: "db", tier: "1" },
        environment: { name: "lab", color: "ENVIRONMENT_COLOR_RED" },
      },
    });
    const refused = await Promise.all([
      sandbox.run(["host", "add", "127.0.0.1", "--alias", "twice", ...way(), "--no-check"]),
      sandbox.run(["host", "add", "-oProxyCommand=id"]),
      sandbox.run(["host", "remove", "web2"]),
      sandbox.run(["host", "remove", "local", "--yes"]),
    ]);
    expect(refused.map(({ exitCode }) => exitCode)).toEqual([1, 2, 2, 2]);
    expect((await sandbox.run(["host", "remove", "web1", "--yes"])).stdout).toContain("stays as it is");
    expect((await sandbox.run(["host", "show", "web1"])).exitCode).toBe(2);
  });

  it.skipIf(!existsSync("/usr/bin/script"))(
    "ask at a terminal for a passphrase, which is not shown (needs script)",
    async () => {
      const key = join(person.home, ".ssh", "id_locked");
      const terminal = onTerminal(
        sandbox,
        ["host", "check", "ada@127.0.0.1"],
        [`Host 127.0.0.1`, `  Port ${sshd.port}`, "  IdentitiesOnly yes", `  IdentityFile ${key}`],
        person,
      );
      await terminal.answer(/passphrase/i, "wrong\r");
      await terminal.answer(/passphrase/i, "open sesame\r");
      const output = await terminal.ended;
      expect(output).toMatch(/✓\S* authentication/);
      expect(output).not.toContain("open sesame");
    },
  );
});

/** A run of the program with a terminal in front of it. */
function onTerminal(sandbox: CliSandbox, args: readonly string[], config: readonly string[], person: Person) {
  person.writeConfig(...config);
  const child = spawn("script", ["-qec", [PROGRAM, ...args].join(" "), "/dev/null"], {
    env: { ...process.env, WARDLINE_STATE_DIR: sandbox.stateDir, WARDLINE_AGENT_SOCKET: sandbox.socketPath },
  });
  let output = "";
  let seen = 0;
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<string>((resolve) => child.once("close", () => resolve(output)));
  return {
    ended,
    async answer(prompt: RegExp, text: string) {
      await expect.poll(() => output.slice(seen), { timeout: 40_000 }).toMatch(prompt);
      seen = output.length;
      child.stdin.write(text);
    },
  };
}
