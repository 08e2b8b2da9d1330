/** `~`, `${VARIABLE}` and `%h` in values of ssh_config. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";

export interface TokenValues {
  readonly homeDir: string;
  /** As given, before HostName. */
  readonly alias: string;
  readonly hostName: string;
  readonly port: number;
  readonly user: string;
  readonly localUser: string;
  readonly localHostName: string;
  readonly hostKeyAlias: string;
  readonly environment: NodeJS.ProcessEnv;
}

export function expandHome(path: string, homeDir: string): string {
  if (path === "~") return homeDir;
  return path.startsWith("~/") ? join(homeDir, path.slice(2)) : path;
}

/** A path with everything that may stand in it. @throws Failure INVALID_ARGUMENT (an unknown token) */
export function expandPath(path: string, values: TokenValues): string {
  return expandTokens(expandVariables(expandHome(path, values.homeDir), values.environment), values);
}

/** @throws Failure INVALID_ARGUMENT (an unknown token) */
export function expandTokens(text: string, values: TokenValues): string {
  return text.replace(/%(.?)/g, (_, token: string) => {
    const value = tokenValue(token, values);
    if (value !== null) return value;
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `The SSH configuration has %${token} in "${text}", which means nothing there.`,
      hint: "See TOKENS in ssh_config(5).",
    });
  });
}

function tokenValue(token: string, values: TokenValues): string | null {
  const { alias, hostName, port, user, localUser, localHostName } = values;
  switch (token) {
    case "%":
      return "%";
    case "h":
      return hostName;
    case "n":
      return alias;
    case "p":
      return String(port);
    case "r":
      return user;
    case "u":
      return localUser;
    case "d":
      return values.homeDir;
    case "i":
      return String(process.getuid?.() ?? 0);
    case "l":
      return localHostName;
    case "L":
      return localHostName.split(".")[0] ?? "";
    case "k":
      return values.hostKeyAlias || alias;
    case "C":
      return createHash("sha1").update(`${localHostName}${hostName}${port}${user}`).digest("hex");
    default:
      return null;
  }
}

function expandVariables(text: string, environment: NodeJS.ProcessEnv): string {
  return text.replace(/\$\{([^}]*)\}/g, (_, name: string) => {
    const value = environment[name];
    if (value !== undefined) return value;
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `The SSH configuration names the environment variable ${name}, which is not set.`,
      hint: "Set it before the console starts, or write the value itself.",
    });
  });
}
