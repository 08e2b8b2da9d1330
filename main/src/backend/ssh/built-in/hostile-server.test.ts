/** A machine that speaks SSH well enough to be let in, and then misbehaves. Its key is known: it was taken over. */
import { once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import ssh2, { type Connection, type ServerChannel } from "ssh2";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { fixedCommand } from "../fixed-command.ts";
import { Answers } from "../testing/answers.ts";
import { accessTo, connectOptions, failureOf, newPerson, type Person } from "../testing/person.ts";
import { generateKey, sshdProblem } from "../testing/real-sshd.ts";
import type { BuiltInSession } from "./session.ts";

const problem = sshdProblem();
const PATIENT_MS = { port: 20_000, "host-key": 20_000, authentication: 20_000 };

/** What ssh2 offers to nobody: packets without a look at the window. */
interface RawProtocol {
  channelData(channel: number, data: Buffer): void;
}

describe.skipIf(problem !== null)(`a machine that was taken over${problem ? ` (${problem})` : ""}`, () => {
  let person: Person;
  let hostKey: string;
  const servers: { close(): void }[] = [];
  const open: BuiltInSession[] = [];

  beforeAll(() => {
    person = newPerson();
    generateKey(join(person.home, "host"), "ed25519");
    hostKey = readFileSync(join(person.home, "host"), "utf8");
  });
  afterEach(() => {
    for (const session of open.splice(0)) session.close();
    for (const server of servers.splice(0)) server.close();
  });
  afterAll(() => person?.remove());

  async function serve(behave: (client: Connection) => void): Promise<number> {
    const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
      client.on("error", () => {});
      behave(client);
    });
    servers.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const line = readFileSync(join(person.home, "host.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    appendFileSync(join(person.home, ".ssh", "known_hosts"), `[127.0.0.1]:${port} ${line}\n`);
    return port;
  }

  async function connect(port: number, asker?: Answers, limitsMs = PATIENT_MS): Promise<BuiltInSession> {
    const connector = person.connector(asker, { limitsMs });
    const session = (await connector.connect(accessTo({ port }), connectOptions())) as BuiltInSession;
    open.push(session);
    return session;
  }

  /** Lets everybody in, and hands every program and every socket over. */
  function welcome(client: Connection, onChannel: (channel: ServerChannel, what: string) => void): void {
    client.on("authentication", (attempt) => attempt.accept());
    client.on("ready", () => {
      client.on("session", (accept) => {
        const session = accept();
        session.on("pty", (yes) => yes?.());
        session.on("exec", (yes, _no, { command }) => onChannel(yes(), command));
        session.on("sftp", () => {});
      });
      client.on("openssh.streamlocal", (accept) => onChannel(accept() as ServerChannel, "socket"));
    });
  }

  /** More than any window allows, as fast as the socket takes it. */
  async function flood(channel: ServerChannel): Promise<void> {
    const raw = channel as unknown as {
      _client: { _protocol: RawProtocol };
      outgoing: { id: number };
      _client_: unknown;
    };
    const chunk = Buffer.alloc(32 * 1024, "x");
    for (let sent = 0; sent < 64 * 1024 * 1024 && channel.writable; sent += chunk.length) {
      try {
        raw._client._protocol.channelData(raw.outgoing.id, chunk);
      } catch {
        return;
      }
      if (sent % (1024 * 1024) === 0) await delay(0);
    }
  }

  it("is left when it sends more than it may into a stream that nobody reads", async () => {
    const port = await serve((client) =>
      welcome(client, (channel, what) => {
        if (what === "socket") void flood(channel);
      }),
    );
    const session = await connect(port);
    const stream = await session.openSocket("/run/wardline/agent.sock");
    stream.pause();
    if (!session.ended.aborted) await once(session.ended, "abort");
    expect((session.ended.reason as Failure).message).toContain("sent more than it was allowed to");
    expect(stream.readableLength).toBeLessThan(4 * 1024 * 1024);
  });

  it("cannot fill the memory with what a command says", async () => {
    const port = await serve((client) =>
      welcome(client, (channel, what) => {
        if (what === "true") void flood(channel);
      }),
    );
    const session = await connect(port);
    const failure = await failureOf(session.run(fixedCommand("true"), { maxOutputBytes: 100_000 }));
    expect(failure.code).toBe(ErrorCode.TOO_LARGE);
  });

  it("cannot hold up what waits: commands, files and sockets that it never answers end", async () => {
    const port = await serve((client) => welcome(client, () => {}));
    const session = await connect(port);
    const slow = await failureOf(session.run(fixedCommand("true"), { timeoutMs: 200 }));
    expect(slow.code).toBe(ErrorCode.DEADLINE_EXCEEDED);
    const stop = new AbortController();
    const sending = failureOf(session.upload(Buffer.from("x"), "x", { signal: stop.signal }));
    setTimeout(() => session.close(), 100);
    expect((await sending).code).toBe(ErrorCode.CANCELED);
  });

  it("gets no channel to the console", async () => {
    const outcome = Promise.withResolvers<string>();
    const port = await serve((client) => {
      welcome(client, () => {});
      client.on("ready", () => {
        client.forwardOut("127.0.0.1", 1, "127.0.0.1", 2, (error) => outcome.resolve(error ? "refused" : "opened"));
      });
    });
    await connect(port);
    expect(await outcome.promise).toBe("refused");
  });

  it("asks in bounded words that move no cursor, a few times, and is left then", async () => {
    let rounds = 0;
    const port = await serve((client) =>
      client.on("authentication", (attempt) => {
        if (attempt.method !== "keyboard-interactive") return attempt.reject(["keyboard-interactive"]);
        const again = (): void => {
          rounds++;
          const prompts = [{ prompt: `\u001b]0;owned\u0007\u202eCode${"!".repeat(5000)}`, echo: true }];
          attempt.prompt(prompts, "<b>title</b>\u001b[2J", `instruction\n\n${"x".repeat(5000)}`, again);
        };
        again();
      }),
    );
    const asker = new Answers(({ prompts }) => prompts.map(() => "123456"));
    const failure = await failureOf(connect(port, asker));
    expect(failure.code).toBe(ErrorCode.SSH_AUTHENTICATION_FAILED);
    expect(asker.asked).toHaveLength(5);
    expect(rounds).toBe(6);
    for (const { instruction, prompts } of asker.asked) {
      const text = [instruction, ...prompts.map((prompt) => prompt.text)].join("");
      expect(text).not.toMatch(/\p{Cc}|\p{Cf}/u);
      expect(text.length).toBeLessThan(1000);
      expect(text).toContain("\\u{1b}");
    }
  });

  it("cannot ask for a hundred things at once", async () => {
    const port = await serve((client) =>
      client.on("authentication", (attempt) => {
        if (attempt.method !== "keyboard-interactive") return attempt.reject(["keyboard-interactive"]);
        attempt.prompt(
          Array.from({ length: 100 }, () => "Code"),
          () => attempt.reject(),
        );
      }),
    );
    const asker = new Answers(({ prompts }) => prompts.map(() => "x"));
    expect((await failureOf(connect(port, asker))).code).toBe(ErrorCode.SSH_AUTHENTICATION_FAILED);
    expect(asker.asked).toEqual([]);
  });

  it("is left when it never decides", async () => {
    const silent = await serve((client) => client.on("authentication", () => {}));
    const failure = await failureOf(connect(silent, undefined, { ...PATIENT_MS, authentication: 700 }));
    expect(failure.message).toMatch(/saying nothing for 0\.7 s \(authentication\)/);
  });

  it("cannot make every method its own to try for ever", async () => {
    let attempts = 0;
    const port = await serve((client) =>
      client.on("authentication", (attempt) => {
        attempts++;
        // A success in part, again and again.
        attempt.reject(["publickey", "password", "keyboard-interactive"], true);
      }),
    );
    const asker = new Answers(({ prompts }) => prompts.map(() => "x"));
    const failure = await failureOf(connect(port, asker));
    expect(failure.code).toBe(ErrorCode.SSH_AUTHENTICATION_FAILED);
    expect(attempts).toBeLessThan(10);
  });
});
