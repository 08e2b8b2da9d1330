/** A console, a real sshd and an agent behind it: from first contact to a connection, and what is said when it fails. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Http2Server } from "node:http2";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { type CheckHostResponse, CheckStep, StepState } from "@wardline/api/wardline/console/v1/fleet";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { Role } from "@wardline/api/wardline/v1/host";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { NOBODY } from "../questions/questions.ts";
import { newPerson, type Person } from "../ssh/testing/person.ts";
import { type RealSshd, sshdProblem, startSshd, TEST_USER } from "../ssh/testing/real-sshd.ts";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";
import { FakeAgent } from "../testing/fake-agent.ts";

const problem = sshdProblem();

describe.skipIf(problem !== null)(`hosts over SSH${problem ? ` (${problem})` : ""}`, () => {
  let sshd: RealSshd;
  let person: Person;
  let tester: TestConsole;
  let agent: FakeAgent;
  let server: Http2Server;
  let socketPath: string;

  beforeAll(async () => {
    person = newPerson();
    sshd = await startSshd({ authorizedKeys: [person.publicKey] });
    mkdirSync(join(sshd.dir, "agent"), { mode: 0o755 });
    socketPath = join(sshd.dir, "agent", "agent.sock");
    agent = new FakeAgent();
    agent.hostName = "remote-1";
    server = await agent.serve(socketPath);
    chmodSync(join(sshd.dir, "agent"), 0o755);
  });
  afterAll(async () => {
    server?.close();
    await sshd?.stop();
    person?.remove();
  });
  beforeEach(() => {
    writeFileSync(join(person.home, ".ssh", "known_hosts"), "");
    tester = startTestConsole(new FakeAgent(), {
      asker: NOBODY,
      ssh: { environment: { homeDir: person.home, environment: {}, systemConfigPath: null, localUser: TEST_USER } },
    });
  });
  afterEach(() => tester.close());

  const access = (more: object = {}) => ({
    address: "127.0.0.1",
    port: sshd.port,
    user: TEST_USER,
    agentSocket: socketPath,
    ...more,
  });

  const ends = (messages: readonly CheckHostResponse[]) =>
    messages
      .filter(({ state }) => state !== StepState.RUNNING)
      .map(({ step, state }) => [CheckStep[step], StepState[state]]);

  async function addHost(more: object = {}): Promise<string> {
    const { hostIds } = await tester.fleet.addHosts({ hosts: [{ alias: "far", access: access(more) }] });
    return hostIds[0] ?? "";
  }

  it("are checked step by step, trusted by the key that was looked at, and connected", async () => {
    const hostId = await addHost();
    const first = await collect(tester.fleet.checkHost({ hostId }));
    const stopped = first.find(({ state }) => state === StepState.FAILED);
    expect(stopped).toMatchObject({
      step: CheckStep.HOST_KEY,
      error: { code: ErrorCode.HOST_KEY_UNKNOWN },
      shownKey: { keyType: "ssh-ed25519", port: sshd.port },
    });
    expect(ends(first).slice(-6)).toEqual(
      ["AUTHENTICATION", "PLATFORM", "PRIVILEGE", "AGENT", "VERSION", "PERMISSION"].map((step) => [step, "SKIPPED"]),
    );
    expect(await tester.fleet.connectHost({ hostId })).toMatchObject({ reachability: Reachability.HOST_KEY });

    const other = `SHA256:${"A".repeat(43)}`;
    const refused = await tester.fleet.trustHostKey({ hostId, fingerprint: other }).catch(ConnectError.from);
    expect(failureFromConnectError(refused)?.code).toBe(ErrorCode.HOST_KEY_CHANGED);
    expect(readFileSync(join(person.home, ".ssh", "known_hosts"), "utf8")).toBe("");
    await tester.fleet.trustHostKey({ hostId, fingerprint: stopped?.shownKey?.fingerprint ?? "" });

    const second = await collect(tester.fleet.checkHost({ hostId }));
    expect(ends(second)).toEqual(
      [
        "CONFIGURATION",
        "NAME",
        "ROUTE",
        "PORT",
        "HOST_KEY",
        "AUTHENTICATION",
        "PLATFORM",
        "PRIVILEGE",
        "AGENT",
        "VERSION",
        "PERMISSION",
      ].map((step) => [step, "PASSED"]),
    );
    expect(second.at(-1)?.platform).toMatchObject({ operatingSystem: "Linux", architecture: "x64", agentVersion: "" });
    expect(second.find(({ step, state }) => step === CheckStep.AGENT && state === StepState.PASSED)?.detail).toContain(
      "0.1.0",
    );

    expect(await tester.fleet.connectHost({ hostId })).toMatchObject({ reachability: Reachability.CONNECTED });
    const { connection } = tester.backend.registry.byId(hostId);
    const shown = tester.backend.services.hosts.describe(tester.backend.registry.byId(hostId));
    expect(shown).toMatchObject({ name: "remote-1", alias: "far", ssh: { user: TEST_USER, port: sshd.port } });
    expect(connection.session?.summary.hostKeyFingerprint).toBe(stopped?.shownKey?.fingerprint);
    const needs = tester.backend.origins.of(hostId);
    expect(needs).toEqual({ clientAddress: "127.0.0.1", serverPort: sshd.port });
  });

  it("say which step fails: name, port, login, agent", async () => {
    person.knows(sshd);
    const failing = async (way: object) => {
      const messages = await collect(tester.fleet.checkHost({ access: access(way) }));
      const failed = messages.find(({ state }) => state === StepState.FAILED);
      return [CheckStep[failed?.step ?? 0], ErrorCode[failed?.error?.code ?? 0], failed?.error?.hint !== ""];
    };
    expect(await failing({ address: "no-such-machine.invalid" })).toEqual(["NAME", "HOST_UNREACHABLE", true]);
    expect(await failing({ port: 1 })).toEqual(["PORT", "HOST_UNREACHABLE", true]);
    expect(await failing({ user: "nobody-there" })).toEqual(["AUTHENTICATION", "SSH_AUTHENTICATION_FAILED", true]);
    expect(await failing({ agentSocket: "/nonexistent/agent.sock" })).toEqual(["AGENT", "AGENT_MISSING", true]);
  });

  it("name an older and a newer agent, and one that gives no role", async () => {
    person.knows(sshd);
    const hostId = await addHost();
    const failed = async () => {
      const messages = await collect(tester.fleet.checkHost({ hostId }));
      return messages.find(({ state }) => state === StepState.FAILED);
    };
    Object.assign(agent, { apiMin: 7, apiMax: 9 });
    try {
      expect(await failed()).toMatchObject({ step: CheckStep.VERSION, error: { code: ErrorCode.VERSION_MISMATCH } });
      expect(await tester.fleet.connectHost({ hostId })).toMatchObject({ reachability: Reachability.VERSION_MISMATCH });
    } finally {
      Object.assign(agent, { apiMin: 1, apiMax: 1 });
    }
    agent.role = Role.UNSPECIFIED;
    try {
      expect(await failed()).toMatchObject({
        step: CheckStep.PERMISSION,
        error: { code: ErrorCode.PERMISSION_DENIED },
      });
    } finally {
      agent.role = Role.OPERATOR;
    }
    expect(await failed()).toBeUndefined();
  });

  it("are lost with their sshd, and named by cause when they do not come back", async () => {
    person.knows(sshd);
    const own = await startSshd({ authorizedKeys: [person.publicKey] });
    try {
      person.knows(own);
      const { hostIds } = await tester.fleet.addHosts({
        hosts: [{ alias: "far", access: access({ port: own.port }) }],
      });
      const [hostId = ""] = hostIds;
      expect(await tester.fleet.connectHost({ hostId })).toMatchObject({ reachability: Reachability.CONNECTED });
      const { connection } = tester.backend.registry.byId(hostId);
      const release = connection.need();
      await own.stop();
      await expect.poll(() => connection.state.reachability).toBe(Reachability.UNREACHABLE);
      expect(connection.state.problem?.code).toBe(ErrorCode.HOST_UNREACHABLE);
      expect(connection.state.status?.info?.name).toBe("remote-1");
      release();
    } finally {
      await own.stop().catch(() => {});
    }
  });

  it("do not answer for a machine that shows another key than before", async () => {
    const other = await startSshd();
    try {
      person.knows(other, `[127.0.0.1]:${sshd.port}`);
      const hostId = await addHost();
      expect(await tester.fleet.connectHost({ hostId })).toMatchObject({
        reachability: Reachability.HOST_KEY,
        problem: { code: ErrorCode.HOST_KEY_CHANGED },
      });
    } finally {
      await other.stop();
    }
  });
});
