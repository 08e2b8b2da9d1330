/**
 * Stands in for the agent's executable where only the way of installing it is tested: it calls itself what its file says,
 * serves handshake and status on the real socket, and enforces nothing.
 * Arguments: version, build, behaviour, then those of `wardline-agent`.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:http2";

export type Behaviour =
  | "good"
  /** Ends at once, with words. */
  | "ends"
  /** Says another build in its handshake than on the command line. */
  | "other-build"
  /** Came up without what was enforced. */
  | "forgetful"
  /** Cannot be run at all. */
  | "broken";

const [version = "", build = "", behaviour = "good", verb = "", ...rest] = process.argv.slice(2);
const SOCKET = "/run/wardline/agent.sock";
/** A test writes this to make a generation wait for confirmation. */
const PENDING = "/var/lib/wardline/pending";

if (verb === "--version") {
  if (behaviour === "broken") {
    process.stderr.write("wardline-agent: cannot execute: required file not found\n");
    process.exit(127);
  }
  process.stdout.write(`${JSON.stringify({ version, build, apiMin: 1, apiMax: 1 })}\n`);
} else if (verb === "uninstall") {
  if (existsSync(PENDING)) {
    process.stderr.write("wardline-agent: generation 8 waits for confirmation\n");
    process.exit(1);
  }
  if (!rest.includes("--keep-state")) rmSync("/var/lib/wardline/records", { force: true });
  process.stdout.write("Removed the kernel programs and tables\n");
} else if (verb === "run") await run();

async function run(): Promise<void> {
  if (behaviour === "ends") {
    process.stderr.write("wardline-agent: the kernel said no\n");
    process.exit(1);
  }
  // What only asks for the version does not wait for these.
  const { connectNodeAdapter } = await import("@connectrpc/connect-node");
  const { AgentService } = await import("@wardline/api/wardline/agent/v1/agent");
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(AgentService, {
        handshake: () => ({
          agentVersion: version,
          agentBuild: behaviour === "other-build" ? "elsewhere" : build,
          apiMin: 1,
          apiMax: 1,
        }),
        getStatus: () => ({ status: status() }),
      }),
  });
  const server = createServer(handler);
  const next = `${SOCKET}.next`;
  rmSync(next, { force: true });
  mkdirSync("/run/wardline", { recursive: true });
  server.listen(next, () => {
    const group = /^wardline:[^:]*:(\d+):/m.exec(readFileSync("/etc/group", "utf8"))?.[1];
    chownSync(next, 0, Number(group ?? 0));
    chmodSync(next, 0o660);
    renameSync(next, SOCKET);
  });
  process.on("SIGTERM", () => process.exit(0));
}

function status() {
  const isForgetful = behaviour === "forgetful";
  const isPending = existsSync(PENDING);
  return {
    // BACKEND_KIND_EBPF
    info: { name: "stand-in", agentVersion: version, agentBuild: build, backend: 1 },
    enforced: { number: isForgetful ? 0n : 7n, programDigest: isForgetful ? "" : "ab".repeat(32) },
    attached: !isForgetful,
    ...(isPending ? { pending: { generation: { number: 8n } } } : {}),
  };
}
