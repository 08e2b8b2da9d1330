/** Which client connects: the built-in one, or the system's `ssh` where only that can do what is asked for. */
import { existsSync } from "node:fs";
import { SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { SshTarget } from "./config/target.ts";
import { lookUp } from "./known-hosts/known-hosts.ts";

export interface TransportChoice {
  readonly transport: "built-in" | "system";
  /** The person chose it: no other is tried. */
  readonly isFixed: boolean;
  /** What speaks for the system's; empty when nothing does. */
  readonly reasons: readonly string[];
}

/** @throws Failure HOST_UNSUPPORTED when the chosen one cannot do it, or is not there */
export async function chooseTransport(
  way: readonly SshTarget[],
  wanted: SshTransport,
  hasSystemSsh: () => boolean,
): Promise<TransportChoice> {
  if (wanted === SshTransport.SYSTEM) {
    if (hasSystemSsh()) return { transport: "system", isFixed: true, reasons: [] };
    throw unsupported(
      "There is no `ssh` program on this machine.",
      "Install OpenSSH's client, or choose the built-in one.",
    );
  }
  const reasons = (await Promise.all(way.map(reasonsOf))).flat();
  const isFixed = wanted === SshTransport.BUILT_IN;
  if (reasons.length === 0) return { transport: "built-in", isFixed, reasons };
  if (!isFixed && hasSystemSsh()) return { transport: "system", isFixed, reasons };
  throw unsupported(
    `The built-in SSH client does not do what this host's configuration asks for: ${reasons.join(", ")}.`,
    isFixed ? "Choose the system's ssh for this host." : "Install OpenSSH's client: its `ssh` can.",
  );
}

async function reasonsOf(target: SshTarget): Promise<string[]> {
  const reasons = [...target.systemReasons];
  const certificates = [...target.certificateFiles, ...target.identityFiles.map(({ path }) => `${path}-cert.pub`)];
  const certificate = certificates.find((path) => existsSync(path));
  if (certificate !== undefined) reasons.push(`the certificate ${certificate}`);
  const known = await lookUp(target);
  const [authority] = known.authorities;
  if (authority && known.keys.length === 0) {
    reasons.push(`a certificate authority vouches for its key (${authority.path}:${authority.line})`);
  }
  return reasons;
}

function unsupported(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message, hint });
}
