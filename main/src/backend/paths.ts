import { homedir } from "node:os";
import { join } from "node:path";

/** Where a packaged agent listens. */
export const DEFAULT_AGENT_SOCKET = "/run/wardline/agent.sock";

/** `$XDG_STATE_HOME/wardline`; a relative value does not count (XDG base directory specification). */
export function defaultStateDir(environment: NodeJS.ProcessEnv = process.env): string {
  const configured = environment.XDG_STATE_HOME;
  const base = configured?.startsWith("/") ? configured : join(homedir(), ".local", "state");
  return join(base, "wardline");
}
