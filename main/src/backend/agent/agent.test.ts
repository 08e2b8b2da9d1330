import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../ports.ts";
import { FakeAgent } from "../testing/fake-agent.ts";
import { AgentConnection } from "./agent-connection.ts";
import { agentFailure } from "./agent-failure.ts";
import { retryDelayMs } from "./reachability.ts";
import { reachFailure, UnixSocketDialer } from "./unix-dialer.ts";

let directory: string;
let path: string;
let server: Server | null = null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-agent-"));
  path = join(directory, "agent.sock");
});
afterEach(async () => {
  const listening = server;
  if (listening) await new Promise((resolve) => listening.close(resolve));
  server = null;
  rmSync(directory, { recursive: true });
});

async function listen(): Promise<Server> {
  const created = createServer((socket) => socket.destroy());
  server = created;
  await new Promise<void>((resolve) => created.listen(path, resolve));
  return created;
}

const dialFailure = () =>
  new UnixSocketDialer(path).dial().then(
    () => null,
    (error: unknown) => error as Failure,
  );

const isRoot = process.getuid?.() === 0;

describe("reaching an agent", () => {
  it("says when there is no socket", async () => {
    expect(await dialFailure()).toMatchObject({ code: ErrorCode.AGENT_UNREACHABLE, retryable: true });
    expect((await dialFailure())?.message).toContain("there is no socket");
  });

  it("says when the socket is not one", async () => {
    writeFileSync(path, "");
    expect((await dialFailure())?.message).toContain("is not a socket");
  });

  it("says when access is denied", () => {
    const denied = Object.assign(new Error("denied"), { code: "EACCES" });
    expect(reachFailure(denied, path)).toMatchObject({ code: ErrorCode.PERMISSION_DENIED, retryable: false });
    expect(reachFailure(denied, path).hint).toContain("group `wardline`");
  });

  it.skipIf(!isRoot)("does not talk to a socket of another user (needs root)", async () => {
    let contacted = 0;
    (await listen()).on("connection", () => contacted++);
    chownSync(path, 12_345, 0);
    const failure = await dialFailure();
    expect(failure?.code).toBe(ErrorCode.PERMISSION_DENIED);
    expect(failure?.message).toContain("user 12345");
    chownSync(path, 0, 0);
    chownSync(directory, 12_345, 0);
    expect((await dialFailure())?.code).toBe(ErrorCode.PERMISSION_DENIED);
    expect(contacted).toBe(0);
  });

  it("fails the call when the agent hangs up instead of answering", async () => {
    await listen();
    const link = await new UnixSocketDialer(path).dial();
    const failure = await link.client.handshake({}).then(
      () => null,
      (error: unknown) => agentFailure(error, "alpha"),
    );
    expect(failure).toMatchObject({ code: ErrorCode.AGENT_UNREACHABLE, host: "alpha" });
    link.close();
  });
});

describe("failures of calls", () => {
  it("come whole from the agent, with the host added", () => {
    const sent = new Failure({ code: ErrorCode.POLICY_UNSUPPORTED, message: "No pf here.", hint: "Use eBPF." });
    expect(agentFailure(failureToConnectError(sent), "alpha")).toMatchObject({
      code: ErrorCode.POLICY_UNSUPPORTED,
      message: "No pf here.",
      hint: "Use eBPF.",
      host: "alpha",
    });
  });

  it.each([
    [Code.Unavailable, ErrorCode.AGENT_UNREACHABLE, true],
    [Code.DeadlineExceeded, ErrorCode.DEADLINE_EXCEEDED, true],
    [Code.Unimplemented, ErrorCode.VERSION_MISMATCH, false],
    [Code.PermissionDenied, ErrorCode.PERMISSION_DENIED, false],
    [Code.ResourceExhausted, ErrorCode.TOO_LARGE, false],
    [Code.Internal, ErrorCode.INTERNAL, false],
  ])("have a meaning for status %s", (status, code, retryable) => {
    expect(agentFailure(new ConnectError("x", status), "alpha")).toMatchObject({ code, retryable });
  });
});

describe("the connection", () => {
  it("waits longer after each attempt, up to a bound, and never as long as others", () => {
    const delays = [0, 1, 2, 3, 10, 1000].map((attempt) => retryDelayMs(attempt, () => 1));
    expect(delays).toEqual([250, 500, 1000, 2000, 5000, 5000]);
    expect(retryDelayMs(3, () => 0)).toBe(1000);
  });

  it("is lost when the agent says nothing any more", async () => {
    const agent = new FakeAgent();
    const connection = new AgentConnection({
      dialer: agent,
      clock: systemClock,
      logger: silentLogger,
      statusSilenceMs: 50,
    });
    connection.start();
    try {
      await connection.client();
      await expect.poll(() => connection.state.reachability).toBe(Reachability.LOST);
      expect(connection.state.problem?.message).toContain("has sent nothing");
    } finally {
      await connection.close();
    }
  });

  it("tries at once when asked to", async () => {
    const agent = new FakeAgent();
    agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone" });
    const connection = new AgentConnection({
      dialer: agent,
      clock: systemClock,
      logger: silentLogger,
      random: () => 1,
    });
    connection.start();
    try {
      await expect(connection.client()).rejects.toThrow("gone");
      agent.dialFailure = null;
      connection.retryNow();
      await expect.poll(() => connection.state.reachability).toBe(Reachability.CONNECTED);
    } finally {
      await connection.close();
    }
  });
});
