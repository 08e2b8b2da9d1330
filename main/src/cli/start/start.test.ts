import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliSandbox, type RunningCli } from "../testing/run-cli.ts";

let sandbox: CliSandbox;
beforeEach(() => {
  sandbox = new CliSandbox();
});
afterEach(() => sandbox.dispose());

interface Announcement {
  readonly url: string;
  readonly origin: string;
  readonly agent: { startedHere: boolean; processId: number; backend: string; problem: string | null };
}

async function announcementOf(console: RunningCli): Promise<Announcement> {
  await console.waitFor("}\n");
  return JSON.parse(console.stdout()) as Announcement;
}

function startConsole(agentOptions: readonly string[]): RunningCli {
  return sandbox.start(["start", "--no-open", "--format", "json", "--", ...agentOptions]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("wardline start", () => {
  it("starts an agent, serves the console and ends both", async () => {
    const console = startConsole(sandbox.agentOptions());
    const { url, origin, agent } = await announcementOf(console);
    expect(agent).toMatchObject({ startedHere: true, backend: "observe", problem: null });
    expect(isAlive(agent.processId)).toBe(true);

    const page = await fetch(url, { redirect: "manual" });
    expect(page.status).toBeLessThan(400);
    expect((await fetch(`${origin}/`)).status).toBeGreaterThanOrEqual(400);

    expect(await console.stop("SIGINT")).toBe(0);
    expect(isAlive(agent.processId)).toBe(false);
    expect(console.stderr()).toContain("Stopped, with the agent. Nothing is enforced on this machine.");
    expect(existsSync(sandbox.socketPath)).toBe(false);
  });

  it("uses an agent that runs already and leaves it running", async () => {
    const agent = await sandbox.startAgent();
    const console = startConsole([]);
    expect(await announcementOf(console)).toMatchObject({ agent: { startedHere: false, processId: agent.child.pid } });
    expect(await console.stop("SIGTERM")).toBe(0);
    expect(console.stderr()).toContain("the agent goes on running");
    expect(isAlive(agent.child.pid ?? 0)).toBe(true);
  });

  it("opens without an agent too, with the agent's last words", async () => {
    const console = startConsole(["--backend", "nonsense"]);
    const { agent } = await announcementOf(console);
    expect(agent.startedHere).toBe(false);
    expect(agent.problem).toMatch(/The agent ended at once \(exit code \d+\)\. Its last words:\n/);
    expect(await console.stop("SIGINT")).toBe(0);
  });

  it("starts the agent again when it dies", async () => {
    const console = startConsole(sandbox.agentOptions());
    const { agent } = await announcementOf(console);
    process.kill(agent.processId, "SIGKILL");
    await console.waitFor("It is started again in 1 s");
    const status = async () => (await sandbox.json(["agent", "status"])).exitCode;
    await expect.poll(status, { timeout: 40_000, interval: 500 }).toBe(0);
    expect(await console.stop("SIGINT")).toBe(0);
    expect(await status()).toBe(3);
  });

  it("prints for people how to open and how to stop", async () => {
    const console = sandbox.start(["start", "--no-open", "--", ...sandbox.agentOptions()]);
    await console.waitFor("Ctrl-C");
    expect(console.stdout()).toMatch(/Console {2}http:\/\/127\.0\.0\.1:\d+\/\?token=/);
    expect(console.stdout()).toMatch(
      /Agent {4}observe only, process \d+, started by this command\n +Nothing is enforced: /,
    );
    await console.stop();
  });

  it("says so when its port is taken, and leaves no agent behind", async () => {
    const first = startConsole(sandbox.agentOptions());
    const { origin } = await announcementOf(first);
    const port = new URL(origin).port;
    const second = await sandbox.run(["start", "--no-open", "--listen-port", port]);
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain(`Port ${port}`);
    await first.stop();
  });
});

describe("wardline agent release", () => {
  it("asks first; with a running agent and without one it removes every rule", async () => {
    expect(await sandbox.run(["agent", "release"])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("--yes"),
    });
    const agent = await sandbox.startAgent();
    expect(await sandbox.json(["agent", "release", "--yes"])).toMatchObject({
      exitCode: 0,
      value: { released: true, host: "here" },
    });
    await agent.stop("SIGTERM");
    const alone = await sandbox.run(["agent", "release", "--yes", "--", ...sandbox.agentOptions()]);
    expect(alone).toMatchObject({ exitCode: 0, stdout: "Released: here enforces nothing now.\n" });
    expect(existsSync(sandbox.socketPath)).toBe(false);
  });
});
