/** The system's `ssh` as the second transport, against a real sshd. */
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import { freePort } from "@wardline/domain/testing/machine";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fixedCommand } from "../fixed-command.ts";
import { HostKeyFailure } from "../host-key-failure.ts";
import type { ConnectStep, SshSession } from "../ssh-session.ts";
import { accessTo, connectOptions, failureOf, newPerson, type Person } from "../testing/person.ts";
import { keygen, type RealSshd, type RealSshdOptions, sshdProblem, startSshd } from "../testing/real-sshd.ts";
import { startSshAgent } from "../testing/ssh-agent.ts";
import { parseOwner } from "./system-session.ts";

const problem = sshdProblem();
const SYSTEM = { transport: SshTransport.SYSTEM };

describe.skipIf(problem !== null)(`the system's ssh${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  let sshd: RealSshd;
  let known: string;
  const open: SshSession[] = [];
  const started: RealSshd[] = [];
  let before: readonly string[];

  beforeAll(async () => {
    person = newPerson();
    known = join(person.home, ".ssh", "known_hosts");
    sshd = await startSshd({ authorizedKeys: [person.publicKey] });
    before = leftovers();
  });
  beforeEach(() => {
    rmSync(known, { force: true });
    person.writeConfig();
    person.knows(sshd);
  });
  afterEach(async () => {
    for (const session of open.splice(0)) session.close();
    for (const each of started.splice(0)) await each.stop();
    // Every private directory goes with its session.
    for (let attempt = 0; attempt < 3_000 && leftovers().length > before.length; attempt++) await delay(20);
    expect(leftovers()).toEqual(before);
  });
  afterAll(async () => {
    await sshd?.stop();
    person?.remove();
  });

  function leftovers(): string[] {
    return readdirSync(person.home)
      .filter((name) => name.startsWith("wl-ssh-"))
      .sort();
  }
  async function start(options: RealSshdOptions = {}): Promise<RealSshd> {
    const each = await startSshd({ authorizedKeys: [person.publicKey], ...options });
    started.push(each);
    person.knows(each);
    return each;
  }
  async function connect(to: Pick<RealSshd, "port"> = sshd, more = {}, options = {}): Promise<SshSession> {
    const session = await person.connector().connect(accessTo(to, { ...SYSTEM, ...more }), connectOptions(options));
    open.push(session);
    return session;
  }
  async function refusal(to: Pick<RealSshd, "port">, more = {}): Promise<Failure> {
    return failureOf(connect(to, more));
  }

  it("connects, reports the same steps, and says what it is connected to", async () => {
    const steps: ConnectStep[] = [];
    const onStep = (step: ConnectStep, found: string | null) => void (found !== null && steps.push(step));
    const { summary } = await connect(sshd, {}, { onStep });
    expect(steps).toEqual(["configuration", "name", "route", "port", "host-key", "authentication"]);
    const fingerprint = keygen("-l", "-f", join(sshd.dir, "host_ed25519_key.pub")).split(" ")[1];
    expect(summary).toMatchObject({
      user: "ada",
      address: "127.0.0.1",
      port: sshd.port,
      transport: SshTransport.SYSTEM,
      hostKeyType: "ssh-ed25519",
      hostKeyFingerprint: fingerprint,
    });
  });

  it("carries bytes to a Unix socket and back, and leaves no socket behind here", async () => {
    const session = await connect();
    const path = join(sshd.dir, "echo:1.sock");
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    server.listen(path);
    await once(server, "listening");
    chmodSync(path, 0o777);
    for (let round = 0; round < 2; round++) {
      const stream = await session.openSocket(path);
      const received: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => received.push(chunk));
      const sent = Buffer.alloc(1_000_000, `wardline-${round}`);
      stream.end(sent);
      await once(stream, "end");
      expect(Buffer.concat(received).equals(sent)).toBe(true);
    }
    const [dir] = leftovers().filter((name) => !before.includes(name));
    expect(statSync(join(person.home, dir!)).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(person.home, dir!)).sort()).toEqual(["config", "m"]);
    server.close();
  });

  it("tells apart why a socket cannot be opened", async () => {
    const session = await connect();
    expect((await failureOf(session.openSocket(join(sshd.dir, "no.sock")))).code).toBe(ErrorCode.AGENT_MISSING);
    const strict = await start({ config: ["AllowStreamLocalForwarding no"] });
    const path = join(strict.dir, "agent.sock");
    const server = createServer();
    server.listen(path);
    await once(server, "listening");
    chmodSync(path, 0o600);
    const forbidding = await connect(strict);
    expect((await failureOf(forbidding.openSocket(path))).code).toBe(ErrorCode.PERMISSION_DENIED);
    chmodSync(path, 0o666);
    expect((await failureOf(forbidding.openSocket(path))).code).toBe(ErrorCode.HOST_UNSUPPORTED);
    server.close();
  });

  it("runs commands and uploads files as the built-in client does", async () => {
    const session = await connect();
    expect(await session.run(fixedCommand("cat; echo oops >&2; exit 3"), { input: Buffer.from("in") })).toEqual({
      exitCode: 3,
      stdout: "in",
      stderr: "oops\n",
    });
    const many = Array.from({ length: 15 }, () => session.run(fixedCommand("cat"), { input: Buffer.from("x") }));
    expect((await Promise.all(many)).every(({ stdout, exitCode }) => stdout === "x" && exitCode === 0)).toBe(true);
    const content = Buffer.alloc(700_001, "y");
    const progress: number[] = [];
    await session.upload(content, "bin it's", { mode: 0o755, onProgress: (bytes) => progress.push(bytes) });
    const path = join(sshd.home, "bin it's");
    expect(readFileSync(path).equals(content)).toBe(true);
    expect([statSync(path).mode & 0o777, progress.at(-1)]).toEqual([0o755, content.length]);
    const stop = new AbortController();
    const canceled = session.upload(Buffer.alloc(80_000_000), "big", {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    expect((await failureOf(canceled)).code).toBe(ErrorCode.CANCELED);
    expect((await failureOf(session.upload(content, "/etc/wardline", {}))).code).toBe(ErrorCode.PERMISSION_DENIED);
    expect((await failureOf(session.upload(content, "no/dir", {}))).code).toBe(ErrorCode.NOT_FOUND);
    const slow = await failureOf(session.run(fixedCommand("exec sleep 63"), { timeoutMs: 200 }));
    expect(slow.code).toBe(ErrorCode.DEADLINE_EXCEEDED);
    for (let attempt = 0; attempt < 3_000 && readdirSync(sshd.home).length > 1; attempt++) await delay(20);
    expect(readdirSync(sshd.home)).toEqual(["bin it's"]);
    expect(await session.owner("/etc/shadow")).toMatchObject({ userId: 0 });
    expect(await session.owner(path)).toEqual({ userId: 61234, mode: 0o755 });
    expect(await session.owner("/nonexistent")).toBeNull();
  });

  it("says when the disk is full", async () => {
    const full = await start({ smallHome: true });
    const session = await connect(full);
    expect((await failureOf(session.upload(Buffer.alloc(1_000_000), "x", {}))).code).toBe(ErrorCode.DISK_FULL);
    expect((await session.run(fixedCommand("ls -A"))).stdout).toBe("");
  });

  it("shows the key at first contact, trusts it, and blocks a changed and a revoked one", async () => {
    rmSync(known);
    const first = await refusal(sshd);
    expect(first).toBeInstanceOf(HostKeyFailure);
    expect(first.code).toBe(ErrorCode.HOST_KEY_UNKNOWN);
    const { shown } = first as HostKeyFailure;
    expect(keygen("-lv", "-f", join(sshd.dir, "host_ed25519_key.pub"))).toContain(shown.randomArt);
    await person.connector().trust(accessTo(sshd, SYSTEM), shown.fingerprint, connectOptions());
    (await connect()).close();
    const other = await start();
    writeFileSync(known, `[127.0.0.1]:${sshd.port} ${other.hostKey()}\n`);
    const changed = (await refusal(sshd)) as HostKeyFailure;
    expect([changed.code, changed.shown.known.length]).toEqual([ErrorCode.HOST_KEY_CHANGED, 1]);
    writeFileSync(known, `@revoked * ${sshd.hostKey()}\n`);
    expect((await refusal(sshd)).message).toContain("is revoked");
  });

  it("follows a certificate authority that vouches for the machine, and only for what it names", async () => {
    const ca = join(person.home, "ca");
    if (!existsSync(ca)) keygen("-q", "-t", "ed25519", "-N", "", "-f", ca);
    const machine = await startSshd({
      authorizedKeys: [person.publicKey],
      config: [`HostCertificate ${certifiedHostKey(ca, "127.0.0.1")}`],
      hostKeysFrom: person.home,
    });
    started.push(machine);
    const publicKey = readFileSync(`${ca}.pub`, "utf8").trim();
    writeFileSync(known, `@cert-authority [127.0.0.1]:${machine.port} ${publicKey}\n`);
    const session = await person.connector().connect(accessTo(machine), connectOptions());
    open.push(session);
    expect(session.summary.transport).toBe(SshTransport.SYSTEM);
    writeFileSync(known, `@cert-authority elsewhere ${publicKey}\n`);
    expect((await failureOf(person.connector().connect(accessTo(machine), connectOptions()))).code).toBe(
      ErrorCode.HOST_KEY_UNKNOWN,
    );
    writeFileSync(known, `@cert-authority [127.0.0.1]:${machine.port} ${publicKey}\n`);
    const fixed = await failureOf(
      person.connector().connect(accessTo(machine, { transport: SshTransport.BUILT_IN }), connectOptions()),
    );
    expect([fixed.code, fixed.message]).toEqual([
      ErrorCode.HOST_UNSUPPORTED,
      expect.stringContaining("a certificate authority vouches"),
    ]);
  });

  /** Signs a host key below the person's home, for a machine that is started with it. */
  function certifiedHostKey(ca: string, principal: string): string {
    const key = join(person.home, "host_ed25519_key");
    rmSync(key, { force: true });
    rmSync(`${key}.pub`, { force: true });
    keygen("-q", "-t", "ed25519", "-N", "", "-f", key);
    keygen("-q", "-s", ca, "-I", "machine", "-h", "-n", principal, `${key}.pub`);
    return `${key}-cert.pub`;
  }

  it("offers a certificate of the person", async () => {
    const ca = join(person.home, "user-ca");
    keygen("-q", "-t", "ed25519", "-N", "", "-f", ca);
    const key = join(person.home, ".ssh", "certified");
    keygen("-q", "-t", "ed25519", "-N", "", "-f", key);
    keygen("-q", "-s", ca, "-I", "ada", "-n", "ada", `${key}.pub`);
    const trusting = await start({ authorizedKeys: [], config: [`TrustedUserCAKeys ${ca}.pub`] });
    person.writeConfig(`IdentityFile ${key}`, "IdentitiesOnly yes");
    const session = await person.connector().connect(accessTo(trusting), connectOptions());
    open.push(session);
    expect(session.summary.transport).toBe(SshTransport.SYSTEM);
    expect(trusting.log()).toMatch(/Accepted certificate|Accepted publickey for ada .* ED25519-CERT/);
  });

  it("is taken by itself when an agent holds what the built-in client cannot use", async () => {
    const ca = join(person.home, "agent-ca");
    keygen("-q", "-t", "ed25519", "-N", "", "-f", ca);
    const key = join(person.home, "agent-key");
    keygen("-q", "-t", "ed25519", "-N", "", "-f", key);
    keygen("-q", "-s", ca, "-I", "ada", "-n", "ada", `${key}.pub`);
    const trusting = await start({ authorizedKeys: [], config: [`TrustedUserCAKeys ${ca}.pub`] });
    const agent = await startSshAgent(join(person.home, "agent"));
    try {
      agent.add(key);
      person.writeConfig("IdentityFile none", `IdentityAgent ${agent.socket}`);
      const session = await person.connector().connect(accessTo(trusting), connectOptions());
      open.push(session);
      expect(session.summary.transport).toBe(SshTransport.SYSTEM);
      const fixed = accessTo(trusting, { transport: SshTransport.BUILT_IN });
      const failure = await failureOf(person.connector().connect(fixed, connectOptions()));
      expect(failure.hint).toContain("cannot use certificates, hardware keys");
    } finally {
      agent.stop();
    }
  });

  it("is taken by itself where the machine wants algorithms that the built-in client lacks, also for its key", async () => {
    const modern = await start({ config: ["KexAlgorithms sntrup761x25519-sha512@openssh.com"] });
    rmSync(known);
    const found: string[] = [];
    const onStep = (step: ConnectStep, what: string | null) =>
      void (step === "configuration" && what !== null && found.push(what));
    const first = await failureOf(person.connector().connect(accessTo(modern), connectOptions({ onStep })));
    expect(first.code).toBe(ErrorCode.HOST_KEY_UNKNOWN);
    expect(found.at(-1)).toMatch(/by the system's ssh: no common key exchange algorithm$/);
    const { shown } = first as HostKeyFailure;
    await person.connector().trust(accessTo(modern), shown.fingerprint, connectOptions());
    const session = await person.connector().connect(accessTo(modern), connectOptions());
    open.push(session);
    expect(session.summary.transport).toBe(SshTransport.SYSTEM);
    const fixed = accessTo(modern, { transport: SshTransport.BUILT_IN });
    const refused = await failureOf(person.connector().connect(fixed, connectOptions()));
    expect([refused.code, refused.message]).toEqual([
      ErrorCode.HOST_UNREACHABLE,
      expect.stringContaining("share no key exchange algorithm"),
    ]);
  });

  it("follows ProxyCommand and ProxyJump, and never runs Match exec", async () => {
    const witness = join(person.home, "ran");
    const gate = await start();
    person.writeConfig(
      `Match exec "touch ${witness}"`,
      "  User nobody",
      "Host by-command",
      "  HostName 127.0.0.1",
      `  ProxyCommand echo %n >> ${person.home}/proxied; exec nc %h %p`,
      "Host gate",
      "  HostName 127.0.0.1",
      `  Port ${gate.port}`,
    );
    if (spawnSync("sh", ["-c", "command -v nc"]).status === 0) {
      const session = await person.connector().connect(accessTo(sshd, { address: "by-command" }), connectOptions());
      open.push(session);
      expect(session.summary.transport).toBe(SshTransport.SYSTEM);
      expect(readFileSync(join(person.home, "proxied"), "utf8")).toBe("by-command\n");
    }
    const jumped = await connect(sshd, { jump: "ada@gate" });
    expect(jumped.summary.via).toEqual([`ada@127.0.0.1:${gate.port}`]);
    expect(gate.log()).toContain("Accepted publickey for ada");
    expect(existsSync(witness)).toBe(false);
  });

  it("shows the key of a machine in between at first contact, and it can be trusted", async () => {
    const gate = await startSshd({ authorizedKeys: [person.publicKey] });
    started.push(gate);
    for (const transport of [SshTransport.SYSTEM, SshTransport.BUILT_IN]) {
      rmSync(known);
      person.knows(sshd);
      const access = accessTo(sshd, { transport, jump: `127.0.0.1:${gate.port}` });
      const failure = (await failureOf(person.connector().connect(access, connectOptions()))) as HostKeyFailure;
      expect([failure.code, failure.shown.port]).toEqual([ErrorCode.HOST_KEY_UNKNOWN, gate.port]);
      await person.connector().trust(access, failure.shown.fingerprint, connectOptions());
      open.push(await person.connector().connect(access, connectOptions()));
    }
  });

  it("names what went wrong on the way", async () => {
    const closed = { port: await freePort() };
    const refused = await refusal(closed);
    expect([refused.code, refused.message]).toEqual([
      ErrorCode.HOST_UNREACHABLE,
      expect.stringContaining("refuses connections"),
    ]);
    const nameless = await refusal(sshd, { address: "no-such-machine.invalid" });
    expect(nameless.message).toMatch(/no machine with the name|no name server answered/);
    const stranger = await start({ authorizedKeys: [] });
    const denied = await refusal(stranger);
    expect(denied.code).toBe(ErrorCode.SSH_AUTHENTICATION_FAILED);
    expect(denied.message).toMatch(/tried: key .*id_ed25519 .*; it takes publickey/);
    const other = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    expect((await refusal(other.address() as { port: number })).code).toBe(ErrorCode.HOST_UNREACHABLE);
    other.close();
    person.writeConfig("NoSuchKeyword yes");
    expect((await refusal(sshd)).code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("is left when the person gives up, and ends with its server", async () => {
    const silent = createServer((socket) => void socket.resume());
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const giveUp = new AbortController();
    const attempt = failureOf(connect(silent.address() as { port: number }, {}, { signal: giveUp.signal }));
    setTimeout(() => giveUp.abort(), 150);
    expect((await attempt).code).toBe(ErrorCode.CANCELED);
    silent.close();
    const mortal = await start();
    const session = await connect(mortal);
    const running = failureOf(session.run(fixedCommand("exec sleep 60")));
    await mortal.stop();
    expect((await running).code).toBe(ErrorCode.AGENT_UNREACHABLE);
    expect(session.ended.aborted).toBe(true);
  });

  it("gives a command to copy that connects as it did", async () => {
    mkdirSync(join(person.home, "a b"), { recursive: true });
    const key = join(person.home, "a b", "it's a key");
    if (!existsSync(key)) keygen("-q", "-t", "ed25519", "-N", "", "-f", key);
    appendFileSync(join(sshd.dir, "authorized_keys"), readFileSync(`${key}.pub`));
    const { summary } = await connect(sshd, { identityFiles: [key] });
    const options = `-o UserKnownHostsFile='${known}' -o IdentityAgent=none -o IdentitiesOnly=yes -F none`;
    const command = summary.command.replace(/^ssh /, `ssh ${options} `);
    expect(execFileSync("sh", ["-c", `${command} id -un`], { encoding: "utf8" })).toBe("ada\n");
  });
});

describe("what ls says of an owner", () => {
  it.each([
    ["srw-rw---- 1 0 998 0 Jan  1 00:00 /run/wardline/agent.sock", { userId: 0, mode: 0o660 }],
    ["drwxrwxrwt. 2 0 0 4096 Jan  1 00:00 /tmp", { userId: 0, mode: 0o1777 }],
    ["-rwsr-xr-x 1 12 0 4096 Jan  1 00:00 x", { userId: 12, mode: 0o755 }],
    ["garbage", null],
    ["", null],
  ])("%s", (text, owner) => expect(parseOwner(text)).toEqual(owner));
});
