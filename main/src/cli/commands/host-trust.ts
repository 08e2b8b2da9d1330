import { StepState } from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode } from "@wardline/domain/errors";
import { EXIT, type ExitCode, exitCodeOf, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { type Session, withSession } from "../session.ts";
import { hasTerminal } from "../terminal/questions.ts";
import { visible } from "../terminal/visible.ts";
import type { HostTrustOptions } from "./host.options.ts";
import { askAboutKey, type CheckTarget, checkTarget, formatKey } from "./host-check.ts";

/** `wardline host trust`: shows the key and asks, or accepts the one that was named. */
export async function hostTrust(output: Output, options: HostTrustOptions, name: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const target = checkTarget(session, name);
    if (options.fingerprint !== undefined) return trust(output, session, target, options.fingerprint);
    const failed = await firstFailure(session, target);
    const key = failed?.shownKey;
    if (!key || !failed?.error) {
      if (failed?.error) {
        output.note(`${visible(failed.error.message)}\n  ${visible(failed.error.hint)}`);
        return exitCodeOf(failed.error.code);
      }
      if (output.format === "json") output.json({ trusted: true, path: null });
      else output.text("Its key is trusted already.\n");
      return EXIT.done;
    }
    if (failed.error.code !== ErrorCode.HOST_KEY_UNKNOWN) {
      output.note(`${formatKey(key)}\n${visible(failed.error.message)}\n  ${visible(failed.error.hint)}`);
      return EXIT.unreachable;
    }
    if (!hasTerminal()) {
      output.note(formatKey(key));
      throw new UsageError(
        "This asks before it trusts, and there is no terminal to ask on.",
        `Compare the key at the machine's own console, then give --fingerprint ${key.fingerprint}`,
      );
    }
    if (await askAboutKey(output, key)) return trust(output, session, target, key.fingerprint);
    output.note("Nothing was written.");
    return EXIT.problems;
  });
}

async function firstFailure(session: Session, target: CheckTarget) {
  for await (const message of session.fleet.checkHost(target)) {
    if (message.state === StepState.FAILED) return message;
  }
  return null;
}

async function trust(output: Output, session: Session, target: CheckTarget, fingerprint: string): Promise<ExitCode> {
  const { path } = await session.fleet.trustHostKey({ ...target, fingerprint });
  if (output.format === "json") output.json({ trusted: true, path });
  else output.text(`Trusted: ${visible(fingerprint)} is in ${visible(path)}.\n`);
  return EXIT.done;
}
