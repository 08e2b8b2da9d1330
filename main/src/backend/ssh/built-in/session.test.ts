/** What can go wrong on a connection that stands, and the ways through other machines, on real sshds. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import { freePort, standStill } from "@wardline/domain/testing/machine";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { fixedCommand } from "../fixed-command.ts";
import { HostKeyFailure } from "../host-key-failure.ts";
import { accessTo, connectOptions, failureOf, newPerson, type Person } from "../testing/person.ts";
import { type RealSshd, type RealSshdOptions, sshdProblem, startSshd } from "../testing/real-sshd.ts";
import type { BuiltInSession } from "./session.ts";

const problem = sshdProblem();

describe.skipIf(problem !== null)(`an SSH connection${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  let sshd: RealSshd;
  const open: BuiltInSession[] = [];
  const started: RealSshd[] = [];

  beforeAll(async () => {
    person = newPerson();
    sshd = await start();
    started.pop();
  });
  afterEach(async () => {
    person.writeConfig();
    for (const session of open.splice(0)) session.close();
    for (const each of started.splice(0)) await each.stop();
  });
  afterAll(async () => {
    await sshd?.stop();
    person?.remove();
  });

  async function start(options: RealSshdOptions = {}): Promise<RealSshd> {
    const each = await startSshd({ authorizedKeys: [person.publicKey], ...options });
    started.push(each);
    person.knows(each);
    return each;
  }
  async function connect(to = sshd, more = {}): Promise<BuiltInSession> {
    const session = (await person.connector().connect(accessTo(to, more), connectOptions())) as BuiltInSession;
    open.push(session);
    return session;
  }

  describe("through machines in between", () => {
    it("goes from one to the next, each with its own key, and ends with its last channel", async () => {
      const gate = await start();
      const inner = await start();
      const session = await connect(inner, { jump: `ada@127.0.0.1:${gate.port},127.0.0.1:${sshd.port}` });
      expect(session.summary.via).toEqual([`ada@127.0.0.1:${gate.port}`, `ada@127.0.0.1:${sshd.port}`]);
      expect(session.summary.command).toContain(`-J ada@127.0.0.1:${gate.port},127.0.0.1:${sshd.port}`);
      expect((await session.run(fixedCommand("echo $SSH_CONNECTION"))).stdout).toContain(`127.0.0.1 ${inner.port}`);
      expect(gate.log()).toContain("Accepted publickey for ada");
      await gate.stop();
      await aborted(session.ended);
      expect((session.ended.reason as Failure).code).toBe(ErrorCode.AGENT_UNREACHABLE);
    });

    it("follows ProxyJump of ~/.ssh/config, and ends where it leads in a circle", async () => {
      const gate = await start();
      person.writeConfig(
        "Host gate",
        "HostName 127.0.0.1",
        `Port ${gate.port}`,
        "Host inner",
        "HostName 127.0.0.1",
        `Port ${sshd.port}`,
        "ProxyJump gate",
      );
      const session = await connect(sshd, { address: "inner", port: 0 });
      expect(session.summary.via).toEqual([`ada@127.0.0.1:${gate.port}`]);
      person.writeConfig("Host a", "ProxyJump b", "Host b", "ProxyJump a");
      const failure = await failureOf(person.connector().connect(accessTo(sshd, { address: "a" }), connectOptions()));
      expect([failure.code, /circle/.test(failure.message)]).toEqual([ErrorCode.INVALID_ARGUMENT, true]);
    });

    it("says at which machine it ended, and why", async () => {
      const stranger = await startSshd({ authorizedKeys: [person.publicKey] });
      started.push(stranger);
      const viaStranger = await failureOf(connect(sshd, { jump: `127.0.0.1:${stranger.port}` }));
      expect(viaStranger).toBeInstanceOf(HostKeyFailure);
      expect(viaStranger.code).toBe(ErrorCode.HOST_KEY_UNKNOWN);
      expect(viaStranger.message).toMatch(/^On the way through 127\.0\.0\.1: /);
      const closed = { port: await freePort() };
      const refused = await failureOf(connect(closed as RealSshd, { jump: `127.0.0.1:${sshd.port}` }));
      expect(refused.code).toBe(ErrorCode.HOST_UNREACHABLE);
      expect(refused.message).toContain(`127.0.0.1 could not reach 127.0.0.1:${closed.port}: Connection refused`);
      const strict = await start({ config: ["AllowTcpForwarding no"] });
      const forbidden = await failureOf(connect(sshd, { jump: `127.0.0.1:${strict.port}` }));
      expect(forbidden.message).toContain("127.0.0.1 forbids connections to other machines");
    });
  });

  it("works without a terminal where the server gives none", async () => {
    const strict = await start({ config: ["PermitTTY no"] });
    const session = await connect(strict);
    expect(session.holdsTerminal).toBe(false);
    expect((await session.run(fixedCommand("echo works"))).stdout).toBe("works\n");
  });

  it("says when sockets may not be reached although the agent listens, and when it does not listen", async () => {
    const strict = await start({ config: ["AllowStreamLocalForwarding no"] });
    const session = await connect(strict);
    // As the agent does: bound in a private directory, renamed into place.
    const path = join(strict.dir, "run", "agent.sock");
    mkdirSync(join(strict.dir, "run", "private"), { recursive: true });
    const server = createServer();
    server.listen(join(strict.dir, "run", "private", "agent.sock"));
    await once(server, "listening");
    spawnSync("mv", [join(strict.dir, "run", "private", "agent.sock"), path]);
    chmodSync(path, 0o666);
    const forbidden = await failureOf(session.openSocket(path));
    expect(forbidden.code).toBe(ErrorCode.HOST_UNSUPPORTED);
    expect(forbidden.hint).toContain("AllowStreamLocalForwarding");
    server.close();
    await once(server, "close");
    const dead = await failureOf(session.openSocket(path));
    expect(dead.code).toBe(ErrorCode.AGENT_MISSING);
    expect(dead.message).toContain("nobody listens");
  });

  it("ends with a reason when its server dies, and everything on it with it", async () => {
    const mortal = await start();
    const session = await connect(mortal);
    const begun = Promise.withResolvers<void>();
    const running = failureOf(session.run(fixedCommand("sleep 60")));
    const sending = failureOf(
      session.upload(Buffer.alloc(200_000_000), "large", { onProgress: () => begun.resolve() }),
    );
    await begun.promise;
    await mortal.stop();
    expect((await running).code).toBe(ErrorCode.AGENT_UNREACHABLE);
    expect((await sending).code).toBe(ErrorCode.AGENT_UNREACHABLE);
    expect(session.ended.aborted).toBe(true);
    expect((await failureOf(session.run(fixedCommand("true")))).code).toBe(ErrorCode.AGENT_UNREACHABLE);
    expect((await failureOf(session.openSocket("/run/x.sock"))).code).toBe(ErrorCode.AGENT_UNREACHABLE);
  });

  it("notices a machine that went silent", async () => {
    const frozen = await start();
    person.writeConfig("ServerAliveInterval 1", "ServerAliveCountMax 1");
    const session = await connect(frozen);
    // With whatever it started: a session gets a name of its own only some time after the login.
    const daemons = spawnSync("pgrep", ["-f", frozen.dir], { encoding: "utf8" }).stdout.trim().split("\n");
    const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isBelow(name, daemons));
    expect(all.length).toBeGreaterThan(daemons.length);
    await Promise.all(all.map((pid) => standStill(Number(pid))));
    await aborted(session.ended);
    expect((session.ended.reason as Failure).message).toContain("Keepalive timeout");
  });

  it("ends a command that writes too much, takes too long, or is canceled", async () => {
    const session = await connect();
    const flood = await failureOf(session.run(fixedCommand("yes"), { maxOutputBytes: 100_000 }));
    expect(flood.code).toBe(ErrorCode.TOO_LARGE);
    const slow = await failureOf(session.run(fixedCommand("exec sleep 61"), { timeoutMs: 200 }));
    expect(slow.code).toBe(ErrorCode.DEADLINE_EXCEEDED);
    const stop = new AbortController();
    const lines: string[] = [];
    const onLine = (line: string) => {
      lines.push(line);
      stop.abort();
    };
    const canceled = await failureOf(
      session.run(fixedCommand("echo one; exec sleep 61"), { signal: stop.signal, onLine }),
    );
    expect([canceled.code, lines]).toEqual([ErrorCode.CANCELED, ["one"]]);
    let left = "";
    for (let attempt = 0; attempt < 1_000; attempt++) {
      left = (await session.run(fixedCommand("ps -u ada -o args= | grep -c '[s]leep 61'"))).stdout.trim();
      if (left === "0") break;
    }
    expect(left).toBe("0");
    expect(await session.run(fixedCommand("kill -9 $$"))).toMatchObject({ exitCode: null });
  });

  it("runs many commands at once, and is closed once", async () => {
    const session = await connect();
    const results = await Promise.all(
      Array.from({ length: 25 }, () => session.run(fixedCommand("cat"), { input: Buffer.from("x") })),
    );
    expect(results.every(({ stdout, exitCode }) => stdout === "x" && exitCode === 0)).toBe(true);
    session.close();
    session.close();
    expect((session.ended.reason as Failure).code).toBe(ErrorCode.CANCELED);
  });

  it("works where a server has room for one session, and says when there is none", async () => {
    const narrow = await start({ config: ["MaxSessions 1"] });
    const session = await connect(narrow);
    expect(session.holdsTerminal).toBe(true);
    expect((await session.run(fixedCommand("echo one"))).stdout).toBe("one\n");
    expect((await session.run(fixedCommand("echo two"))).stdout).toBe("two\n");
    const filing = await connect(narrow);
    await filing.upload(Buffer.from("x"), "x", {});
    expect(await filing.owner("/etc/passwd")).toMatchObject({ userId: 0 });
    const none = await start({ config: ["MaxSessions 0"] });
    const useless = await failureOf((await connect(none)).run(fixedCommand("true")));
    expect([useless.code, useless.hint]).toEqual([ErrorCode.HOST_UNSUPPORTED, expect.stringContaining("MaxSessions")]);
  });

  it("leaves nothing of an upload that is canceled, refused, or has no room", async () => {
    const session = await connect();
    const stop = new AbortController();
    const canceled = failureOf(
      session.upload(Buffer.alloc(50_000_000), "big", { signal: stop.signal, onProgress: () => stop.abort() }),
    );
    expect((await canceled).code).toBe(ErrorCode.CANCELED);
    expect((await failureOf(session.upload(Buffer.from("x"), "/etc/wardline-test", {}))).code).toBe(
      ErrorCode.PERMISSION_DENIED,
    );
    expect((await failureOf(session.upload(Buffer.from("x"), "no/such/dir", {}))).code).toBe(ErrorCode.NOT_FOUND);
    for (const bad of ["", "dir/", "../up", "a\0b"]) {
      expect((await failureOf(session.upload(Buffer.from("x"), bad, {}))).code).toBe(ErrorCode.INVALID_ARGUMENT);
    }
    expect(readdirSync(sshd.home)).toEqual([]);
    await session.upload(Buffer.alloc(0), "empty", { mode: 0o644 });
    expect(readFileSync(join(sshd.home, "empty"))).toHaveLength(0);
  });

  it("says when there is no SFTP, and when a disk is full", async () => {
    const strict = await start({ config: ["Subsystem sftp /nonexistent"] });
    expect((await failureOf((await connect(strict)).upload(Buffer.from("x"), "x", {}))).code).toBe(
      ErrorCode.HOST_UNSUPPORTED,
    );
    const full = await start({ smallHome: true });
    const session = await connect(full);
    expect((await failureOf(session.upload(Buffer.alloc(1_000_000), "x", {}))).code).toBe(ErrorCode.DISK_FULL);
    expect((await session.run(fixedCommand("ls -A"))).stdout).toBe("");
  });
});

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** Whether a process has one of the others above it. */
function isBelow(pid: string, others: readonly string[]): boolean {
  try {
    for (let at = pid; Number(at) > 1; ) {
      if (others.includes(at)) return true;
      at = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${at}/status`, "utf8"))?.[1] ?? "0";
    }
  } catch {
    // It has ended meanwhile.
  }
  return false;
}
