/** What every step on a host uses: its connection, what it is, how root is had, and where progress is told. */
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgress } from "../jobs/jobs.ts";
import type { Clock, Logger } from "../ports.ts";
import type { QuestionAsker } from "../questions/questions.ts";
import type { SshConnector, SshSession } from "../ssh/ssh-session.ts";
import { DARWIN_GROUPS, DARWIN_ROLL_BACK, DARWIN_STAGE, DARWIN_SWAP, DARWIN_UNINSTALL } from "./darwin-scripts.ts";
import { LINUX_GROUPS, LINUX_ROLL_BACK, LINUX_STAGE, LINUX_SWAP, LINUX_UNINSTALL } from "./linux-scripts.ts";
import type { AgentPackage } from "./manifest.ts";
import { type PlatformFacts, probePlatform } from "./platform.ts";
import { resolvePrivilege } from "./privilege.ts";
import { type FixedScript, type Privilege, runScript, type ScriptAnswer } from "./script.ts";
import { requireSuccess } from "./script-failures.ts";

export interface LifecyclePorts {
  readonly connector: SshConnector;
  readonly asker: QuestionAsker;
  readonly agentPackage: AgentPackage;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LifecycleHost {
  readonly id: string;
  readonly name: string;
  readonly access: HostAccess;
}

export interface HostWork {
  readonly ports: LifecyclePorts;
  readonly host: LifecycleHost;
  readonly progress: HostProgress;
  readonly session: SshSession;
  readonly facts: PlatformFacts;
  readonly privilege: Privilege;
  readonly system: SystemScripts;
}

export interface SystemScripts {
  readonly groups: FixedScript;
  readonly stage: FixedScript;
  readonly swap: FixedScript;
  readonly rollBack: FixedScript;
  readonly uninstall: FixedScript;
  /** Names in the manifest. */
  readonly serviceFiles: readonly string[];
}

const LINUX: SystemScripts = {
  groups: LINUX_GROUPS,
  stage: LINUX_STAGE,
  swap: LINUX_SWAP,
  rollBack: LINUX_ROLL_BACK,
  uninstall: LINUX_UNINSTALL,
  serviceFiles: ["wardline-agent.service", "wardline-boot.service", "wardline.sysusers.conf"],
};

const DARWIN: SystemScripts = {
  groups: DARWIN_GROUPS,
  stage: DARWIN_STAGE,
  swap: DARWIN_SWAP,
  rollBack: DARWIN_ROLL_BACK,
  uninstall: DARWIN_UNINSTALL,
  serviceFiles: ["io.wardline.agent.plist"],
};

/**
 * Connects, looks at the host, becomes root, and runs `body`. `inspect` sees the facts before a password is asked for, and
 * throws when they speak against going on.
 */
export async function withHost<Result>(
  ports: LifecyclePorts,
  host: LifecycleHost,
  progress: HostProgress,
  inspect: (facts: PlatformFacts, session: SshSession) => Promise<void>,
  body: (work: HostWork) => Promise<Result>,
): Promise<Result> {
  const { signal } = progress;
  progress.step("connect", "Connecting");
  const session = await connect(ports, host, signal);
  try {
    progress.step("platform", "Looking at the system");
    const facts = await probePlatform(session, signal);
    await inspect(facts, session);
    progress.step("privilege", facts.userId === 0 ? "Connected as root" : "Becoming root by sudo");
    const privilege = await resolvePrivilege(session, facts, { hostId: host.id, asker: ports.asker, signal });
    signal.throwIfAborted();
    const system = facts.system === "Darwin" ? DARWIN : LINUX;
    return await body({ ports, host, progress, session, facts, privilege, system });
  } finally {
    session.close();
  }
}

export function connect(ports: LifecyclePorts, host: LifecycleHost, signal: AbortSignal): Promise<SshSession> {
  return ports.connector.connect(host.access, { hostId: host.id, signal, isInteractive: true });
}

/** Runs a script as root and throws what it failed with. `what` begins the sentence about an end without an answer. */
export async function asRoot(
  { session, privilege, progress }: HostWork,
  script: FixedScript,
  what: string,
  parameters: readonly string[],
  options: { readonly timeoutMs: number; readonly isCancelable?: boolean },
): Promise<ScriptAnswer> {
  const { timeoutMs, isCancelable = true } = options;
  const request = { script, privilege, parameters, timeoutMs };
  const answer = await runScript(session, isCancelable ? { ...request, signal: progress.signal } : request);
  requireSuccess(answer, what);
  return answer;
}

export function unsupported(obstacles: readonly string[]): Failure {
  return new Failure({
    code: ErrorCode.HOST_UNSUPPORTED,
    message: `The agent cannot be installed there. ${obstacles.join(" ")} Nothing was changed.`,
    hint: "Remove what stands in the way, then install again.",
  });
}
