/** Looks at a machine from its name to its agent. Runs one script that changes nothing; installs and configures nothing. */
import type { HandshakeResponse } from "@wardline/api/wardline/agent/v1/agent";
import { type CheckHostResponse, CheckStep } from "@wardline/api/wardline/console/v1/fleet";
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { Role } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import { greet } from "../agent/agent-session.ts";
import type { AgentLink } from "../agent/dialer.ts";
import { linkTo } from "../agent/ssh-dialer.ts";
import type { ManagedHost } from "../hosts/managed-host.ts";
import { type PlatformFacts, platformToWire, privilegeName, probePlatform } from "../lifecycle/platform.ts";
import { DEFAULT_AGENT_SOCKET } from "../paths.ts";
import type { ConnectStep, SshConnector, SshSession } from "../ssh/ssh-session.ts";
import { CheckRun } from "./check-run.ts";

const STEPS: Record<ConnectStep, CheckStep> = {
  configuration: CheckStep.CONFIGURATION,
  name: CheckStep.NAME,
  route: CheckStep.ROUTE,
  port: CheckStep.PORT,
  "host-key": CheckStep.HOST_KEY,
  authentication: CheckStep.AUTHENTICATION,
};

const PRIVILEGES: Record<ReturnType<typeof privilegeName>, string> = {
  root: "the login is root",
  sudo: "root by sudo without a password",
  "sudo-password": "root by sudo, which asks for a password",
  none: "no way to become root: the agent can be used, not installed",
};

const ROLES: Record<Role, string> = {
  [Role.UNSPECIFIED]: "no role",
  [Role.VIEWER]: "viewer: may look, may change nothing",
  [Role.OPERATOR]: "operator: may apply, confirm and quarantine",
  [Role.ADMIN]: "admin",
};

export interface CheckTarget {
  /** Of a managed host; empty else. */
  readonly hostId: string;
  readonly name: string;
  readonly access: HostAccess;
}

/** A machine over SSH. */
export function checkRemote(
  connector: SshConnector,
  target: CheckTarget,
  signal: AbortSignal,
): AsyncGenerator<CheckHostResponse> {
  const run = new CheckRun();
  const body = async () => {
    run.begin(CheckStep.CONFIGURATION);
    const session = await connector.connect(target.access, {
      hostId: target.hostId,
      signal,
      isInteractive: true,
      onStep: (step, found) => {
        if (found === null) run.begin(STEPS[step]);
        else run.pass(STEPS[step], found);
      },
    });
    try {
      await lookAround(run, session, target, signal);
    } finally {
      session.close();
    }
  };
  return run.follow(body, signal);
}

/** The machine of the console: there is no SSH in between, and what its agent says of the platform is in its status. */
export function checkLocal(host: ManagedHost, signal: AbortSignal): AsyncGenerator<CheckHostResponse> {
  const run = new CheckRun();
  return run.follow(async () => {
    for (const step of [...Object.values(STEPS), CheckStep.PLATFORM, CheckStep.PRIVILEGE]) {
      run.skip(step, "this machine");
    }
    run.begin(CheckStep.AGENT);
    await host.connection.withFreshLink((link) => askWho(run, link, host.connection.hostName, signal));
  }, signal);
}

async function lookAround(run: CheckRun, session: SshSession, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const facts = await run.step(
    CheckStep.PLATFORM,
    () => probePlatform(session, signal),
    ({ system, kernelRelease, architecture, serviceManager }) =>
      `${system || "unknown system"} ${kernelRelease}, ${architecture}, ${serviceManager === "none" ? "no service manager" : serviceManager}`,
  );
  run.found(platformToWire(facts));
  run.pass(CheckStep.PRIVILEGE, PRIVILEGES[privilegeName(facts)]);
  run.begin(CheckStep.AGENT);
  const socketPath = target.access.agentSocket || DEFAULT_AGENT_SOCKET;
  const link = await linkTo(session, socketPath).catch((error: unknown) => {
    throw withInstalledAgent(error, facts, target.name);
  });
  try {
    await askWho(run, link, target.name, signal);
  } finally {
    link.close();
  }
}

async function askWho(run: CheckRun, link: AgentLink, name: string, signal: AbortSignal): Promise<void> {
  const greeting = await (async () => {
    try {
      return await greet(link.client, signal, (answer) => {
        run.pass(CheckStep.AGENT, describeAgent(answer));
        run.begin(CheckStep.VERSION);
      });
    } catch (error) {
      throw agentFailure(error, name);
    }
  })();
  run.pass(CheckStep.VERSION, `API revisions ${greeting.apiMin} to ${greeting.apiMax}`);
  run.begin(CheckStep.PERMISSION);
  if (greeting.role === Role.UNSPECIFIED) {
    throw new Failure({
      code: ErrorCode.PERMISSION_DENIED,
      message: `The agent on ${name} gives ${greeting.actor || "you"} no role.`,
      hint: "Have an administrator of that host add you to the group wardline (look), wardline-operators (change) or wardline-admins, then connect again.",
    });
  }
  run.pass(CheckStep.PERMISSION, `${greeting.actor}: ${ROLES[greeting.role] ?? "an unknown role"}`);
}

function describeAgent({ agentVersion, agentBuild }: HandshakeResponse): string {
  return `agent ${agentVersion}${agentBuild ? ` (${agentBuild})` : ""}`;
}

/** "Nothing listens" means something else where no agent was ever installed. */
function withInstalledAgent(error: unknown, facts: PlatformFacts, name: string): unknown {
  if (!(error instanceof Failure) || error.code !== ErrorCode.AGENT_MISSING) return error;
  if (!facts.agent) {
    return new Failure({
      code: ErrorCode.AGENT_MISSING,
      message: `No agent is installed on ${name}.`,
      hint: "Install it: wardline host install.",
    });
  }
  const version = facts.agent.identity ? ` ${facts.agent.identity.version}` : "";
  return new Failure({
    code: ErrorCode.AGENT_MISSING,
    message: `The agent${version} is installed on ${name} and does not run. What it enforced stays enforced.`,
    hint: "Look at its log there (journalctl -u wardline-agent), then start it: systemctl start wardline-agent.",
    retryable: true,
  });
}
