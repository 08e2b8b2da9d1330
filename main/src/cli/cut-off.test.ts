/** panic and quarantine on the command line, with a real agent that only observes (no root needed). */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sshSession } from "./commands/ssh-session.ts";
import { CliSandbox } from "./testing/run-cli.ts";

let sandbox: CliSandbox;
beforeAll(async () => {
  delete process.env.SSH_CONNECTION;
  sandbox = new CliSandbox();
  await sandbox.startAgent();
});
afterAll(() => sandbox.dispose());

describe("panic", () => {
  it("asks first, and needs --yes where nobody can answer; letting go needs neither", async () => {
    const { exitCode, stderr } = await sandbox.run(["panic", "closed"]);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("Add --yes.") });
    const off = await sandbox.run(["panic", "off"]);
    expect(off).toMatchObject({ exitCode: 0, stdout: "here is back to its policies.\n" });
    expect((await sandbox.run(["panic", "on", "--yes"])).exitCode).toBe(2);
  });

  it("says that an observing host cannot close its network, and warns who comes over SSH", async () => {
    process.env.SSH_CONNECTION = "192.0.2.7 50000 192.0.2.1 22";
    const { exitCode, stderr } = await sandbox.run(["panic", "closed", "--yes"]);
    delete process.env.SSH_CONNECTION;
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/comes over SSH from 192\.0\.2\.7: it will be cut/);
    expect(stderr).toMatch(/cannot close its network/);
  });

  it("says in its help that the local socket is the last way in", async () => {
    expect((await sandbox.run(["panic", "--help"])).stdout).toMatch(/local socket is the last way in/);
  });
});

describe("quarantine", () => {
  it("says that an observing host cannot cut anybody off, and names what there is", async () => {
    expect(await sandbox.json(["quarantine", "host"])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("OBSERVE_ONLY"),
    });
    const unknown = await sandbox.run(["quarantine", "shop/wev"]);
    expect(unknown.exitCode).toBe(2);
    expect(unknown.stderr).toMatch(/no workload "shop\/wev".*\n.*Host\/here/);
    expect((await sandbox.run(["quarantine", "host", "--host", "elsewhere"])).exitCode).toBe(2);
  });

  it("proposes the address that the caller comes from, instead of cutting him off", async () => {
    process.env.SSH_CONNECTION = "192.0.2.7 50000 192.0.2.1 2222";
    const { exitCode, stderr } = await sandbox.run(["quarantine", "host"]);
    const insisting = await sandbox.run(["quarantine", "host", "--allow-from", "none"]);
    delete process.env.SSH_CONNECTION;
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/--allow-from 192\.0\.2\.7 --port 2222 to keep it, or --allow-from none/);
    expect(insisting.stderr).toMatch(/only observes/);
  });

  it("refuses ports without addresses and what is no port", async () => {
    expect((await sandbox.run(["quarantine", "host", "--port", "22"])).stderr).toMatch(/needs --allow-from/);
    expect((await sandbox.run(["quarantine", "host", "--port", "ssh"])).exitCode).toBe(2);
  });

  it("lists nobody", async () => {
    expect(await sandbox.run(["quarantine", "list"])).toMatchObject({
      exitCode: 0,
      stdout: "Nobody is in quarantine.\n",
    });
    expect(await sandbox.json(["quarantine", "list"])).toMatchObject({ exitCode: 0, value: { quarantines: [] } });
  });
});

describe("SSH_CONNECTION", () => {
  it.each([
    ["192.0.2.7 50000 192.0.2.1 22", { clientAddress: "192.0.2.7", serverPort: 22 }],
    ["fe80::1%eth0 50000 fe80::2 22", { clientAddress: "fe80::1", serverPort: 22 }],
    ["", null],
    ["nonsense", null],
  ])("%s", (value, expected) => {
    expect(sshSession({ SSH_CONNECTION: value })).toEqual(expected);
  });
});
