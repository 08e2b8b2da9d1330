/** Running parts of the project as another user. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const NOBODY = "65534";
const SELF = fileURLToPath(import.meta.url);

/** Why tests that act as another user cannot run here, or `null`. For `describe.skipIf`; put it into the name. */
export function otherUserProblem(): string | null {
  if (process.geteuid?.() !== 0) return "needs root";
  if (!existsSync("/usr/bin/setpriv")) return "needs setpriv (util-linux)";
  const { status } = spawnSync("setpriv", [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "cat", SELF]);
  return status === 0 ? null : "needs a checkout that other users can read";
}
