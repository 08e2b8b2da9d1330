/** What went wrong on the way to a machine, in words that say what to do. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { replaceInvisible } from "@wardline/domain/text";

/** Where a failure happened, for its words. */
export interface Place {
  readonly hostName: string;
  readonly port: number;
  /** Name of the machine in between from which it is reached; empty = from here. */
  readonly from: string;
}

export function placeText({ hostName, port, from }: Place): string {
  const name = hostName.includes(":") ? `[${hostName}]` : hostName;
  return `${name}:${port}${from === "" ? "" : ` (from ${from})`}`;
}

/** Text of a stranger for a sentence of ours: one line, bounded, nothing in it moves a cursor. */
export function strangersText(text: string, limit = 120): string {
  const shown = replaceInvisible(text.slice(0, limit), (codePoint) => `\\u{${codePoint.toString(16)}}`).trim();
  return text.length > limit ? `${shown}…` : shown;
}

export function unreachable(message: string, hint: string, cause?: unknown): Failure {
  return new Failure({ code: ErrorCode.HOST_UNREACHABLE, message, hint, retryable: true }, { cause });
}

export function canceled(): Failure {
  return new Failure({ code: ErrorCode.CANCELED, message: "Connecting was given up.", retryable: true });
}

export function nameNotFound(hostName: string, code: string, cause: unknown): Failure {
  if (code === "EAI_AGAIN" || code === "ETIMEOUT") {
    return unreachable(
      `The name ${hostName} could not be looked up: no name server answered.`,
      "Check this machine's network and its name servers.",
      cause,
    );
  }
  return unreachable(
    `There is no machine with the name ${hostName} (${code}).`,
    "Check the spelling, or add HostName for it to ~/.ssh/config.",
    cause,
  );
}

/** A failed TCP connection, by the system's error code. */
export function connectFailure(place: Place, code: string, cause: unknown): Failure {
  const where = placeText(place);
  switch (code) {
    case "ECONNREFUSED":
      return unreachable(
        `${where} refuses connections: the machine is there and no SSH server listens on port ${place.port}.`,
        "Check the port, and whether sshd runs there.",
        cause,
      );
    case "ENETUNREACH":
    case "EHOSTUNREACH":
    case "EADDRNOTAVAIL":
      return unreachable(
        `There is no route to ${where} (${code}).`,
        "Check that the machine is on, and this machine's network, VPN and policies.",
        cause,
      );
    case "EPERM":
    case "EACCES":
      return unreachable(
        `This machine's own firewall or policy does not let a connection to ${where} out (${code}).`,
        "Allow it: the console needs the SSH port of each host.",
        cause,
      );
    case "ECONNRESET":
      return connectionLost(place, "before it said a word (reset)", cause);
    case "ETIMEDOUT":
      return timedOut(place, null, cause);
    default:
      return unreachable(`${where} could not be reached (${code}).`, "Check the address and the network.", cause);
  }
}

export function timedOut(place: Place, afterMs: number | null, cause?: unknown): Failure {
  const after = afterMs === null ? "" : ` within ${afterMs / 1000} s`;
  return unreachable(
    `${placeText(place)} did not answer${after}.`,
    "Check that the machine is on and that no firewall on the way drops connections to its SSH port.",
    cause,
  );
}

export function notSsh(place: Place, said: string): Failure {
  const words = strangersText(said, 60);
  return unreachable(
    `What listens on ${placeText(place)} is not an SSH server${words === "" ? "" : `; it said "${words}"`}.`,
    "Check the port.",
  );
}

export function connectionLost(place: Place, why: string, cause?: unknown): Failure {
  return unreachable(
    `${placeText(place)} ended the connection ${why}.`,
    "Its log says why: journalctl -u ssh. Too many connections at once (MaxStartups) or a ban after failed logins look like this.",
    cause,
  );
}

/** Both sides share no way to encrypt: the system's `ssh` may know one that the built-in client does not. */
export class NegotiationFailure extends Failure {
  /** For example `key exchange algorithm`. */
  readonly missing: string;

  constructor(place: Place, detail: string, cause: unknown) {
    super(
      {
        code: ErrorCode.HOST_UNREACHABLE,
        message: `${placeText(place)} and the built-in SSH client share no ${detail}.`,
        hint: "Choose the system's ssh for this host, or allow more algorithms in its sshd_config.",
      },
      { cause },
    );
    this.missing = `no common ${detail}`;
  }
}
