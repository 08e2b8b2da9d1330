/** Replays stored flows through policies that are not in force, and streams what would change. A thread judges them. */
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type SimulatePoliciesRequest,
  type SimulatePoliciesResponse,
  SimulatePoliciesResponseSchema,
} from "@wardline/api/wardline/console/v1/policies";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { nextTurn } from "../async/next-turn.ts";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { type FlowReplays, openWithDraft } from "../replay/flow-replays.ts";
import type { CountsAnswer, PolicyText, ResultAnswer, SimulateRequest } from "../replay/replay-protocol.ts";
import { pageSize } from "../rpc/guard.ts";
import { requireWorkspaceBounds } from "./limits.ts";
import { toWireCounts } from "./simulate-wire.ts";
import type { Workspace, WorkspaceSnapshot } from "./workspace.ts";
import { workspacePath } from "./workspace-path.ts";

const USUAL_GROUPS = 200;
const MAX_GROUPS = 1000;
const MAX_SAMPLE_EVERY = 1_000_000;
/** Without the workspace: nothing is below what is changed. */
const NOTHING = { stateDigest: "", files: [] } as const;

export interface SimulatePorts {
  readonly workspace: Workspace;
  readonly registry: HostRegistry;
  readonly replays: FlowReplays;
  readonly clock: Clock;
}

/**
 * @throws Failure INVALID_ARGUMENT, TOO_LARGE, POLICY_INVALID, DEADLINE_EXCEEDED; AGENT_UNREACHABLE when the enforced state
 * is asked for
 */
export async function* simulatePolicies(
  ports: SimulatePorts,
  request: SimulatePoliciesRequest,
  signal: AbortSignal,
): AsyncGenerator<SimulatePoliciesResponse> {
  const maxGroups = pageSize(request.maxGroups, USUAL_GROUPS, MAX_GROUPS);
  const sampleEvery = sampleOf(request.sampleEvery);
  const base = request.standalone ? NOTHING : ports.workspace.snapshot();
  const changed = request.files.map(({ path, text }) => ({ path: workspacePath(path), text }));
  requireCandidateBounds(base.files, changed);
  const enforced = request.compareEnforced ? (await ports.registry.local.enforced.fetch()).files : null;
  const { replays, clock } = ports;
  yield* replays.run(signal, async function* (thread, own) {
    await openWithDraft(thread, base, changed, (texts) => ({
      method: "simulate",
      request: { texts, enforced, nowMs: clock.nowMs(), sampleEvery, maxGroups } satisfies SimulateRequest,
    }));
    const steps = replays.feed(thread, request.filter, own);
    for (;;) {
      const { done, value } = await steps.next();
      if (done) {
        const messages = (await thread.call("result", { total: value.total })) as ResultAnswer;
        for (const bytes of messages) {
          yield fromBinary(SimulatePoliciesResponseSchema, bytes);
          await nextTurn();
        }
        return;
      }
      const counts = (await thread.call("counts", null)) as CountsAnswer;
      const progress = toWireCounts(counts, value.total);
      yield create(SimulatePoliciesResponseSchema, { event: { case: "progress", value: progress } });
    }
  });
}

function requireCandidateBounds(files: WorkspaceSnapshot["files"], changed: readonly PolicyText[]): void {
  const sizes = new Map([...files, ...changed].map(({ path, text }) => [path, Buffer.byteLength(text)]));
  requireWorkspaceBounds(
    sizes.size,
    [...sizes.values()].reduce((sum, size) => sum + size, 0),
  );
}

function sampleOf(given: number): number {
  if (given <= MAX_SAMPLE_EVERY) return Math.max(1, given);
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `Every ${given.toLocaleString("en")}th flow is too few to say anything; up to ${MAX_SAMPLE_EVERY.toLocaleString("en")} can be asked for.`,
  });
}
