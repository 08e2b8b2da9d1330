/** Ends enforcement on a host and removes what was installed. */

import type { HostProgress } from "../jobs/jobs.ts";
import { reportBefore } from "./agent-check.ts";
import { refusePending } from "./decision.ts";
import { asRoot, type LifecycleHost, type LifecyclePorts, unsupported, withHost } from "./host-work.ts";
import { removeUpload } from "./upload.ts";

const UNINSTALL_TIMEOUT_MS = 120_000;

/** @throws Failure: what is wrong, what was left as it is, and what to do */
export async function uninstallFromHost(
  ports: LifecyclePorts,
  host: LifecycleHost,
  keepState: boolean,
  progress: HostProgress,
): Promise<void> {
  await withHost(
    ports,
    host,
    progress,
    async (facts, session) => {
      if (facts.agent?.package) {
        throw unsupported([
          `It belongs to the package ${facts.agent.package} of the system: remove it with the system's package manager.`,
        ]);
      }
      refusePending(await reportBefore(session, host.access.agentSocket, host.name, true));
    },
    async (work) => {
      progress.step("uninstall", "Ending enforcement and removing the agent");
      const answer = await asRoot(work, work.system.uninstall, "Removing the agent", [keepState ? "yes" : "no"], {
        timeoutMs: UNINSTALL_TIMEOUT_MS,
        isCancelable: false,
      });
      await removeUpload(work);
      const removed = answer.all("removed").length;
      const kept = keepState ? "; records, audit log and groups were kept" : "";
      progress.step("done", `Removed${removed === 0 ? "; there was nothing in force" : ""}${kept}`, 100);
    },
  );
}
