/** Plans of what the workspace and a cluster make of each other, kept until they are used or forgotten. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { ListSetsResponseSchema } from "@wardline/api/wardline/agent/v1/cluster";
import {
  DocumentChange,
  type PlannedDocument,
  PlannedDocumentSchema,
  type PlanSyncRequest,
  type PlanSyncResponse,
  PlanSyncResponseSchema,
} from "@wardline/api/wardline/console/v1/cluster";
import { type DesiredHead, type DocumentVersion, SetState } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type Diagnostic, readPolicyFiles } from "@wardline/domain/policy";
import { toWireDiagnostic } from "@wardline/domain/wire";
import { requireWorkspaceBounds } from "../../policies/limits.ts";
import type { Workspace } from "../../policies/workspace.ts";
import { workspacePath } from "../../policies/workspace-path.ts";
import type { Clock } from "../../ports.ts";
import type { ClusterBasesTable, SyncedBase } from "../../store/cluster-bases-table.ts";
import { bounded, boundedList, READ_TIMEOUT_MS } from "../cluster-calls.ts";
import type { ClusterGateway } from "../cluster-gateway.ts";
import type { KnownCluster } from "../known-cluster.ts";
import { type Comparison, compare, textOf } from "./compare.ts";
import { type PlacedDocument, readDocuments, type SourceText } from "./workspace-documents.ts";

const MAX_PLANS = 20;
const PLAN_LIFETIME_MS = 60 * 60_000;
const MAX_DOCUMENTS = 20_000;
const PAGE = 1_000;

export interface SyncPlan {
  readonly id: string;
  readonly clusterName: string;
  readonly clusterKey: string;
  readonly head: DesiredHead | null;
  readonly comparisons: ReadonlyMap<string, Comparison>;
  /** False for files that were only given: then nothing is written back. */
  readonly isOfWorkspace: boolean;
  readonly madeAtMs: number;
}

export interface SyncPorts {
  readonly gateway: ClusterGateway;
  readonly workspace: Workspace;
  readonly bases: ClusterBasesTable;
  readonly clock: Clock;
  readonly userName: string;
}

export class SyncPlans {
  readonly #ports: SyncPorts;
  readonly #plans = new Map<string, SyncPlan>();

  constructor(ports: SyncPorts) {
    this.#ports = ports;
  }

  /** @throws Failure PLAN_STALE */
  require(id: string): SyncPlan {
    const plan = this.#plans.get(id);
    if (plan && this.#ports.clock.nowMs() - plan.madeAtMs < PLAN_LIFETIME_MS) return plan;
    throw new Failure({
      code: ErrorCode.PLAN_STALE,
      message: "This plan is not kept any more.",
      hint: "Plan again: nothing was lost.",
    });
  }

  forget(id: string): void {
    this.#plans.delete(id);
  }

  /** Without an id when the documents have errors. @throws Failure of the cluster, TOO_LARGE, INVALID_ARGUMENT */
  async plan(request: PlanSyncRequest): Promise<PlanSyncResponse> {
    const isOfWorkspace = request.files.length === 0;
    const files = isOfWorkspace ? this.#ports.workspace.snapshot().files : givenFiles(request.files);
    const reading = readDocuments(files);
    const diagnostics = [...reading.diagnostics, ...readPolicyFiles(files).diagnostics];
    if (!reading.ok || diagnostics.some(({ severity }) => severity === "error")) {
      return create(PlanSyncResponseSchema, { diagnostics: unique(diagnostics).map(toWireDiagnostic) });
    }
    const cluster = await this.#ports.gateway.require(request.clusterName);
    const { documents: theirs, head } = await this.#listAll(cluster.name);
    await this.#forgetOther(cluster, head);
    await this.#settlePending(cluster, head);
    const comparisons = this.#compareAll(cluster, reading.documents, theirs, request.deleteMissing);
    this.#agreeOnEqual(cluster.key, comparisons, head);
    const plan: SyncPlan = {
      ...{ id: randomUUID(), clusterName: cluster.name, clusterKey: cluster.key, head, isOfWorkspace },
      comparisons: new Map(comparisons.map((comparison) => [comparison.key, comparison])),
      madeAtMs: this.#ports.clock.nowMs(),
    };
    this.#keep(plan);
    return create(PlanSyncResponseSchema, {
      planId: plan.id,
      documents: comparisons.map((comparison) => toWire(comparison, reading.documents.get(comparison.key))),
      diagnostics: unique(diagnostics).map(toWireDiagnostic),
      ...(head ? { head } : {}),
    });
  }

  /** Bases that wait for a set that has been settled since, by whomever. @throws Failure of the cluster */
  async #settlePending(cluster: KnownCluster, head: DesiredHead | null): Promise<void> {
    const { bases } = this.#ports;
    for (const number of bases.pendingSets(cluster.key)) {
      const found = await this.#setAt(cluster, head, number);
      if (found?.state === SetState.PENDING) continue;
      bases.settle(cluster.key, number, found?.state === SetState.CONFIRMED);
    }
  }

  /**
   * A cluster may be made anew under the name of one that is gone. Its sets count from one again: what was agreed on with
   * the other is nothing that this one ever said.
   */
  async #forgetOther(cluster: KnownCluster, head: DesiredHead | null): Promise<void> {
    const { bases } = this.#ports;
    const seen = bases.seenSet(cluster.key);
    if (seen) {
      const found = await this.#setAt(cluster, head, seen.setNumber);
      const isOlder = (head?.setNumber ?? 0n) < seen.setNumber;
      if (isOlder || (found !== null && found.digest !== seen.digest)) bases.clear(cluster.key);
    }
    if (head && head.setNumber > 0n) bases.remember(cluster.key, head);
  }

  /** `null` = it is not kept any more, or there is none yet. @throws Failure of the cluster */
  async #setAt(cluster: KnownCluster, head: DesiredHead | null, number: bigint): Promise<DesiredHead | null> {
    if (head === null || head.setNumber < number) return null;
    if (head.setNumber === number) return head;
    const request = { limit: 1, beforeSetNumber: number + 1n };
    return this.#ports.gateway.read(cluster.name, async (client) => {
      const answer = await client.listSets(request, { timeoutMs: READ_TIMEOUT_MS });
      return bounded(ListSetsResponseSchema, answer).sets.find(({ setNumber }) => setNumber === number) ?? null;
    });
  }

  async #listAll(clusterName: string): Promise<{ documents: Map<string, DocumentVersion>; head: DesiredHead | null }> {
    return this.#ports.gateway.read(clusterName, async (client) => {
      const documents = new Map<string, DocumentVersion>();
      for (let afterKey = ""; ; ) {
        const answer = boundedList(
          await client.listDocuments(
            { withDeleted: true, withTexts: true, limit: PAGE, afterKey },
            { timeoutMs: READ_TIMEOUT_MS },
          ),
        );
        for (const document of answer.documents) documents.set(document.key, document);
        const last = answer.documents.at(-1)?.key ?? "";
        if (!answer.more || last <= afterKey) return { documents, head: answer.head ?? null };
        if (documents.size > MAX_DOCUMENTS) throw tooMany();
        afterKey = last;
      }
    });
  }

  #compareAll(
    cluster: KnownCluster,
    mine: ReadonlyMap<string, PlacedDocument>,
    theirs: ReadonlyMap<string, DocumentVersion>,
    deletesMissing: boolean,
  ): Comparison[] {
    const bases = this.#ports.bases.all(cluster.key);
    const keys = [...new Set([...mine.keys(), ...theirs.keys()])].sort();
    const options = { deletesMissing, isFirst: bases.size === 0 };
    return keys.flatMap((key) => {
      const sides = {
        key,
        base: bases.get(key) ?? null,
        mine: mine.get(key)?.text ?? null,
        theirs: theirs.get(key) ?? null,
      };
      const isNowhere = sides.mine === null && textOf(sides.theirs) === null;
      return isNowhere ? [] : [compare(sides, options)];
    });
  }

  /** Both sides are of one mind, whoever wrote it. What hosts may still return from is not agreed on yet. */
  #agreeOnEqual(clusterKey: string, comparisons: readonly Comparison[], head: DesiredHead | null): void {
    if (head?.state === SetState.PENDING) return;
    const agreed = comparisons.flatMap(({ key, base, mine, theirs }): SyncedBase[] => {
      if (theirs === null || mine === null || mine !== textOf(theirs)) return [];
      if (base?.version === theirs.version && base.text === mine) return [];
      return [{ document: key, version: theirs.version, text: mine }];
    });
    this.#ports.bases.put(clusterKey, agreed);
  }

  #keep(plan: SyncPlan): void {
    this.#plans.set(plan.id, plan);
    for (const id of [...this.#plans.keys()].slice(0, -MAX_PLANS)) this.#plans.delete(id);
  }
}

/** @throws Failure INVALID_ARGUMENT, TOO_LARGE */
function givenFiles(files: readonly SourceText[]): SourceText[] {
  const named = files.map(({ path, text }) => ({ path: workspacePath(path), text }));
  requireWorkspaceBounds(
    named.length,
    named.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0),
  );
  return named;
}

/** Both readers find some of the same. */
function unique(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const byPlace = diagnostics.map(
    (each) => [`${each.code} ${each.source.file} ${each.source.line} ${each.source.column}`, each] as const,
  );
  return [...new Map(byPlace).values()];
}

/** What did not change is told without its texts. */
function toWire({ key, change, base, mine, theirs, result }: Comparison, placed?: PlacedDocument): PlannedDocument {
  const planned = create(PlannedDocumentSchema, { key, change, path: placed?.path ?? "" });
  if (base) planned.baseVersion = base.version;
  if (theirs) {
    Object.assign(planned, { theirsVersion: theirs.version, theirsAuthor: theirs.author });
    if (theirs.writtenAt) planned.theirsWrittenAt = theirs.writtenAt;
  }
  if (change === DocumentChange.UNCHANGED) return planned;
  return Object.assign(planned, {
    baseText: base?.text ?? "",
    mineText: mine ?? "",
    theirsText: textOf(theirs) ?? "",
    mergedText: result ?? "",
  });
}

function tooMany(): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `The cluster holds more than ${MAX_DOCUMENTS.toLocaleString("en")} documents; this console compares no more.`,
  });
}
