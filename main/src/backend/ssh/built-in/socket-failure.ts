/**
 * Why a socket on a machine could not be opened. sshd answers the same whatever the reason is, so the machine is asked
 * with a command, as the user who connects.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { fixedCommand } from "../fixed-command.ts";
import type { SshSession } from "../ssh-session.ts";

/**
 * Reads the path on standard input; says `missing`, `not-socket`, `denied`, `listening`, `dead` or `usable` (nothing more
 * is known). No single quote inside: every login shell takes it alike. `/proc/net/unix` lists sockets by the name they
 * were bound to, and the agent binds in a private directory beside the final place: hence the directory is compared.
 */
const EXAMINE = fixedCommand(
  `exec sh -c 'IFS= read -r path; test -n "$path" || exit 9; home=$(dirname "$path"); dir=$home; while test "$dir" != / && test -e "$dir" && test -x "$dir"; do dir=$(dirname "$dir"); done; if test "$dir" != / && test -e "$dir"; then echo denied; elif test -S "$path"; then if test -w "$path"; then if test -r /proc/net/unix; then while read -r a b c flags d state e name; do if test "$flags" = 00010000; then case "$name" in "$home"/*) echo listening; exit 0;; esac; fi; done < /proc/net/unix; echo dead; else echo usable; fi; else echo denied; fi; elif test -e "$path"; then echo not-socket; else echo missing; fi'`,
);

/** @param found what `examineSocket` says. @param cause what sshd said */
export function socketFailure(found: string, path: string, hostName: string, cause: unknown): Failure {
  switch (found) {
    case "denied":
      return new Failure(
        {
          code: ErrorCode.PERMISSION_DENIED,
          message: `You may not use the agent's socket ${path} on ${hostName}.`,
          hint: "Have an administrator of that machine add your account to the group `wardline`, then connect again.",
        },
        { cause },
      );
    case "listening":
    case "usable":
      return new Failure(
        {
          code: ErrorCode.HOST_UNSUPPORTED,
          message: `The agent listens on ${hostName}, but its SSH server forbids forwarding to sockets.`,
          hint: "Set AllowStreamLocalForwarding yes (and not DisableForwarding) in its sshd_config, for this account at least.",
        },
        { cause },
      );
    default:
      return new Failure(
        {
          code: ErrorCode.AGENT_MISSING,
          message: missingText(found, path, hostName),
          hint: "Install the agent on it, or start it: systemctl start wardline-agent",
          retryable: true,
        },
        { cause },
      );
  }
}

function missingText(found: string, path: string, hostName: string): string {
  if (found === "dead") return `The agent on ${hostName} has ended: its socket ${path} is there and nobody listens.`;
  if (found === "not-socket") return `${path} on ${hostName} is not a socket.`;
  if (found === "missing") return `No agent runs on ${hostName}: there is no socket ${path}.`;
  return `The agent's socket ${path} on ${hostName} could not be opened, and the machine does not tell why.`;
}

/** Empty when the machine does not tell. Never throws. */
export async function examineSocket(session: Pick<SshSession, "run">, path: string): Promise<string> {
  try {
    const { stdout } = await session.run(EXAMINE, {
      input: Buffer.from(`${path}\n`),
      timeoutMs: 10_000,
      maxOutputBytes: 64 * 1024,
    });
    return stdout.trim().split("\n").at(-1) ?? "";
  } catch {
    return "";
  }
}
