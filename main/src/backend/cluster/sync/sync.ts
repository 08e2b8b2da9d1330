/** Writes what a plan showed into the cluster, and takes into the workspace what the cluster is ahead by. */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  type DocumentWrite,
  DocumentWriteSchema,
  WriteDocumentsRequestSchema,
  type WriteDocumentsResponse,
  WriteDocumentsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import {
  type ConflictChoice,
  DocumentChange,
  type PullDocumentsRequest,
  type PullDocumentsResponse,
  PullDocumentsResponseSchema,
  type SyncRequest,
  type SyncResponse,
  SyncResponseSchema,
} from "@wardline/api/wardline/console/v1/cluster";
import { SetState } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { type DocumentSide, readClusterDocument } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { boundedReason } from "../../rpc/guard.ts";
import { bounded, WRITE_TIMEOUT_MS } from "../cluster-calls.ts";
import { invalid } from "../requests.ts";
import { type Comparison, textOf } from "./compare.ts";
import type { SyncPlan, SyncPlans, SyncPorts } from "./sync-plans.ts";
import { readDocuments, withDocuments } from "./workspace-documents.ts";

/** As many as the agents take at once. */
const MAX_WRITES = 2_000;

interface PlannedWrite {
  readonly comparison: Comparison;
  readonly text: DocumentSide;
}

/**
 * All or nothing. What was merged or chosen goes into the workspace too, once no deadline is left that could take it back.
 * @throws Failure VERSION_CONFLICT (somebody wrote since the plan, or a conflict has no choice), PLAN_STALE,
 * INVALID_ARGUMENT, TOO_LARGE, and what the leader refuses
 */
export async function sync(ports: SyncPorts, plans: SyncPlans, request: SyncRequest): Promise<SyncResponse> {
  const plan = plans.require(request.planId);
  const reason = boundedReason(request.reason);
  const planned = plannedWrites(plan, request.choices);
  if (planned.length === 0) {
    const outcome = create(WriteDocumentsResponseSchema, plan.head ? { head: plan.head } : {});
    return create(SyncResponseSchema, { outcome });
  }
  const message = create(WriteDocumentsRequestSchema, {
    writes: planned.map(toWrite),
    reason,
    mode: request.observeOnly ? EnforcementMode.OBSERVE : EnforcementMode.ENFORCE,
    requestId: requestIdOf(plan, planned),
    ...(request.confirmWithin ? { confirmWithin: request.confirmWithin } : {}),
  });
  const answer = await ports.gateway.write(
    plan.clusterName,
    (client) => client.writeDocuments(message, { timeoutMs: WRITE_TIMEOUT_MS }),
    { isRepeatable: true },
  );
  const outcome = bounded(WriteDocumentsResponseSchema, answer);
  plans.forget(plan.id);
  return create(SyncResponseSchema, { outcome, updatedPaths: [...agree(ports, plan, planned, outcome)] });
}

/** Takes what is behind into the workspace. What was changed here since the plan stays. @throws Failure PLAN_STALE, … */
export function pullDocuments(
  ports: SyncPorts,
  plans: SyncPlans,
  { planId, keys }: PullDocumentsRequest,
): PullDocumentsResponse {
  const plan = plans.require(planId);
  if (!plan.isOfWorkspace)
    throw invalid("This plan is of files outside of the workspace: nothing is written to those.");
  const behind = [...plan.comparisons.values()].filter(({ change }) => change === DocumentChange.BEHIND);
  const byKey = new Map(behind.map((comparison) => [comparison.key, comparison]));
  const wanted = keys.length === 0 ? behind : keys.map((key) => byKey.get(key) ?? notBehind(key));
  const taken = wanted.map((comparison) => ({ comparison, text: comparison.result }));
  const { paths, unchanged } = takeOver(ports, plan, taken);
  const isSettled = plan.head?.state !== SetState.PENDING;
  const agreed = taken.filter(({ comparison }) => unchanged.has(comparison.key));
  if (isSettled) {
    ports.bases.put(
      plan.clusterKey,
      agreed.map(({ comparison: { key, theirs }, text }) => ({ document: key, version: theirs?.version ?? 0n, text })),
    );
  }
  return create(PullDocumentsResponseSchema, { updatedPaths: [...paths] });
}

/** @throws Failure VERSION_CONFLICT, INVALID_ARGUMENT, TOO_LARGE */
function plannedWrites(plan: SyncPlan, choices: readonly ConflictChoice[]): PlannedWrite[] {
  const chosen = new Map(choices.map(({ key, text }) => [key, text === "" ? null : text]));
  if (chosen.size < choices.length) throw invalid("There are two choices for one document.");
  for (const key of chosen.keys()) if (!plan.comparisons.has(key)) throw invalid(`${key} is not part of this plan.`);
  const open: string[] = [];
  const planned: PlannedWrite[] = [];
  for (const comparison of plan.comparisons.values()) {
    const { key, change, result, theirs } = comparison;
    const choice = chosen.get(key);
    if (choice === undefined && change === DocumentChange.CONFLICT) open.push(key);
    if (choice === undefined && (change === DocumentChange.UNCHANGED || change === DocumentChange.BEHIND)) continue;
    const text = choice === undefined ? result : choice;
    requireKey(key, text, choice !== undefined);
    // The choice of what is there already writes nothing, and still settles the matter.
    if (text !== textOf(theirs) || choice !== undefined) planned.push({ comparison, text });
  }
  if (open.length > 0) throw undecided(open);
  if (planned.length > MAX_WRITES) {
    throw new Failure({
      code: ErrorCode.TOO_LARGE,
      message: `${planned.length} documents would change; a cluster takes ${MAX_WRITES} at once.`,
      hint: "Sync the files in parts.",
    });
  }
  return planned;
}

function requireKey(key: string, text: DocumentSide, isChosen: boolean): void {
  if (!isChosen || text === null) return;
  const read = readClusterDocument(text, key);
  if (read.key === key) return;
  const [first] = read.diagnostics;
  throw new Failure({
    code: first ? ErrorCode.POLICY_INVALID : ErrorCode.INVALID_ARGUMENT,
    message: first
      ? `The text chosen for ${key} has errors: ${first.message}`
      : `The text chosen for ${key} is of ${read.key}.`,
    hint: "Decide every marked place, and keep kind, namespace and name.",
    diagnostics: read.diagnostics,
  });
}

function toWrite({ comparison: { key, theirs }, text }: PlannedWrite): DocumentWrite {
  const baseVersion = theirs === null || theirs.deleted ? 0n : theirs.version;
  return create(DocumentWriteSchema, text === null ? { deleteKey: key, baseVersion } : { text, baseVersion });
}

/** The same plan with the same choices is one write, however often it is sent. */
function requestIdOf(plan: SyncPlan, planned: readonly PlannedWrite[]): string {
  const hash = createHash("sha256").update(plan.id);
  for (const { comparison, text } of planned) hash.update(JSON.stringify([comparison.key, text]));
  return hash.digest("hex");
}

/**
 * The base is what the workspace has of it: where that is not what was written, the workspace is behind, and takes it over
 * here when it still is as it was planned from.
 */
function agree(
  ports: SyncPorts,
  plan: SyncPlan,
  planned: readonly PlannedWrite[],
  { head, written }: WriteDocumentsResponse,
): readonly string[] {
  const versions = new Map(written.map(({ key, version }) => [key, version]));
  const bases = planned.map(({ comparison: { key, mine, theirs } }) => ({
    document: key,
    version: versions.get(key) ?? theirs?.version ?? 0n,
    text: mine,
  }));
  if (head?.state === SetState.PENDING) {
    ports.bases.put(plan.clusterKey, bases, head.setNumber);
    return [];
  }
  if (head) ports.bases.remember(plan.clusterKey, head);
  ports.bases.put(plan.clusterKey, bases);
  if (!plan.isOfWorkspace) return [];
  const { paths, unchanged } = takeOver(ports, plan, planned);
  const texts = new Map(planned.map(({ comparison, text }) => [comparison.key, text]));
  const taken = bases.filter(({ document }) => unchanged.has(document));
  ports.bases.put(
    plan.clusterKey,
    taken.map((base) => ({ ...base, text: texts.get(base.document) ?? null })),
  );
  return paths;
}

/** Into the workspace, for documents that still are as the plan saw them. */
function takeOver({ workspace, userName }: SyncPorts, plan: SyncPlan, taken: readonly PlannedWrite[]) {
  const { files } = workspace.snapshot();
  const now = readDocuments(files).documents;
  const unchanged = taken.filter(({ comparison: { key, mine } }) => (now.get(key)?.text ?? null) === mine);
  const changes = unchanged.filter(({ comparison: { mine }, text }) => mine !== text);
  const changed = withDocuments(files, new Map(changes.map(({ comparison, text }) => [comparison.key, text])));
  if (changed.paths.length > 0) {
    workspace.replaceAll(changed.files, userName, `Before taking over from the cluster ${plan.clusterName}`);
    workspace.recordVersion(userName, `Taken over from the cluster ${plan.clusterName}`, { kind: "cluster" });
  }
  return { paths: changed.paths, unchanged: new Set(unchanged.map(({ comparison }) => comparison.key)) };
}

function undecided(keys: readonly string[]): Failure {
  const named = keys.slice(0, 5).join(", ") + (keys.length > 5 ? ", …" : "");
  const some = keys.length === 1 ? "1 document was" : `${keys.length} documents were`;
  return new Failure({
    code: ErrorCode.VERSION_CONFLICT,
    message: `${some} changed here and in the cluster in the same place: ${named}. Nothing was written.`,
    hint: "Say for each of them what shall hold.",
  });
}

function notBehind(key: string): never {
  throw invalid(`${key} is not behind the cluster in this plan.`);
}
