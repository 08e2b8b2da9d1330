import { toJson } from "@bufbuild/protobuf";
import {
  type CheckHostResponse,
  CheckHostResponseSchema,
  CheckStep,
  type Platform,
  type ShownHostKey,
  StepState,
} from "@wardline/api/wardline/console/v1/fleet";
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode } from "@wardline/domain/errors";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { accessOf } from "../input/host-access.ts";
import type { Output } from "../output.ts";
import type { CommonOptions } from "../registration.ts";
import { type Session, withSession } from "../session.ts";
import { hasTerminal } from "../terminal/questions.ts";
import { visible, visibleLines } from "../terminal/visible.ts";

export type CheckTarget = { readonly hostId: string } | { readonly access: HostAccess };

const STEPS: Record<CheckStep, string> = {
  [CheckStep.UNSPECIFIED]: "",
  [CheckStep.CONFIGURATION]: "configuration",
  [CheckStep.NAME]: "name",
  [CheckStep.ROUTE]: "route",
  [CheckStep.PORT]: "port",
  [CheckStep.HOST_KEY]: "host key",
  [CheckStep.AUTHENTICATION]: "authentication",
  [CheckStep.PLATFORM]: "platform",
  [CheckStep.PRIVILEGE]: "privilege",
  [CheckStep.AGENT]: "agent",
  [CheckStep.VERSION]: "version",
  [CheckStep.PERMISSION]: "permission",
};

export interface CheckResult {
  readonly failed: CheckHostResponse | null;
  readonly json: object;
}

/** `wardline host check`. Exit code 3 when a step fails. */
export async function hostCheck(output: Output, options: CommonOptions, name: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const result = await runCheck(output, session, checkTarget(session, name));
    if (output.format === "json") output.json(result.json);
    return result.failed ? EXIT.unreachable : EXIT.done;
  });
}

/** A managed host, or a destination that is not managed. @throws Failure, UsageError */
export function checkTarget(session: Session, name: string): CheckTarget {
  const { registry } = session.backend;
  const isManaged = registry.hosts.some(
    (host) => host.id === name || host.record.alias === name || host.connection.hostName === name,
  );
  return isManaged ? { hostId: registry.byIdOrName(name).id } : { access: accessOf(name) };
}

/** Tells the steps as they come; at a terminal it asks about a key of first contact, and looks again. */
export async function runCheck(output: Output, session: Session, target: CheckTarget): Promise<CheckResult> {
  for (;;) {
    const ends = await readSteps(output, session, target);
    const failed = ends.find(({ state }) => state === StepState.FAILED) ?? null;
    const platform = ends.find((message) => message.platform)?.platform;
    if (output.format === "text" && platform) output.text(formatPlatform(platform));
    if (output.format === "text" && failed?.error) {
      output.note(`${visible(failed.error.message)}\n  ${visible(failed.error.hint)}`);
    }
    const shownKey = failed?.shownKey;
    const isFirstContact = failed?.error?.code === ErrorCode.HOST_KEY_UNKNOWN;
    if (shownKey && isFirstContact && hasTerminal() && (await askAboutKey(output, shownKey))) {
      await session.fleet.trustHostKey({ ...target, fingerprint: shownKey.fingerprint });
      continue;
    }
    return { failed, json: { steps: ends.map((message) => toJson(CheckHostResponseSchema, message)) } };
  }
}

async function readSteps(output: Output, session: Session, target: CheckTarget): Promise<CheckHostResponse[]> {
  const ends: CheckHostResponse[] = [];
  for await (const message of session.fleet.checkHost(target)) {
    if (message.state === StepState.RUNNING) continue;
    ends.push(message);
    if (output.format === "text" && message.state !== StepState.SKIPPED) output.text(formatStep(output, message));
  }
  return ends;
}

/** Shows the key as OpenSSH does and asks. */
export async function askAboutKey(output: Output, key: ShownHostKey): Promise<boolean> {
  output.note(formatKey(key));
  return confirmOnTerminal("Is this the machine's own key?");
}

export function formatKey(key: ShownHostKey): string {
  const known = key.known.map((line) => `\n  known: ${visible(line)}`).join("");
  const where = `${visible(key.address)} port ${key.port}`;
  return `${where} shows this ${visible(key.keyType)} key:\n  ${visible(key.fingerprint)}${known}\n${visibleLines(key.randomArt)}`;
}

function formatStep({ style }: Output, { step, state, detail, tookMs }: CheckHostResponse): string {
  const mark = state === StepState.PASSED ? style.green("✓") : style.red("✗");
  const time = tookMs > 0 ? style.dim(` ${tookMs} ms`) : "";
  return `${mark} ${(STEPS[step] ?? "").padEnd(15)} ${visible(detail)}${time}\n`;
}

function formatPlatform({ capabilities, obstacles }: Platform): string {
  const lines = capabilities.map(
    ({ name, available, detail }) => `    ${available ? "has" : "no "} ${visible(name).padEnd(12)} ${visible(detail)}`,
  );
  return [...lines, ...obstacles.map((each) => `    ! ${visible(each)}`)].map((line) => `${line}\n`).join("");
}
