import { toJson } from "@bufbuild/protobuf";
import { HandshakeResponseSchema } from "@wardline/api/wardline/agent/v1/agent";
import { Emergency, type HostStatus, HostStatusSchema, type Quarantine, Role } from "@wardline/api/wardline/v1/host";
import { Failure } from "@wardline/domain/errors";
import { agentFailure } from "../../backend/agent/agent-failure.ts";
import type { AgentClient } from "../../backend/agent/dialer.ts";
import { UnixSocketDialer } from "../../backend/agent/unix-dialer.ts";
import { API_MAX, API_MIN, CONSOLE_VERSION } from "../../backend/version.ts";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { agentSocketOf, type SessionOptions } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { BACKENDS, MODES } from "./host-list.ts";

const CALL_TIMEOUT_MS = 5_000;

const EMERGENCIES: Record<Emergency, string> = {
  [Emergency.UNSPECIFIED]: "none",
  [Emergency.NONE]: "none",
  [Emergency.OPEN]: "open: everything passes",
  [Emergency.CLOSED]: "closed: nothing passes",
};

/** `wardline agent status`. Exit code 1 when the agent itself knows of problems. */
export async function agentStatus(output: Output, options: SessionOptions): Promise<ExitCode> {
  return withAgent(options, async (client) => {
    const hello = await greet(client);
    const { status } = await client.getStatus({}, { timeoutMs: CALL_TIMEOUT_MS });
    if (output.format === "json") {
      output.json({
        agent: toJson(HandshakeResponseSchema, hello),
        status: status ? toJson(HostStatusSchema, status) : null,
      });
    } else if (status) output.text(formatStatus(output, status, hello.actor, hello.role));
    return (status?.problems.length ?? 0) > 0 ? EXIT.problems : EXIT.done;
  });
}

/**
 * `wardline agent release`. Rules outlive the agent, so that removing them must work without one: then an agent is
 * started for this and ended again.
 */
export async function agentRelease(output: Output, options: ReleaseOptions): Promise<ExitCode> {
  requireChangesAllowed();
  if (
    !options.yes &&
    !(await confirmOnTerminal("Remove every rule from this machine? It enforces nothing afterwards."))
  ) {
    output.note("Nothing was changed.");
    return EXIT.problems;
  }
  const { ensureLocalAgent } = await import("../start/local-agent.ts");
  const agent = await ensureLocalAgent(output, options);
  if (agent.problem !== null) throw agent.problem;
  try {
    return await withAgent({ agentSocket: agent.socketPath }, async (client) => {
      const hello = await greet(client);
      await client.release({ reason: options.reason }, { timeoutMs: CALL_TIMEOUT_MS });
      const name = hello.host?.name ?? "this machine";
      if (output.format === "json") output.json({ released: true, host: name });
      else output.text(`Released: ${visible(name)} enforces nothing now.\n`);
      return EXIT.done;
    });
  } finally {
    await agent.process?.stop();
  }
}

export interface ReleaseOptions extends SessionOptions {
  readonly reason: string;
  readonly yes: boolean;
  readonly agentArguments?: readonly string[];
}

/** Whom the agent on this machine has cut off, and its host's name; nobody when it cannot be asked. */
export async function localQuarantines(options: SessionOptions) {
  const nobody: { hostName: string; quarantines: readonly Quarantine[] } = { hostName: "", quarantines: [] };
  try {
    return await withAgent(options, async (client) => {
      const { status } = await client.getStatus({}, { timeoutMs: CALL_TIMEOUT_MS });
      return { hostName: status?.info?.name ?? "", quarantines: status?.quarantines ?? [] };
    });
  } catch (error) {
    if (error instanceof Failure) return nobody;
    throw error;
  }
}

export function greet(client: AgentClient) {
  return client.handshake(
    { clientName: "wardline", clientVersion: CONSOLE_VERSION, apiMin: API_MIN, apiMax: API_MAX },
    { timeoutMs: CALL_TIMEOUT_MS },
  );
}

/** Straight to the socket: the agent's state must be readable when the console's database is not. */
export async function withAgent<Result>(
  options: SessionOptions,
  body: (client: AgentClient) => Promise<Result>,
): Promise<Result> {
  const socket = agentSocketOf(options);
  const link = await new UnixSocketDialer(socket).dial();
  try {
    return await body(link.client);
  } catch (error) {
    throw agentFailure(error, "this machine");
  } finally {
    link.close();
  }
}

function formatStatus({ style }: Output, status: HostStatus, actor: string, role: Role): string {
  const { info, enforced, pending } = status;
  const generation =
    !enforced || enforced.number === 0n
      ? "none"
      : `${enforced.number} (${MODES[enforced.mode]}, ${enforced.policyCount} policies, by ${enforced.appliedBy})`;
  const rows = [
    [
      "Host",
      `${info?.name ?? ""} (${info?.operatingSystem ?? ""} ${info?.kernelRelease ?? ""}, ${info?.architecture ?? ""})`,
    ],
    ["Agent", `${info?.agentVersion ?? ""} (${info?.agentBuild ?? ""}), process ${info?.processId ?? 0}`],
    ["Backend", `${info ? BACKENDS[info.backend] : ""}: ${info?.backendReason ?? ""}`],
    ["In the kernel", status.attached ? `attached at ${info?.cgroupRoot || "its hooks"}` : "not attached"],
    ["Edge", status.edgeInterfaces.length > 0 ? status.edgeInterfaces.join(", ") : "none"],
    ["Emergency", EMERGENCIES[status.emergency]],
    ["Generation", generation],
    ["Pending", pending ? `generation ${pending.generation?.number ?? 0n} waits for confirmation` : "nothing"],
    ["Memory", `${(Number(status.memoryBytes) / 1024 / 1024).toFixed(0)} MiB`],
    ["You are", `${actor}, ${Role[role]?.toLowerCase() ?? ""}`],
    ...status.quarantines.map(({ subjectKey, actor }) => ["Quarantine", `${subjectKey}, by ${actor}`]),
    ...(info?.backendLimits ?? []).map((limit) => ["Limit", limit]),
    ...(info?.capabilities ?? []).map(({ name, available, detail }) => [
      available ? "Has" : "Missing",
      `${name}: ${detail}`,
    ]),
    ...status.foreignPrograms.map(({ id, name, hook }) => [
      "Foreign",
      `program ${id} (${name || "without a name"}) at ${hook}: it may drop what Wardline allows`,
    ]),
    ...status.problems.map((problem) => ["Problem", problem]),
  ];
  return rows
    .map(([name = "", value = ""]) => formatTable([name.padEnd(14), value], []))
    .map((line) => paintKey(line, style.dim))
    .join("");
}

function paintKey(line: string, paint: (text: string) => string): string {
  return paint(line.slice(0, 14)) + line.slice(14);
}
