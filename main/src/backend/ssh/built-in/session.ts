/** An SSH connection of the built-in client: sockets, commands and files over one login. */
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { SshSummary } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Client, ClientChannel, SFTPWrapper } from "ssh2";
import { ConnectSlots } from "../../agent/connect-slots.ts";
import type { FixedCommand } from "../fixed-command.ts";
import { requireSocketPath, requireUploadPath } from "../remote-paths.ts";
import type { RemoteOwner, RunOptions, RunResult, SshSession, UploadOptions } from "../ssh-session.ts";
import { canceled, type Place } from "./failures.ts";
import { openSftp, upload } from "./files.ts";
import { lostLater } from "./handshake.ts";
import { holdTerminal } from "./hold-terminal.ts";
import { remoteOwner } from "./remote-owner.ts";
import { runCommand } from "./run.ts";
import { examineSocket, socketFailure } from "./socket-failure.ts";
import { WindowGuard } from "./window-guard.ts";

const OPEN_TIMEOUT_MS = 15_000;
const MOST_SESSIONS = 8;
const MOST_OPEN_ATTEMPTS = 20;
const OPEN_RETRY_MS = 50;
const LONGEST_SESSION_MS = 60 * 60_000;

export interface BuiltInSessionInput {
  readonly client: Client;
  readonly stream: Duplex;
  readonly place: Place;
  readonly summary: SshSummary;
  /** Sessions of the machines in between: they end with this one. */
  readonly via: readonly { close(): void }[];
}

export class BuiltInSession implements SshSession {
  readonly summary: SshSummary;
  readonly #client: Client;
  readonly #place: Place;
  readonly #ended = new AbortController();
  readonly #guard: WindowGuard;
  readonly #sessions = new ConnectSlots(MOST_SESSIONS, LONGEST_SESSION_MS);
  #running = 0;
  #terminal: ClientChannel | null = null;

  private constructor(input: BuiltInSessionInput) {
    const { client, stream, place, summary, via } = input;
    this.summary = summary;
    this.#client = client;
    this.#place = place;
    this.#guard = new WindowGuard(stream, (failure) => this.#end(failure));
    let lastError: Error | null = null;
    client.on("error", (error) => {
      lastError = error;
      this.#end(lostLater(place, error));
    });
    // A machine has no business opening channels to the console.
    client.on("close", () => this.#end(lostLater(place, lastError)));
    this.#ended.signal.addEventListener("abort", () => {
      client.end();
      stream.destroy();
      for (const session of via) session.close();
    });
  }

  static async open(input: BuiltInSessionInput): Promise<BuiltInSession> {
    const session = new BuiltInSession(input);
    session.#terminal = await holdTerminal(input.client);
    if (session.#terminal) session.#guard.watch(session.#terminal);
    return session;
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether the terminal is held that makes small messages fast; a server may refuse one. */
  get holdsTerminal(): boolean {
    return this.#terminal !== null && !this.#terminal.destroyed && this.#terminal.writable;
  }

  async openSocket(path: string): Promise<Duplex> {
    requireSocketPath(path);
    try {
      const channel = await this.#channel((done) => this.#client.openssh_forwardOutStreamLocal(path, done));
      return channel;
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw socketFailure(await examineSocket(this, path), path, this.#place.hostName, error);
    }
  }

  /** A TCP connection from there to another machine, for a way with machines in between. */
  openTcp(host: string, port: number): Promise<ClientChannel> {
    return this.#channel((done) => this.#client.forwardOut("127.0.0.1", 0, host, port, done));
  }

  async run(command: FixedCommand, options: RunOptions = {}): Promise<RunResult> {
    return this.#inTurn(async () => {
      const channel = await this.#withRoom(() => this.#channel((done) => this.#client.exec(command, done)));
      return runCommand(channel, this.#place.hostName, { ...options, ended: this.ended });
    }, options.signal);
  }

  async upload(content: Uint8Array, path: string, options: UploadOptions): Promise<void> {
    requireUploadPath(path);
    const { hostName } = this.#place;
    const context = { ...options, hostName, ended: this.ended };
    return this.#inTurn(async () => upload(await this.#sftp(), content, path, context), options.signal);
  }

  async owner(path: string): Promise<RemoteOwner | null> {
    requireSocketPath(path);
    return this.#inTurn(async () => {
      const sftp = await this.#sftp().catch(() => null);
      return sftp && remoteOwner(sftp, path, { ended: this.ended });
    });
  }

  close(): void {
    this.#end(new Failure({ code: ErrorCode.CANCELED, message: "The SSH connection was closed here." }));
  }

  /** sshd gives a connection ten sessions at once (MaxSessions); what is beyond waits here. */
  async #inTurn<Result>(work: () => Promise<Result>, signal: AbortSignal = this.ended): Promise<Result> {
    const giveBack = await this.#sessions.take(AbortSignal.any([signal, this.ended]));
    try {
      this.#requireOpen();
      this.#running++;
      return await work().finally(() => this.#running--);
    } finally {
      giveBack();
    }
  }

  #sftp(): Promise<SFTPWrapper> {
    const context = { hostName: this.#place.hostName, ended: this.ended };
    return this.#withRoom(() => openSftp(this.#client, context));
  }

  /** Opens a session, also where its place is still taken. */
  async #withRoom<Channel>(open: () => Promise<Channel>): Promise<Channel> {
    let lastError: unknown;
    for (let attempt = 0; attempt < MOST_OPEN_ATTEMPTS; attempt++) {
      try {
        return await open();
      } catch (error) {
        if (error instanceof Failure) throw error;
        lastError = error;
        // Places are free only a moment after a session ended. A server with room for a single one: the command is worth
        // more than the speed that the terminal brings.
        if (this.#running === 1) {
          this.#terminal?.close();
          this.#terminal = null;
        }
        await delay(OPEN_RETRY_MS);
      }
    }
    throw new Failure(
      {
        code: ErrorCode.HOST_UNSUPPORTED,
        message: `${this.#place.hostName} opens no session for this account: no commands and no files.`,
        hint: "Check MaxSessions, ForceCommand and the account's login shell there.",
      },
      { cause: lastError },
    );
  }

  #end(reason: Failure): void {
    if (!this.#ended.signal.aborted) this.#ended.abort(reason);
  }

  #requireOpen(): void {
    if (this.#ended.signal.aborted) throw this.#ended.signal.reason as Failure;
  }

  /** Opens a channel, however long the other side takes: bounded, and over when the connection is. */
  #channel(open: (done: (error: Error | undefined, channel: ClientChannel) => void) => void): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
      this.#requireOpen();
      let isSettled = false;
      const settle = (error: Error | null, channel?: ClientChannel) => {
        if (isSettled) return channel?.destroy();
        isSettled = true;
        clearTimeout(timer);
        this.ended.removeEventListener("abort", giveUp);
        if (!channel) return reject(error ?? canceled());
        // Without a listener an error of one channel would end the process.
        channel.on("error", () => {});
        this.#guard.watch(channel);
        resolve(channel);
      };
      const giveUp = () => settle(this.ended.reason as Failure);
      const timer = setTimeout(() => settle(this.#silent()), OPEN_TIMEOUT_MS);
      this.ended.addEventListener("abort", giveUp, { once: true });
      try {
        open((error, channel) => settle(error ?? null, error ? undefined : channel));
      } catch (error) {
        settle(lostLater(this.#place, error as Error));
      }
    });
  }

  #silent(): Failure {
    return new Failure({
      code: ErrorCode.DEADLINE_EXCEEDED,
      message: `${this.#place.hostName} did not open a channel within ${OPEN_TIMEOUT_MS / 1000} s.`,
      hint: "Try again; if it stays, look at the machine's load and its sshd log.",
      retryable: true,
    });
  }
}
