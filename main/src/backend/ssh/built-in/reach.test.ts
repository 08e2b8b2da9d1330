/** Everything that can go wrong before a machine shows its key, each named. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import { freePort } from "@wardline/domain/testing/machine";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ConnectStep } from "../ssh-session.ts";
import { accessTo, connectOptions, failureOf, newPerson, type Person } from "../testing/person.ts";
import { sshdProblem } from "../testing/real-sshd.ts";

const problem = sshdProblem();
// A busy machine takes half a second to answer what is expected within them.
const LIMITS_MS = { port: 1_500, "host-key": 1_500, authentication: 1_500 };

describe.skipIf(problem !== null)(`the way to a machine${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  const servers: Server[] = [];
  const sockets = new Set<Socket>();

  beforeAll(() => {
    person = newPerson();
    return () => person.remove();
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  });

  /** A server of something else on 127.0.0.1. Returns its port. */
  async function listen(serve: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      // What nobody reads keeps a socket from ending.
      socket.resume();
      serve(socket);
    });
    servers.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as { port: number }).port;
  }

  async function fails(
    port: number,
    address = "127.0.0.1",
  ): Promise<{ failure: Failure; last: ConnectStep | undefined }> {
    const began: ConnectStep[] = [];
    const onStep = (step: ConnectStep, found: string | null) => void (found === null && began.push(step));
    const connector = person.connector(undefined, { limitsMs: LIMITS_MS });
    const failure = await failureOf(connector.connect(accessTo({ port }, { address }), connectOptions({ onStep })));
    return { failure, last: began.at(-1) };
  }

  async function closesItsSockets(): Promise<void> {
    await Promise.all(
      [...sockets].map((socket) => socket.destroyed || new Promise((resolve) => socket.once("close", resolve))),
    );
  }

  it("ends at a name that nobody has", async () => {
    const { failure, last } = await fails(22, "no-such-machine.invalid");
    expect([failure.code, last]).toEqual([ErrorCode.HOST_UNREACHABLE, "name"]);
    expect(failure.message).toMatch(/no machine with the name no-such-machine\.invalid|no name server answered/);
  });

  it("ends at a port where nobody listens", async () => {
    const port = await freePort();
    const { failure, last } = await fails(port);
    expect([failure.code, last, failure.retryable]).toEqual([ErrorCode.HOST_UNREACHABLE, "port", true]);
    expect(failure.message).toContain(`127.0.0.1:${port} refuses connections`);
  });

  it("ends where there is no route", async () => {
    // No packet leaves: TCP has no way to a multicast group.
    const { failure, last } = await fails(22, "224.0.0.1");
    expect([failure.code, last]).toEqual([ErrorCode.HOST_UNREACHABLE, "route"]);
    expect(failure.message).toContain("There is no route to 224.0.0.1:22");
  });

  it("ends at a server of something else, with its first words made harmless", async () => {
    const port = await listen(
      (socket) => void socket.on("data", () => socket.end("HTTP/1.1 400 \u001b[31mBad\r\n\r\n")),
    );
    const { failure, last } = await fails(port);
    expect(last).toBe("port");
    expect(failure.message).toContain('is not an SSH server; it said "HTTP/1.1 400 \\u{1b}[31mBad');
    await closesItsSockets();
  });

  it("ends at a server that greets without end", async () => {
    const port = await listen((socket) => {
      const more = () =>
        void (socket.writable && socket.write("welcome to my machine\r\n".repeat(50), () => setImmediate(more)));
      more();
    });
    const { failure } = await fails(port);
    expect(failure.message).toContain("is not an SSH server");
    await closesItsSockets();
  });

  it("ends at one line without end", async () => {
    const port = await listen((socket) => {
      const more = () => void (socket.writable && socket.write("x".repeat(4096), () => setImmediate(more)));
      more();
    });
    expect((await fails(port)).failure.message).toContain("is not an SSH server");
    await closesItsSockets();
  });

  it("ends at a server that says nothing, or a byte now and then", async () => {
    const silent = await listen(() => {});
    const { failure, last } = await fails(silent);
    expect(last).toBe("port");
    expect(failure.message).toContain("did not answer within 1.5 s");
    const slow = await listen((socket) => {
      const text = "SSH-2.0-a-very-slow-server-that-never-comes-to-its-end";
      let at = 0;
      const timer = setInterval(() => socket.write(text[at++] ?? "x"), 50);
      socket.on("close", () => clearInterval(timer));
    });
    expect((await fails(slow)).failure.message).toContain("is not an SSH server");
    await closesItsSockets();
  });

  it("ends at a server that hangs up at once, and at one that stops after its greeting", async () => {
    const shut = await listen((socket) => socket.end());
    const reset = await listen((socket) => socket.resetAndDestroy());
    // Often: whether the end comes before or after the console listens for it is chance.
    for (let round = 0; round < 20; round++) {
      expect((await fails(shut)).failure.message).toMatch(/ended the connection before it said a word/);
      expect((await fails(reset)).failure.message).toMatch(/ended the connection before it said a word/);
    }
    const stopped = await listen((socket) => void socket.write("SSH-2.0-OpenSSH_9.9\r\n"));
    const { failure, last } = await fails(stopped);
    expect(last).toBe("host-key");
    expect(failure.message).toMatch(/saying nothing for 1.5 s/);
    await closesItsSockets();
  });

  it("ends at garbage behind a good greeting", async () => {
    for (const garbage of [
      Buffer.alloc(64, 0xff),
      Buffer.from([0, 0, 0, 12, 4, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.alloc(300_000),
    ]) {
      const port = await listen((socket) => void socket.write(Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), garbage])));
      const { failure, last } = await fails(port);
      expect([failure.code, last]).toEqual([ErrorCode.HOST_UNREACHABLE, "host-key"]);
    }
    await closesItsSockets();
  });

  it("ends at a server of the first protocol version", async () => {
    const port = await listen((socket) => void socket.write("SSH-1.5-OpenSSH_1.2\r\n"));
    expect((await fails(port)).failure.code).toBe(ErrorCode.HOST_UNREACHABLE);
  });

  it("is left when the person gives up, at any moment", async () => {
    const silent = await listen(() => {});
    for (const afterMs of [0, 20, 100]) {
      const giveUp = new AbortController();
      const attempt = person.connector().connect(accessTo({ port: silent }), connectOptions({ signal: giveUp.signal }));
      setTimeout(() => giveUp.abort(), afterMs);
      expect((await failureOf(attempt)).code).toBe(ErrorCode.CANCELED);
    }
    await closesItsSockets();
  });
});
