/** The machines that a connection goes through, as configuration and person say together. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { LoadedConfig } from "./config-files.ts";
import { resolveTarget, type SshTarget, type TargetAccess, type TargetEnvironment } from "./target.ts";

const LONGEST_WAY = 8;

/** The machines in between, first to last, then the machine itself. @throws Failure INVALID_ARGUMENT */
export function resolveWay(config: LoadedConfig, access: TargetAccess, environment: TargetEnvironment): SshTarget[] {
  return wayTo(resolveTarget(config, access, environment), config, environment, 0);
}

/** `-J a,b`: b is reached through a, whatever is configured for it; a as its own configuration says. */
function wayTo(target: SshTarget, config: LoadedConfig, environment: TargetEnvironment, depth: number): SshTarget[] {
  const hops = target.jumps.map(({ address, port, user }) =>
    resolveTarget(config, { address, port, user, identityFiles: [], jump: "" }, environment),
  );
  const [first, ...rest] = hops;
  if (first === undefined) return [target];
  if (depth < LONGEST_WAY) {
    const way = [...wayTo(first, config, environment, depth + 1), ...rest, target];
    if (way.length <= LONGEST_WAY + 1) return way;
  }
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `The way to ${target.hostName} leads through more than ${LONGEST_WAY} machines: ProxyJump may lead in a circle.`,
    hint: "Check ProxyJump in ~/.ssh/config.",
  });
}
