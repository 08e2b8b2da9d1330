/**
 * A real sshd for one test: on 127.0.0.1, in a mount and process namespace of its own, with accounts that exist only there.
 * Everything that it started dies with it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@wardline/domain/testing/machine";

const SSHD = "/usr/sbin/sshd";
const START_LIMIT_MS = 15_000;
/** Accounts are bound over the machine's own, so that nothing of it changes. */
const START = [
  "set -e",
  'mount --bind "$1/passwd" /etc/passwd',
  'mount --bind "$1/shadow" /etc/shadow',
  'mount --bind "$1/group" /etc/group',
  'if test "$2" = small; then mount -t tmpfs -o size=64k,mode=777 none "$1/home"; fi',
  "mkdir -p /run/sshd",
  'exec /usr/sbin/sshd -D -e -f "$1/sshd_config"',
].join("; ");

/** Why sshd cannot be started here, or `null`. For `describe.skipIf`; put it into the name. */
export function sshdProblem(): string | null {
  if (process.platform !== "linux") return "needs Linux";
  if (process.geteuid?.() !== 0) return "needs root";
  for (const program of [SSHD, "/usr/bin/ssh-keygen", "/usr/bin/ssh", "/usr/bin/unshare", "/usr/bin/setpriv"]) {
    if (!existsSync(program)) return `needs ${program}`;
  }
  return null;
}

export const TEST_USER = "ada";
export const TEST_USER_ID = 61_234;
export const TEST_PASSWORD = "correct horse battery staple";

export interface RealSshdOptions {
  /** Lines of sshd_config, before the usual ones: the first value of a keyword counts. */
  readonly config?: readonly string[];
  /** Lines of authorized_keys, for every account. */
  readonly authorizedKeys?: readonly string[];
  /** Types of the keys that it shows; ed25519 alone unless given. */
  readonly hostKeyTypes?: readonly ("ed25519" | "rsa" | "ecdsa")[];
  /** Directory with host keys of another one, to be the same machine again. */
  readonly hostKeysFrom?: string;
  /** Puts the home directory on a file system of 64 KiB, seen only there. */
  readonly smallHome?: boolean;
  /** Taken from the kernel unless given. */
  readonly port?: number;
}

export interface RealSshd {
  readonly port: number;
  readonly dir: string;
  readonly home: string;
  /** A line for known_hosts without the name: `ssh-ed25519 AAAA…`. */
  hostKey(type?: string): string;
  /** What it logged so far. */
  log(): string;
  stop(): Promise<void>;
}

export async function startSshd(options: RealSshdOptions = {}): Promise<RealSshd> {
  const dir = mkdtempSync(join(tmpdir(), "wardline-sshd-"));
  chmodSync(dir, 0o755);
  const port = options.port ?? (await freePort());
  const home = join(dir, "home");
  mkdirSync(home, { mode: 0o750 });
  chownSync(home, TEST_USER_ID, TEST_USER_ID);
  writeAccounts(dir, home);
  writeFileSync(join(dir, "authorized_keys"), `${(options.authorizedKeys ?? []).join("\n")}\n`);
  const types = options.hostKeyTypes ?? ["ed25519"];
  const keyPaths = types.map((type) => hostKeyPath(options.hostKeysFrom ?? dir, type));
  for (const [index, path] of keyPaths.entries()) {
    if (!existsSync(path)) generateKey(path, types[index]!);
  }
  writeFileSync(join(dir, "sshd_config"), sshdConfig(dir, port, keyPaths, options.config ?? []));
  const log: string[] = [];
  const child = spawn(
    // A test runner that is killed takes it along.
    "setpriv",
    [
      "--pdeathsig",
      "KILL",
      "unshare",
      "--mount",
      "--pid",
      "--fork",
      "--kill-child",
      "--mount-proc",
      "sh",
      "-c",
      START,
      "sh",
      dir,
      options.smallHome ? "small" : "",
    ],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  child.stderr.on("data", (chunk: Buffer) => log.push(chunk.toString()));
  try {
    await waitForPort(port, child, log);
  } catch (error) {
    child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  return {
    port,
    dir,
    home,
    hostKey: (type = types[0]!) =>
      readFileSync(`${hostKeyPath(options.hostKeysFrom ?? dir, type)}.pub`, "utf8")
        .split(" ")
        .slice(0, 2)
        .join(" ")
        .trim(),
    log: () => log.join(""),
    async stop() {
      await end(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** @param path of the private key; the public one lies beside it */
export function generateKey(path: string, type: string, passphrase = "", ...more: string[]): void {
  keygen(
    "-q",
    "-t",
    type,
    ...(type === "rsa" ? ["-b", "2048"] : []),
    "-N",
    passphrase,
    "-C",
    "test",
    "-f",
    path,
    ...more,
  );
}

export function keygen(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync("ssh-keygen", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ssh-keygen ${args.join(" ")}: ${stderr || stdout}`);
  return stdout;
}

function hostKeyPath(dir: string, type: string): string {
  return join(dir, `host_${type}_key`);
}

function sshdConfig(dir: string, port: number, keyPaths: readonly string[], more: readonly string[]): string {
  return [
    ...more.filter((line) => !line.startsWith("Match ")),
    ...keyPaths.map((path) => `HostKey ${path}`),
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `PidFile ${dir}/sshd.pid`,
    `AuthorizedKeysFile ${dir}/authorized_keys`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "MaxStartups 100",
    ...(more.some((line) => line.startsWith("Subsystem ")) ? [] : ["Subsystem sftp internal-sftp"]),
    "LogLevel VERBOSE",
    ...more.filter((line) => line.startsWith("Match ")),
    "",
  ].join("\n");
}

function writeAccounts(dir: string, home: string): void {
  const hash = spawnSync("openssl", ["passwd", "-6", "-stdin"], {
    input: TEST_PASSWORD,
    encoding: "utf8",
  }).stdout.trim();
  const ada = `${TEST_USER}:x:${TEST_USER_ID}:${TEST_USER_ID}::${home}:/bin/sh\n`;
  writeFileSync(join(dir, "passwd"), readFileSync("/etc/passwd", "utf8") + ada);
  writeFileSync(join(dir, "group"), `${readFileSync("/etc/group", "utf8")}${TEST_USER}:x:${TEST_USER_ID}:\n`);
  const shadow = `${readFileSync("/etc/shadow", "utf8")}${TEST_USER}:${hash}:20000:0:99999:7:::\n`;
  writeFileSync(join(dir, "shadow"), shadow, { mode: 0o600 });
}

async function waitForPort(port: number, child: ChildProcess, log: readonly string[]): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() - startedAtMs > START_LIMIT_MS) {
      throw new Error(`sshd did not start: ${log.join("")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("data", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
