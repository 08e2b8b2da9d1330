import { homedir } from "node:os";
import { join } from "node:path";

/** Where a packaged agent listens. */
export const DEFAULT_AGENT_SOCKET = "/run/wardline/agent.sock";

/** `$XDG_STATE_HOME/wardline`; a relative value does not count (XDG base directory specification). */
export function defaultStateDir(environment: NodeJS.ProcessEnv = process.env): string {
  return join(baseDir(environment.XDG_STATE_HOME, ".local/state"), "wardline");
}

/** `$XDG_CACHE_HOME/wardline`. */
export function defaultCacheDir(environment: NodeJS.ProcessEnv = process.env): string {
  return join(baseDir(environment.XDG_CACHE_HOME, ".cache"), "wardline");
}

function baseDir(configured: string | undefined, usual: string): string {
  return configured?.startsWith("/") ? configured : join(homedir(), usual);
}
