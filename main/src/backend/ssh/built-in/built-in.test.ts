/** The built-in client against a real sshd. */

import { once } from "node:events";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixedCommand } from "../fixed-command.ts";
import type { ConnectStep } from "../ssh-session.ts";
import { accessTo, connectOptions, failureOf, newPerson, type Person } from "../testing/person.ts";
import { type RealSshd, sshdProblem, startSshd } from "../testing/real-sshd.ts";
import type { BuiltInSession } from "./session.ts";

const problem = sshdProblem();

describe.skipIf(problem !== null)(`the built-in SSH client${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  let sshd: RealSshd;
  let session: BuiltInSession;
  const steps: [ConnectStep, string | null][] = [];

  beforeAll(async () => {
    person = newPerson();
    sshd = await startSshd({ authorizedKeys: [person.publicKey] });
    person.knows(sshd);
    const onStep = (step: ConnectStep, found: string | null) => void steps.push([step, found]);
    session = (await person.connector().connect(accessTo(sshd), connectOptions({ onStep }))) as BuiltInSession;
  });
  afterAll(async () => {
    session?.close();
    await sshd?.stop();
    person?.remove();
  });

  it("reports each step as it begins and as it ends", () => {
    expect(steps.map(([step, found]) => (found === null ? `${step}?` : step))).toEqual([
      "configuration?",
      "configuration",
      "name?",
      "name",
      "route?",
      "route",
      "port?",
      "port",
      "host-key?",
      "host-key",
      "authentication?",
      "authentication",
    ]);
    const found = new Map(steps.filter(([, what]) => what !== null));
    expect(found.get("port")).toMatch(/^SSH-2\.0-OpenSSH/);
    expect(found.get("host-key")).toMatch(/^ssh-ed25519 SHA256:/);
    expect(found.get("authentication")).toContain(person.keyPath);
  });

  it("holds a terminal open, and says what it is connected to", () => {
    expect(session.holdsTerminal).toBe(true);
    expect(session.summary).toMatchObject({ user: "ada", address: "127.0.0.1", port: sshd.port, via: [] });
    expect(session.summary.command).toBe(`ssh -p ${sshd.port} -l ada 127.0.0.1`);
  });

  it("carries bytes to a Unix socket and back, both ends in order", async () => {
    const path = join(sshd.dir, "echo.sock");
    const server = await listen(path, 0o777);
    const stream = await session.openSocket(path);
    const received: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => received.push(chunk));
    const sent = Buffer.alloc(3 * 1024 * 1024, "wardline");
    stream.end(sent);
    await once(stream, "end");
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    server.close();
  });

  it("runs a command as the account, with input, output, errors and exit code", async () => {
    const result = await session.run(fixedCommand("cat; id -u; echo oops >&2; exit 3"), { input: Buffer.from("in\n") });
    expect(result).toEqual({ exitCode: 3, stdout: "in\n61234\n", stderr: "oops\n" });
  });

  it("uploads a file with its mode, replaces one that is there, and leaves nothing else", async () => {
    const progress: number[] = [];
    const content = Buffer.alloc(1_000_001, "x");
    await session.upload(Buffer.from("old"), "bin", { mode: 0o600 });
    await session.upload(content, "bin", { mode: 0o755, onProgress: (bytes) => progress.push(bytes) });
    const path = join(sshd.home, "bin");
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o755);
    expect(progress.at(-1)).toBe(content.length);
    const { stdout } = await session.run(fixedCommand("ls -A"));
    expect(stdout).toBe("bin\n");
  });

  it("tells apart why a socket cannot be opened", async () => {
    const missing = await failureOf(session.openSocket(join(sshd.dir, "nothing.sock")));
    expect(missing.code).toBe(ErrorCode.AGENT_MISSING);
    const closedPath = join(sshd.dir, "closed.sock");
    const server = await listen(closedPath, 0o600);
    expect((await failureOf(session.openSocket(closedPath))).code).toBe(ErrorCode.PERMISSION_DENIED);
    server.close();
    const hidden = join(sshd.dir, "hidden");
    mkdirSync(hidden, { mode: 0o700 });
    expect((await failureOf(session.openSocket(join(hidden, "agent.sock")))).code).toBe(ErrorCode.PERMISSION_DENIED);
    for (const bad of ["relative.sock", `/${"x".repeat(120)}`, "/tmp/a\nb"]) {
      expect((await failureOf(session.openSocket(bad))).code).toBe(ErrorCode.INVALID_ARGUMENT);
    }
  });
});

/** An echo server on a Unix socket. */
async function listen(path: string, mode: number): Promise<Server> {
  const { chmodSync } = await import("node:fs");
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  server.listen(path);
  await once(server, "listening");
  chmodSync(path, mode);
  return server;
}
