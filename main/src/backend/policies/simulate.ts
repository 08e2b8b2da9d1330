/** Replays stored flows through policies that are not in force, and streams what would change. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type SimulatePoliciesRequest,
  type SimulatePoliciesResponse,
  SimulatePoliciesResponseSchema,
} from "@wardline/api/wardline/console/v1/policies";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type PolicyWorld, type ReadResult, readPolicyFiles, withoutExpired } from "@wardline/domain/policy";
import { simulateFlows } from "@wardline/domain/policy/simulate";
import { nextTurn, recordedFlows } from "../flows/recorded-batches.ts";
import type { HostRegistry } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { pageSize } from "../rpc/guard.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import { requireWorkspaceBounds } from "./limits.ts";
import { toWireClassCounts, toWireCounts, toWireGroup } from "./simulate-wire.ts";
import type { Workspace } from "./workspace.ts";
import { workspacePath } from "./workspace-path.ts";

const PROGRESS_INTERVAL_MS = 200;
const GROUPS_IN_MESSAGE = 100;
const USUAL_GROUPS = 200;
const MAX_GROUPS = 1000;
const MAX_SAMPLE_EVERY = 1_000_000;

export interface SimulatePorts {
  readonly workspace: Workspace;
  readonly registry: HostRegistry;
  readonly flows: FlowsTable;
  readonly clock: Clock;
}

/** @throws Failure INVALID_ARGUMENT, TOO_LARGE, POLICY_INVALID; AGENT_UNREACHABLE when the enforced state is asked for */
export async function* simulatePolicies(
  ports: SimulatePorts,
  request: SimulatePoliciesRequest,
  signal: AbortSignal,
): AsyncGenerator<SimulatePoliciesResponse> {
  const maxGroups = pageSize(request.maxGroups, USUAL_GROUPS, MAX_GROUPS);
  const sampleEvery = sampleOf(request.sampleEvery);
  const { clock } = ports;
  const candidate = worldOf(candidateReading(ports.workspace, request), "The candidate", clock);
  const base = request.compareEnforced ? await enforcedWorld(ports) : null;
  const { total, batches } = await recordedFlows(ports.flows, request.filter, signal);
  const steps = simulateFlows(batches, { candidate, base, sampleEvery, maxGroups, signal });
  let toldAtMs = clock.nowMs();
  for (;;) {
    const step = await steps.next();
    if (step.done) {
      if (signal.aborted) return;
      const { groups, other } = step.value;
      for (let start = 0; start < groups.length; start += GROUPS_IN_MESSAGE) {
        yield message({
          case: "groups",
          value: { groups: groups.slice(start, start + GROUPS_IN_MESSAGE).map(toWireGroup) },
        });
        await nextTurn();
      }
      const counts = toWireCounts(step.value, total);
      const otherRecorded = toWireClassCounts(other.recorded);
      const otherBase = other.base === null ? [] : toWireClassCounts(other.base);
      yield message({ case: "done", value: { counts, otherRecorded, otherBase } });
      return;
    }
    if (clock.nowMs() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
    toldAtMs = clock.nowMs();
    yield message({ case: "progress", value: toWireCounts(step.value, total) });
  }
}

function message(event: MessageInitShape<typeof SimulatePoliciesResponseSchema>["event"]): SimulatePoliciesResponse {
  return create(SimulatePoliciesResponseSchema, event === undefined ? {} : { event });
}

function candidateReading(workspace: Workspace, request: SimulatePoliciesRequest): ReadResult {
  if (request.files.length === 0 && !request.standalone) return workspace.snapshot().reading;
  const texts = new Map<string, string>();
  if (!request.standalone) for (const file of workspace.snapshot().files) texts.set(file.path, file.text);
  for (const file of request.files) texts.set(workspacePath(file.path), file.text);
  const files = [...texts].map(([path, text]) => ({ path, text })).sort((a, b) => (a.path < b.path ? -1 : 1));
  requireWorkspaceBounds(
    files.length,
    files.reduce((sum, file) => sum + Buffer.byteLength(file.text), 0),
  );
  return readPolicyFiles(files);
}

async function enforcedWorld({ registry, clock }: SimulatePorts): Promise<PolicyWorld> {
  return worldOf(readPolicyFiles((await registry.local.enforced.fetch()).files), "What is enforced", clock);
}

function worldOf(reading: ReadResult, what: string, clock: Clock): PolicyWorld {
  if (reading.ok) return withoutExpired(reading.world, clock.nowMs());
  throw new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: `${what} has errors, so nobody can say what it decides.`,
    hint: "Correct them first; each error says where it is.",
    diagnostics: reading.diagnostics.filter(({ severity }) => severity === "error").slice(0, 100),
  });
}

function sampleOf(given: number): number {
  if (given <= MAX_SAMPLE_EVERY) return Math.max(1, given);
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `Every ${given.toLocaleString("en")}th flow is too few to say anything; up to ${MAX_SAMPLE_EVERY.toLocaleString("en")} can be asked for.`,
  });
}
