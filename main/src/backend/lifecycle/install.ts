/**
 * Puts the agent of this console on a host, or exchanges the one that is there. What is enforced lives in the kernel and
 * is adopted by the new agent, so no packet meets another decision meanwhile. Every step may be cut off and started again:
 * until the exchange nothing of the old agent is touched, and the exchange comes to its end on the host by itself.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostProgress } from "../jobs/jobs.ts";
import { type AgentReport, reportBefore } from "./agent-check.ts";
import { type Decision, decide, neededKb, refusePending } from "./decision.ts";
import { asRoot, type HostWork, type LifecycleHost, type LifecyclePorts, unsupported, withHost } from "./host-work.ts";
import type { ManifestFile, VerifiedManifest } from "./manifest.ts";
import { obstaclesOf } from "./platform.ts";
import type { ScriptAnswer } from "./script.ts";
import { removeUpload, uploadFiles } from "./upload.ts";
import { verifyAgent } from "./verify-agent.ts";
import { type AgentIdentity, formatIdentity, parseIdentity } from "./versions.ts";

const GROUPS_TIMEOUT_MS = 30_000;
const STAGE_TIMEOUT_MS = 5 * 60_000;
/** The script itself waits 30 s for each of two starts. */
const SWAP_TIMEOUT_MS = 150_000;
const ACCOUNT = /^[A-Za-z0-9_.][A-Za-z0-9._-]{0,31}$/;

export interface InstallOptions {
  readonly force: boolean;
  readonly operators: readonly string[];
  readonly admins: readonly string[];
}

/** @throws Failure: what is wrong, what was left as it is, and what to do */
export async function installOnHost(
  ports: LifecyclePorts,
  host: LifecycleHost,
  options: InstallOptions,
  progress: HostProgress,
): Promise<void> {
  const manifest = await ports.agentPackage.manifest();
  let before: AgentReport | null = null;
  let decision: Decision | null = null;
  await withHost(
    ports,
    host,
    progress,
    async (facts, session) => {
      before = await reportBefore(session, host.access.agentSocket, host.name, options.force);
      decision = decide(manifest, facts, before, options.force);
      const there = facts.agent?.identity;
      const now = there ? formatIdentity(there) : "no agent";
      const text = `${facts.system} ${facts.kernelRelease}, ${facts.architecture}, ${now}`;
      progress.step("platform", facts.libraries.has("libbpf.so.1") ? text : `${text}; ${LIBBPF_MISSING}`);
    },
    async (work) => {
      if (decision) await install(work, { manifest, decision, before, options });
    },
  );
}

const LIBBPF_MISSING =
  "libbpf.so.1 is missing, so it cannot use eBPF: install libbpf1 (Debian, Ubuntu) or libbpf (Fedora, Arch)";

interface Plan {
  readonly manifest: VerifiedManifest;
  readonly decision: Decision;
  readonly before: AgentReport | null;
  readonly options: InstallOptions;
}

async function install(work: HostWork, plan: Plan): Promise<void> {
  const { progress } = work;
  const { decision, manifest } = plan;
  if (decision.isNeeded) {
    const answer = await exchange(work, plan);
    await confirmExchange(work, answer, manifest, plan.before);
  } else {
    await ensureGroups(work, decision, plan.options);
    progress.step("handshake", `${formatIdentity(manifest)} is there and runs: nothing to install`, 100);
  }
  await removeUpload(work);
}

async function exchange(work: HostWork, { manifest, decision, before, options }: Plan): Promise<ScriptAnswer> {
  const { progress, system } = work;
  const { binary } = decision;
  const services = system.serviceFiles.map((name) => serviceFile(manifest, name));
  const directory = await uploadFiles(work, [binary.packed, ...services]);

  progress.step("verify", `Checking the agent there, ${manifest.version} signed by ${manifest.signedBy}`);
  const staged = await asRoot(
    work,
    system.stage,
    "Unpacking the agent",
    [
      ...[directory, binary.packed.name, String(binary.sizeBytes), binary.sha256, String(neededKb(binary.sizeBytes))],
      ...services.flatMap(({ name, sha256 }) => [name, sha256]),
      "end",
    ],
    { timeoutMs: STAGE_TIMEOUT_MS },
  );
  requireIdentity(staged, manifest);
  await ensureGroups(work, decision, options);

  progress.signal.throwIfAborted();
  const what = before?.status.enforced?.number ? "; what is enforced stays enforced" : "";
  progress.step("install", `Putting the agent into place and starting it${what}`);
  return asRoot(work, system.swap, "Starting the agent", [binary.sha256], {
    timeoutMs: SWAP_TIMEOUT_MS,
    isCancelable: false,
  });
}

/** The signature was made for a file that calls itself this. */
function requireIdentity(staged: ScriptAnswer, manifest: VerifiedManifest): void {
  const identity = parseIdentity(staged.value("version"));
  if (identity && formatIdentity(identity) === formatIdentity(manifest)) return;
  throw new Failure({
    code: ErrorCode.MANIFEST_INVALID,
    message: `The agent calls itself ${identity ? formatIdentity(identity) : "nothing known"}, the manifest ${formatIdentity(manifest)}. Nothing was changed.`,
    hint: "Build it again with `npm run build:agent`.",
  });
}

async function ensureGroups(work: HostWork, decision: Decision, options: InstallOptions): Promise<void> {
  const { facts, progress, system } = work;
  const named = options.operators.length > 0 || options.admins.length > 0;
  if (!decision.isNeeded && !named) return;
  // Root is an administrator without any group; on an upgrade nobody's role changes unasked.
  const isOwnLogin = !named && !decision.isUpgrade && facts.userId !== 0 && ACCOUNT.test(facts.userName);
  const operators = isOwnLogin ? [facts.userName] : options.operators;
  progress.step("groups", "Groups wardline, wardline-operators and wardline-admins");
  const lines = [...operators.map((name) => `operators ${name}`), ...options.admins.map((name) => `admins ${name}`)];
  await asRoot(work, system.groups, "Making the groups", [...lines, "end"], { timeoutMs: GROUPS_TIMEOUT_MS });
}

/** Exchanges the agent with the version that was there before the last upgrade. */
export async function rollBackOnHost(
  ports: LifecyclePorts,
  host: LifecycleHost,
  progress: HostProgress,
): Promise<void> {
  let before: AgentReport | null = null;
  await withHost(
    ports,
    host,
    progress,
    async (facts, session) => {
      const obstacles = obstaclesOf(facts);
      if (obstacles.length > 0) throw unsupported(obstacles);
      before = await reportBefore(session, host.access.agentSocket, host.name, true);
      refusePending(before);
    },
    async (work) => {
      progress.step("install", "Putting the version of before into place; what is enforced stays enforced");
      const options = { timeoutMs: SWAP_TIMEOUT_MS, isCancelable: false };
      const answer = await asRoot(work, work.system.rollBack, "Rolling back", [], options);
      await confirmExchange(work, answer, parseIdentity(answer.value("version")), before);
    },
  );
}

/** Judges what the exchange made, and undoes it when it is not right. */
async function confirmExchange(
  work: HostWork,
  answer: ScriptAnswer,
  expected: AgentIdentity | null,
  before: AgentReport | null,
): Promise<void> {
  const { progress } = work;
  if (answer.value("outcome") !== "running") throw exchangeFailure(answer);
  progress.step("handshake", "Asking the agent over a new connection");
  const verification = await verifyAgent(work, expected, before);
  if (verification.kind === "wrong") throw await undo(work, verification.reason);
  if (verification.kind === "not-allowed") {
    progress.step("handshake", "It runs; this login may not ask it anything (docs/agent.md: Who may call it)", 100);
    return;
  }
  const { identity, status } = verification.report;
  const generation = status.enforced?.number ? `, enforcing generation ${status.enforced.number} as before` : "";
  progress.step("handshake", `${formatIdentity(identity)} answers${generation}`, 100);
}

async function undo(work: HostWork, reason: string): Promise<Failure> {
  if (!work.facts.agent)
    return badAgent(`It was started, but ${reason}. It was left there.`, "Look at its log, then try again.");
  work.progress.step("roll-back", "Putting the version of before back");
  const options = { timeoutMs: SWAP_TIMEOUT_MS, isCancelable: false };
  const answer = await asRoot(work, work.system.rollBack, "Rolling back", [], options);
  const isBack = answer.value("outcome") === "running";
  const end = isBack ? "The version of before is back and runs." : "The version of before could not be started either.";
  return badAgent(`After the exchange ${reason}. ${end}`, "What is enforced is in the kernel and was not changed.");
}

function exchangeFailure(answer: ScriptAnswer): Failure {
  const words = answer.all("log").at(-1);
  const last = words ? ` Its last words: ${words}` : "";
  switch (answer.value("outcome")) {
    case "rolled-back":
      return badAgent(`It did not come up. The version of before is back and runs.${last}`, UNCHANGED_HINT);
    case "undone":
      return badAgent(`It did not come up and was removed again.${last}`, "Look at what it says, then try again.");
    default:
      return badAgent(`It did not come up, and no other version could be started.${last}`, UNCHANGED_HINT);
  }
}

const UNCHANGED_HINT = "What is enforced is in the kernel and was not changed.";

function badAgent(message: string, hint: string): Failure {
  return new Failure({
    code: ErrorCode.HOST_UNSUPPORTED,
    message: `The agent is not right on this host. ${message}`,
    hint,
  });
}

function serviceFile(manifest: VerifiedManifest, name: string): ManifestFile {
  const found = manifest.services.find((file) => file.name === name);
  if (found) return found;
  throw new Failure({
    code: ErrorCode.MANIFEST_INVALID,
    message: `The manifest does not name ${name}, which this host needs.`,
    hint: "Build it again with `npm run build:agent`.",
  });
}
