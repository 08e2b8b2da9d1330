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

/** `$XDG_CONFIG_HOME/wardline/settings.yaml`: the person's own file. */
export function defaultSettingsPath(environment: NodeJS.ProcessEnv = process.env): string {
  return join(baseDir(environment.XDG_CONFIG_HOME, ".config"), "wardline", "settings.yaml");
}

/** What an administrator has locked. No option and no variable leads anywhere else. */
export const LOCKED_SETTINGS_PATH = "/etc/wardline/settings.yaml";

function baseDir(configured: string | undefined, usual: string): string {
  return configured?.startsWith("/") ? configured : join(homedir(), usual);
}

/** Where the history of flows is kept, when it is not beside the database: `postgresql://user@host/database`. */
export function historyAddress(environment: NodeJS.ProcessEnv = process.env): string {
  return environment.WARDLINE_HISTORY ?? "";
}
