/** A PostgreSQL server of a test's own: a directory, a Unix socket, no network. It refuses root, so that another user runs it. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const VERSIONS = "/usr/lib/postgresql";
const SERVICE_USER = "postgres";

function programs(): string | null {
  if (!existsSync(VERSIONS)) return null;
  const newest = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a))[0];
  const directory = newest === undefined ? "" : join(VERSIONS, newest, "bin");
  return existsSync(join(directory, "initdb")) ? directory : null;
}

/** Why no server can be started here; `null` when it can. */
export const postgresProblem: string | null =
  programs() === null
    ? "needs postgresql"
    : process.getuid?.() === 0 && !existsSync("/usr/sbin/runuser")
      ? "needs runuser"
      : null;

export interface PostgresServer {
  readonly connectionString: string;
  /** Ends it as a power cut does. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function startPostgres(): Promise<PostgresServer> {
  const bin = programs();
  if (bin === null) throw new Error(postgresProblem ?? "");
  const directory = await mkdtemp(join(tmpdir(), "wl-pg-"));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    const { stdout } = await run("id", ["-u", SERVICE_USER]);
    const group = await run("id", ["-g", SERVICE_USER]);
    await chown(directory, Number(stdout), Number(group.stdout));
  }
  await chmod(directory, 0o700);
  const asUser = (program: string, args: readonly string[]) => {
    const path = join(bin, program);
    return isRoot
      ? run("/usr/sbin/runuser", ["-u", SERVICE_USER, "--", path, ...args], { cwd: directory })
      : run(path, [...args], { cwd: directory });
  };
  const data = join(directory, "data");
  const user = isRoot ? SERVICE_USER : userInfo().username;
  await asUser("initdb", ["-D", data, "-U", user, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]);
  const options = `-k ${directory} -c listen_addresses= -c fsync=off -c max_connections=40 -c shared_buffers=16MB`;
  const start = async () => {
    await asUser("pg_ctl", ["-D", data, "-w", "-t", "60", "-l", join(directory, "log"), "-o", options, "start"]);
  };
  const stop = (mode: "fast" | "immediate") => asUser("pg_ctl", ["-D", data, "-w", "-m", mode, "stop"]);
  await start();
  return {
    connectionString: `postgresql:///postgres?host=${encodeURIComponent(directory)}&user=${user}`,
    start,
    kill: async () => void (await stop("immediate")),
    close: async () => {
      await stop("immediate").catch(() => {});
      await rm(directory, { recursive: true, force: true });
    },
  };
}
