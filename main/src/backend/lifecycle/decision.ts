/** Whether a host takes the agent that this console has, and what there is to do. Decided before anything is changed. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentReport } from "./agent-check.ts";
import { unsupported } from "./host-work.ts";
import type { AgentBinary, VerifiedManifest } from "./manifest.ts";
import { obstaclesOf, type PlatformFacts, platformKey } from "./platform.ts";
import { compareVersions, formatIdentity } from "./versions.ts";

/** Records and the exchange need a little more than the files. */
const SPARE_KB = 20 * 1024;

export interface Decision {
  readonly binary: AgentBinary;
  /** False where this very file is in place and runs. */
  readonly isNeeded: boolean;
  /** An agent was there before. */
  readonly isUpgrade: boolean;
}

/** @throws Failure HOST_UNSUPPORTED, VERSION_MISMATCH, CONFIRMATION_PENDING, DISK_FULL */
export function decide(
  manifest: VerifiedManifest,
  facts: PlatformFacts,
  before: AgentReport | null,
  force: boolean,
): Decision {
  const obstacles = obstaclesOf(facts);
  if (obstacles.length > 0) throw unsupported(obstacles);
  const binary = binaryFor(manifest, facts);
  refusePending(before);
  const there = before?.identity ?? facts.agent?.identity ?? null;
  if (there && !force && compareVersions(there.version, manifest.version) > 0) {
    throw new Failure({
      code: ErrorCode.VERSION_MISMATCH,
      message: `The agent there is ${formatIdentity(there)}, which is newer than the ${formatIdentity(manifest)} of this console. Nothing was changed.`,
      hint: "Update the console, or force the older version.",
    });
  }
  const isInPlace = facts.agent?.sha256 === binary.sha256 && facts.agent.isActive;
  const isRunning = before === null || formatIdentity(before.identity) === formatIdentity(manifest);
  const isNeeded = force || !isInPlace || !isRunning;
  if (isNeeded) requireSpace(facts, binary);
  return { binary, isNeeded, isUpgrade: facts.agent !== null };
}

/** A restart would roll a pending generation back under the hands of whoever is about to confirm it. */
export function refusePending(before: AgentReport | null): void {
  if (!before?.status.pending) return;
  throw new Failure({
    code: ErrorCode.CONFIRMATION_PENDING,
    message:
      "A generation waits for confirmation on this host, and a restart of its agent would take it back. Nothing was changed.",
    hint: "Confirm it or roll it back, then start again.",
    retryable: true,
  });
}

function binaryFor(manifest: VerifiedManifest, facts: PlatformFacts): AgentBinary {
  const key = platformKey(facts);
  const found = manifest.agents.find(({ platform }) => platform === key);
  if (found) return found;
  const built = manifest.agents.map(({ platform }) => platform).join(", ");
  throw new Failure({
    code: ErrorCode.HOST_UNSUPPORTED,
    message: `This host is ${key}, and this console has the agent for ${built} only. Nothing was changed.`,
    hint: `Build it in the checkout of this console: \`npm run build:agent -- --target ${key}\` (docs/agent.md).`,
  });
}

function requireSpace(facts: PlatformFacts, { sizeBytes, packed }: AgentBinary): void {
  const homeKb = Math.ceil(packed.sizeBytes / 1024) + SPARE_KB;
  const installKb = neededKb(sizeBytes);
  const lacking = (free: number | null, needed: number) => free !== null && free < needed;
  const where = lacking(facts.homeFreeKb, homeKb)
    ? { name: "the home directory", needed: homeKb, free: facts.homeFreeKb ?? 0 }
    : lacking(facts.installFreeKb, installKb)
      ? { name: "the file system of the agent", needed: installKb, free: facts.installFreeKb ?? 0 }
      : null;
  if (!where) return;
  const megabytes = (kb: number) => Math.round(kb / 1024).toLocaleString("en");
  throw new Failure({
    code: ErrorCode.DISK_FULL,
    message: `There is not enough space in ${where.name}: ${megabytes(where.needed)} MB are needed, ${megabytes(where.free)} MB are free. Nothing was changed.`,
    hint: "Make space there.",
    retryable: true,
  });
}

/** What has to be free where the agent is installed. */
export function neededKb(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 1024) + SPARE_KB;
}
