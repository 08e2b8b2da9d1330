/** One login with the system's `ssh`: a master process in a private directory, ready when its socket is there. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { SshSummarySchema, SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { canceled, connectionLost, type Place, timedOut } from "../built-in/failures.ts";
import type { SshTarget } from "../config/target.ts";
import type { PublicKey } from "../keys/public-key.ts";
import { checkHostKey } from "../known-hosts/host-key-check.ts";
import { lookUp } from "../known-hosts/known-hosts.ts";
import { parseKnownHosts } from "../known-hosts/known-hosts-file.ts";
import type { ConnectOptions } from "../ssh-session.ts";
import { LogReader } from "./log-reader.ts";
import { endSsh, type SshProcess, startSsh } from "./ssh-program.ts";
import { systemConfig, TARGET_NAME } from "./system-config.ts";
import { SystemSession } from "./system-session.ts";

const READY_POLL_MS = 20;
/** On top of the time to connect: keys, an agent that asks, a touch. */
const LOGIN_LIMIT_MS = 60_000;
const PROBE_LIMIT_MS = 30_000;

export interface SystemContext {
  readonly program: string;
  readonly environment: NodeJS.ProcessEnv;
  /** The machines in between, first to last, then the machine itself. */
  readonly way: readonly SshTarget[];
  readonly options: ConnectOptions;
}

/** @throws Failure as `SshConnector.connect` */
export async function connectSystem(context: SystemContext, command: string): Promise<SystemSession> {
  const { program, environment, way, options } = context;
  const target = way.at(-1)!;
  const place = placeOf(context);
  const dir = await privateDir(context);
  const log = new LogReader(place, options.onStep);
  const args = ["-F", join(dir, "config"), "-M", "-S", join(dir, "m"), "-N", "-T", "-v", "--", TARGET_NAME];
  const master = startSsh(program, args, environment);
  master.stdin.end();
  master.stdout.resume();
  master.stderr.on("data", (chunk: Buffer) => log.read(chunk));
  try {
    await ready(master, join(dir, "m"), place, target.connectTimeoutMs * way.length + LOGIN_LIMIT_MS, options.signal);
  } catch (error) {
    endSsh(master);
    const failure = error instanceof Failure ? error : await whyEnded(context, log);
    await rm(dir, { recursive: true, force: true });
    throw failure;
  }
  const summary = create(SshSummarySchema, {
    user: target.user,
    address: target.hostName,
    port: target.port,
    hostKeyFingerprint: log.hostKeyFingerprint,
    hostKeyType: log.hostKeyType,
    via: way.slice(0, -1).map(({ user, hostName, port }) => `${user}@${hostName}:${port}`),
    transport: SshTransport.SYSTEM,
    command,
  });
  return new SystemSession({ program, environment, master, dir, place, summary });
}

/** The key that the machine shows now, without a word about who we are. @throws Failure HOST_UNREACHABLE, CANCELED */
export async function probeSystem(context: SystemContext): Promise<PublicKey> {
  const dir = await privateDir(context);
  try {
    return await probe(context, dir, new LogReader(placeOf(context), undefined));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function placeOf({ way }: SystemContext): Place {
  const { hostName, port } = way.at(-1)!;
  return { hostName, port, from: way.at(-2)?.hostName ?? "" };
}

async function privateDir({ environment, way }: SystemContext): Promise<string> {
  const parent = environment.XDG_RUNTIME_DIR;
  // Short: a socket's path has 108 bytes, and ssh adds 17 to it while it makes one.
  const dir = await mkdtemp(join(parent?.startsWith("/") && parent.length < 60 ? parent : tmpdir(), "wl-ssh-"));
  await writeFile(join(dir, "config"), systemConfig(way), { mode: 0o600 });
  return dir;
}

/** Rejects with a plain Error when ssh ended by itself. */
function ready(
  master: SshProcess,
  socketPath: string,
  place: Place,
  limitMs: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null) => {
      clearInterval(poll);
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      master.off("close", ended);
      if (error) reject(error);
      else resolve();
    };
    const giveUp = () => settle(canceled());
    const ended = () => settle(new Error("ssh ended"));
    const poll = setInterval(() => existsSync(socketPath) && settle(null), READY_POLL_MS);
    const timer = setTimeout(() => settle(timedOut(place, limitMs)), limitMs);
    if (signal.aborted) return giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    master.once("error", (error) =>
      settle(connectionLost(place, `(the system's ssh did not start: ${error.message})`)),
    );
    master.once("close", ended);
  });
}

async function whyEnded(context: SystemContext, log: LogReader): Promise<Failure> {
  if (!log.isHostKeyProblem) return log.failure();
  for (const [index, machine] of context.way.entries()) {
    const way = context.way.slice(0, index + 1);
    const failure = await judgeKey({ ...context, way }, machine);
    if (failure) return failure;
  }
  const { hostName } = context.way.at(-1)!;
  return new Failure({
    code: ErrorCode.HOST_KEY_UNKNOWN,
    message: `The system's ssh does not trust the key of ${hostName}, or of a machine on the way to it.`,
    hint: "Connect to each machine on the way once with ssh, and compare its fingerprint.",
  });
}

/** `null` when the key may be trusted. */
async function judgeKey(context: SystemContext, machine: SshTarget): Promise<Failure | null> {
  try {
    return checkHostKey(await lookUp(machine), await probeSystem(context), machine);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

/** ssh writes a key that it does not know into a file of ours, and is let in nowhere: it offers nothing. */
async function probe(context: SystemContext, dir: string, log: LogReader): Promise<PublicKey> {
  const { program, environment, options } = context;
  const file = join(dir, "shown");
  const settings = [
    "StrictHostKeyChecking=accept-new",
    `UserKnownHostsFile=${file}`,
    "GlobalKnownHostsFile=none",
    "KnownHostsCommand=none",
    "HashKnownHosts=no",
    "PreferredAuthentications=none",
    "ControlPath=none",
  ];
  const args = ["-F", join(dir, "config"), ...settings.flatMap((setting) => ["-o", setting])];
  const child = startSsh(program, [...args, "-T", "--", TARGET_NAME, "true"], environment);
  child.stdin.end();
  child.stdout.resume();
  child.stderr.on("data", (chunk: Buffer) => log.read(chunk));
  const limit = AbortSignal.any([options.signal, AbortSignal.timeout(PROBE_LIMIT_MS)]);
  const stop = () => endSsh(child);
  limit.addEventListener("abort", stop, { once: true });
  await new Promise((resolve) => child.once("close", resolve).once("error", resolve));
  limit.removeEventListener("abort", stop);
  if (options.signal.aborted) throw canceled();
  const [line] = existsSync(file) ? parseKnownHosts(await readFile(file, "utf8")) : [];
  if (!line) throw log.failure();
  return line.key;
}
