/** What the executor of healing orders needs of an agent, in its simplest form. */
import { create } from "@bufbuild/protobuf";
import { MeshProvider, MeshProviderReportSchema, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { systemClock } from "../agent/clock.ts";
import type { AuditTrail } from "../audit/audited.ts";
import type { MeshExecutorPorts } from "../mesh/healing/meshExecutor.ts";
import type { MeshProviderAdapter } from "../mesh/ports.ts";

export function meshAdapter(verbs: Partial<MeshProviderAdapter> = {}): MeshProviderAdapter {
  const { YGGDRASIL } = MeshProvider;
  return {
    provider: YGGDRASIL,
    read: async () => create(MeshProviderReportSchema, { provider: YGGDRASIL, state: MeshProviderState.UP }),
    ...verbs,
  };
}

export type AuditLine = readonly [action: string, outcome: string, detail: string];

/** Records nothing but words. */
export function trailDouble(lines: AuditLine[]): Pick<AuditTrail, "around" | "refused"> {
  return {
    async around(subject, detail, run) {
      try {
        const result = await run(async () => {
          lines.push([subject.action, "started", detail]);
        });
        lines.push([subject.action, "done", detail]);
        return result;
      } catch (error) {
        lines.push([subject.action, "failed", error instanceof Error ? error.message : String(error)]);
        throw error;
      }
    },
    async refused(subject, reason) {
      lines.push([subject.action, "refused", reason]);
    },
  };
}

export function executorPorts(
  stateDir: string,
  adapters: readonly MeshProviderAdapter[],
  lines: AuditLine[] = [],
): MeshExecutorPorts {
  const log = { warn: () => {} };
  return { stateDir, hostName: "a", clock: systemClock, log, trail: trailDouble(lines), adapters };
}
