/** How a login becomes root on a host: it is root, sudo lets it, or sudo wants the person's password. */
import { QuestionKind } from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { QuestionAsker } from "../questions/questions.ts";
import { fixedCommand } from "../ssh/fixed-command.ts";
import type { SshSession } from "../ssh/ssh-session.ts";
import type { PlatformFacts } from "./platform.ts";
import type { Privilege } from "./script.ts";

// Only a password and the end of input are sent: a wrong one cannot make sudo take lines of a script for the next tries.
const TRY_PASSWORD = fixedCommand(`env LC_ALL=C sudo -k -S -p "" -- true`);
const MAX_TRIES = 3;
const TRY_TIMEOUT_MS = 20_000;

export interface PrivilegeRequest {
  readonly hostId: string;
  readonly asker: QuestionAsker;
  readonly signal: AbortSignal;
}

/**
 * Never leaves the password anywhere but in the returned value.
 * @throws Failure PERMISSION_DENIED with what would allow it
 */
export async function resolvePrivilege(
  session: SshSession,
  facts: PlatformFacts,
  { hostId, asker, signal }: PrivilegeRequest,
): Promise<Privilege> {
  if (facts.userId === 0) return { kind: "root" };
  if (facts.sudo === "free") return { kind: "sudo" };
  if (facts.sudo === "none") throw denied(facts, "there is no sudo on this host");
  const account = `${session.summary.user || facts.userName}@${session.summary.address}`;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const instruction =
      tries === 0
        ? "Installing the agent needs root. The password is passed to sudo, and remembered until the console ends."
        : "sudo did not accept that password.";
    const answers = await asker.ask(
      {
        hostId,
        kind: QuestionKind.SUDO_PASSWORD,
        subject: account,
        instruction,
        prompts: [{ text: `Password of ${account} for sudo`, echo: false }],
        keepAs: `sudo:${hostId}`,
        wasWrong: tries > 0,
      },
      signal,
    );
    signal.throwIfAborted();
    const password = answers?.[0];
    if (password === undefined) throw denied(facts, "sudo wants a password and none was given");
    if (/[\r\n\0]/.test(password)) continue;
    if (await isAccepted(session, facts, password, signal)) return { kind: "sudo-password", password };
  }
  throw denied(facts, "sudo accepted none of the passwords");
}

async function isAccepted(session: SshSession, facts: PlatformFacts, password: string, signal: AbortSignal) {
  const { exitCode, stderr } = await session.run(TRY_PASSWORD, {
    input: Buffer.from(`${password}\n`),
    timeoutMs: TRY_TIMEOUT_MS,
    signal,
  });
  if (exitCode === 0) return true;
  if (/not in the sudoers|may not run sudo|not allowed to (?:execute|run)/.test(stderr)) {
    throw denied(facts, "sudo does not allow this user to become root");
  }
  if (/terminal is required|must have a tty/.test(stderr)) {
    throw denied(facts, "sudo wants a terminal there (`Defaults requiretty`)");
  }
  return false;
}

function denied({ userName }: PlatformFacts, reason: string): Failure {
  const user = userName || "the user";
  return new Failure({
    code: ErrorCode.PERMISSION_DENIED,
    message: `Installing and removing the agent needs root: ${reason}. Nothing was changed.`,
    hint: `Connect as root, or let ${user} use sudo: without a password by a line "${user} ALL=(root) NOPASSWD: ALL" in a file below /etc/sudoers.d (written with visudo), with one by membership of the group sudo or wheel.`,
    retryable: true,
  });
}
