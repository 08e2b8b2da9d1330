/** A connection of the system's `ssh`: one master process, and a short one for each channel of it. */
import { rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { SshSummary } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { ConnectSlots } from "../../agent/connect-slots.ts";
import type { Place } from "../built-in/failures.ts";
import { lostLater } from "../built-in/handshake.ts";
import { commandCanceled, commandTimedOut } from "../built-in/run.ts";
import { examineSocket, socketFailure } from "../built-in/socket-failure.ts";
import { type FixedCommand, fixedCommand } from "../fixed-command.ts";
import { OutputCollector } from "../output-collector.ts";
import { requireSocketPath, requireUploadPath } from "../remote-paths.ts";
import type { RemoteOwner, RunOptions, RunResult, SshSession, UploadOptions } from "../ssh-session.ts";
import { RECEIVE_FILE, SHOW_OWNER } from "./scripts.ts";
import { endSsh, type SshProcess, startSsh } from "./ssh-program.ts";
import { TARGET_NAME } from "./system-config.ts";

const USUAL_TIMEOUT_MS = 30_000;
const MOST_SESSIONS = 8;
const LONGEST_SESSION_MS = 60 * 60_000;
const UPLOAD_TIMEOUT_MS = 15 * 60_000;
const FORWARD_TIMEOUT_MS = 10_000;
/** A socket that is refused is closed at once; one that says nothing by itself is taken for open after this time. */
const REFUSAL_WAIT_MS = 300;
const UPLOAD_CHUNK_BYTES = 64 * 1024;
const IDLE = fixedCommand("exec cat");

export interface SystemSessionInput {
  readonly program: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly master: SshProcess;
  /** Private directory with configuration and sockets; removed at the end. */
  readonly dir: string;
  readonly place: Place;
  readonly summary: SshSummary;
}

export class SystemSession implements SshSession {
  readonly summary: SshSummary;
  readonly #input: SystemSessionInput;
  readonly #ended = new AbortController();
  readonly #children = new Set<SshProcess>();
  readonly #sessions = new ConnectSlots(MOST_SESSIONS, LONGEST_SESSION_MS);
  #forwards = 0;

  constructor(input: SystemSessionInput) {
    this.#input = input;
    this.summary = input.summary;
    input.master.once("exit", () => this.#end(lostLater(input.place, null)));
    // See hold-terminal.ts; one that cannot be had costs nothing but time.
    this.#start(["-tt"], IDLE).stdout.resume();
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async openSocket(path: string): Promise<Duplex> {
    requireSocketPath(path);
    this.#requireOpen();
    const found = await examineSocket(this, path);
    if (["missing", "denied", "dead", "not-socket"].includes(found)) throw this.#socketFailure(found, path);
    const local = join(this.#input.dir, `${++this.#forwards}`);
    // A colon would end the path early in the argument.
    const forward = `${local}:${path.replace(/[\\:]/g, "\\$&")}`;
    await this.#control("forward", "-L", forward);
    const socket = await connectTo(local);
    try {
      await this.#requireAccepted(socket, path);
    } finally {
      // What is connected stays; nobody else can come in by it.
      await this.#control("cancel", "-L", forward).catch(() => {});
      await rm(local, { force: true });
    }
    this.ended.addEventListener("abort", () => socket.destroy(), { once: true });
    return socket;
  }

  run(command: FixedCommand, options: RunOptions = {}): Promise<RunResult> {
    return this.#inTurn(() => {
      const child = this.#start(["-T"], command);
      child.stdin.end(Buffer.from(options.input ?? []));
      return this.#finish(child, options);
    }, options.signal);
  }

  async upload(content: Uint8Array, path: string, options: UploadOptions): Promise<void> {
    requireUploadPath(path);
    await this.#inTurn(() => this.#upload(content, path, options), options.signal);
  }

  async #upload(content: Uint8Array, path: string, options: UploadOptions): Promise<void> {
    const child = this.#start(["-T"], RECEIVE_FILE);
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    child.stdin.write(
      `${(options.mode ?? 0o600).toString(8)}\n${bytes.length}\n${path.startsWith("/") ? path : `./${path}`}\n`,
    );
    const signal = options.signal;
    const sending = send(child, bytes, options);
    const { exitCode, stderr } = await this.#finish(child, {
      timeoutMs: UPLOAD_TIMEOUT_MS,
      ...(signal ? { signal } : {}),
    });
    await sending;
    if (exitCode !== 0) throw uploadFailure(exitCode, stderr, path, this.#input.place.hostName);
  }

  async owner(path: string): Promise<RemoteOwner | null> {
    requireSocketPath(path);
    const { stdout } = await this.run(SHOW_OWNER, { input: Buffer.from(`${path}\n`), timeoutMs: 10_000 });
    return parseOwner(stdout);
  }

  close(): void {
    this.#end(new Failure({ code: ErrorCode.CANCELED, message: "The SSH connection was closed here." }));
  }

  #end(reason: Failure): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(reason);
    for (const child of [...this.#children, this.#input.master]) endSsh(child);
    // The master removes its own socket; the directory may go a moment later.
    rm(this.#input.dir, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
  }

  /** sshd gives a connection ten sessions at once (MaxSessions); what is beyond waits here. */
  async #inTurn<Result>(work: () => Promise<Result>, signal: AbortSignal = this.ended): Promise<Result> {
    const giveBack = await this.#sessions.take(AbortSignal.any([signal, this.ended]));
    try {
      this.#requireOpen();
      return await work();
    } finally {
      giveBack();
    }
  }

  #requireOpen(): void {
    if (this.#ended.signal.aborted) throw this.#ended.signal.reason as Failure;
  }

  #start(options: readonly string[], command: FixedCommand): SshProcess {
    const { program, environment } = this.#input;
    const child = startSsh(program, [...this.#through(), "-q", ...options, "--", TARGET_NAME, command], environment);
    this.#children.add(child);
    child.once("close", () => this.#children.delete(child));
    child.on("error", () => {});
    return child;
  }

  /** The same configuration, and only the master: a login of its own would hide that the master is gone. */
  #through(): string[] {
    const { dir } = this.#input;
    return ["-F", join(dir, "config"), "-S", join(dir, "m"), "-o", "ControlMaster=no", "-o", "ProxyCommand=false"];
  }

  async #control(what: "forward" | "cancel", ...options: string[]): Promise<void> {
    const { program, environment, place } = this.#input;
    const child = startSsh(program, [...this.#through(), "-O", what, ...options, "--", TARGET_NAME], environment);
    child.stdin.end();
    this.#children.add(child);
    child.once("close", () => this.#children.delete(child));
    const { exitCode, stderr } = await this.#finish(child, { timeoutMs: FORWARD_TIMEOUT_MS });
    if (exitCode === 0) return;
    throw new Failure({
      code: ErrorCode.HOST_UNSUPPORTED,
      message: `The system's ssh could not open a way to the socket on ${place.hostName} (${stderr.trim().split("\n").at(-1)?.slice(0, 200) ?? ""}).`,
      hint: "Choose the built-in client for this host.",
    });
  }

  #finish(child: SshProcess, options: RunOptions): Promise<RunResult> {
    const { hostName } = this.#input.place;
    const { timeoutMs = USUAL_TIMEOUT_MS, signal } = options;
    return new Promise((resolve, reject) => {
      const output = new OutputCollector(hostName, options);
      let isSettled = false;
      const settle = (failure: Failure | null, exitCode: number | null = null) => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", cancel);
        this.ended.removeEventListener("abort", lose);
        if (failure === null) return resolve({ exitCode, ...output.result() });
        endSsh(child);
        reject(failure);
      };
      const cancel = () => settle(commandCanceled(hostName));
      const lose = () => settle(this.ended.reason as Failure);
      const timer = setTimeout(() => settle(commandTimedOut(hostName, timeoutMs)), timeoutMs);
      if (this.ended.aborted) return lose();
      if (signal?.aborted) return cancel();
      signal?.addEventListener("abort", cancel, { once: true });
      this.ended.addEventListener("abort", lose, { once: true });
      const take = (which: "stdout" | "stderr") => (chunk: Buffer) => {
        const failure = output.add(which, chunk);
        if (failure) settle(failure);
      };
      child.stdout.on("data", take("stdout"));
      child.stderr.on("data", take("stderr"));
      child.once("error", (error) => settle(lostLater(this.#input.place, error)));
      child.once("close", (code) => settle(null, code));
    });
  }

  /** The master closes the socket of a channel that was refused; an agent greets at once. */
  #requireAccepted(socket: Socket, path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (isAccepted: boolean) => {
        clearTimeout(timer);
        socket.off("readable", readable);
        socket.off("end", refused);
        socket.off("close", refused);
        if (isAccepted) return resolve();
        socket.destroy();
        reject(this.#socketFailure("usable", path));
      };
      // `readable` comes with data and at the end alike; reading tells which.
      const readable = () => void (socket.readableLength > 0 ? settle(true) : socket.read());
      const refused = () => settle(false);
      const timer = setTimeout(() => settle(true), REFUSAL_WAIT_MS);
      socket.once("end", refused);
      socket.once("close", refused);
      socket.on("readable", readable);
    });
  }

  #socketFailure(found: string, path: string): Failure {
    return socketFailure(found, path, this.#input.place.hostName, undefined);
  }
}

function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

async function send(child: SshProcess, bytes: Buffer, { onProgress, signal }: UploadOptions): Promise<void> {
  for (let at = 0; at < bytes.length && !signal?.aborted && child.stdin.writable; at += UPLOAD_CHUNK_BYTES) {
    const chunk = bytes.subarray(at, at + UPLOAD_CHUNK_BYTES);
    await new Promise<void>((resolve) => child.stdin.write(chunk, () => resolve()));
    onProgress?.(Math.min(bytes.length, at + UPLOAD_CHUNK_BYTES));
  }
  child.stdin.end();
}

function uploadFailure(exitCode: number | null, stderr: string, path: string, hostName: string): Failure {
  const isFull = /No space left|quota exceeded/i.test(stderr);
  if (exitCode === 11) {
    return new Failure({ code: ErrorCode.NOT_FOUND, message: `There is no directory for ${path} on ${hostName}.` });
  }
  if (exitCode === 12) {
    return new Failure({
      code: ErrorCode.PERMISSION_DENIED,
      message: `The account may not write ${path} on ${hostName}.`,
      hint: "Use an account that may, or one that may use sudo.",
    });
  }
  return new Failure({
    code: isFull ? ErrorCode.DISK_FULL : ErrorCode.INTERNAL,
    message: isFull
      ? `The disk of ${hostName} is full: ${path} was not written.`
      : `${path} was not written on ${hostName} (exit code ${exitCode}).`,
    hint: isFull ? "Make room there, then try again." : "Look at the machine, then try again.",
    retryable: true,
  });
}

/** `drwxr-xr-x 2 0 0 4096 …` */
export function parseOwner(text: string): RemoteOwner | null {
  const [, bits, owner] = /^.([r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-])\S*\s+\d+\s+(\d+)\s/.exec(text) ?? [];
  if (bits === undefined || owner === undefined) return null;
  const plain = [...bits].reduce((mode, bit) => mode * 2 + (bit === "-" || bit === "S" || bit === "T" ? 0 : 1), 0);
  const sticky = /[tT]$/.test(bits) ? 0o1000 : 0;
  return { userId: Number(owner), mode: plain | sticky };
}
