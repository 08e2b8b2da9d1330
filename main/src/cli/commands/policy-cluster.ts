/** `wardline policy list --cluster|show NAME|history|delete`, and rollback and confirm of what is the cluster's. */
import { toJson } from "@bufbuild/protobuf";
import { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
import {
  ConfirmSetResponseSchema,
  ListDocumentHistoryResponseSchema,
  RollbackDocumentsResponseSchema,
  WriteDocumentsResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import { type DesiredHead, type DocumentVersion, DocumentVersionSchema } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { bounded, WRITE_TIMEOUT_MS } from "../../backend/cluster/cluster-calls.ts";
import { confirmOnTerminal } from "../ask.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { formatTable } from "../terminal/table.ts";
import { visible, visibleLines } from "../terminal/visible.ts";
import type { ClusterOptions } from "./cluster.options.ts";
import { listAll, resolveKey } from "./cluster-documents.ts";
import { type ClusterTarget, withCluster } from "./cluster-target.ts";
import { setText } from "./cluster-view.ts";
import type { DeleteOptions, HistoryOptions } from "./policy-cluster.options.ts";

/** `wardline policy list --cluster` */
export async function listClusterDocuments(output: Output, options: ClusterOptions): Promise<ExitCode> {
  return withCluster(options, async (target) => {
    const documents = await listAll(target);
    if (output.format === "json") {
      output.json({ documents: documents.map((each) => toJson(DocumentVersionSchema, each)) });
      return EXIT.done;
    }
    const rows = documents.map((each) => [each.key, String(each.version), timeOf(each), each.author, each.reason]);
    const header = ["DOCUMENT", "VERSION", "WRITTEN", "AUTHOR", "REASON"];
    output.text(rows.length > 0 ? formatTable(header, rows) : "The cluster has no documents yet.\n");
    return EXIT.done;
  });
}

/** `wardline policy show NAME` */
export async function showClusterDocument(
  output: Output,
  options: ClusterOptions,
  name: string,
  version = 0n,
): Promise<ExitCode> {
  return withCluster(options, async (target) => {
    const key = await resolveKey(target, name);
    const { document } = await target.clusters.getDocument({ clusterName: target.clusterName, key, version });
    if (output.format === "json") output.json(document ? toJson(DocumentVersionSchema, document) : null);
    else if (document?.deleted) {
      output.note(`${visible(key)} is deleted since version ${document.version}; see its history.`);
      return EXIT.problems;
    } else {
      const text = document?.text ?? "";
      output.text(output.isTerminal ? visibleLines(text).replaceAll("\\u{9}", "\t") : text);
    }
    return EXIT.done;
  });
}

/** `wardline policy history NAME` */
export async function policyHistory(output: Output, options: HistoryOptions, name: string): Promise<ExitCode> {
  return withCluster(options, async (target) => {
    const { clusterName, clusters } = target;
    const key = await resolveKey(target, name);
    const { history } = await clusters.listDocumentHistory({ clusterName, query: { key, limit: options.limit } });
    const versions = history?.versions ?? [];
    if (versions.length === 0) throw noSuchDocument(key, clusterName);
    if (output.format === "json") output.json(history ? toJson(ListDocumentHistoryResponseSchema, history) : null);
    else {
      const rows = versions.map((each) => [
        String(each.version),
        String(each.setNumber),
        timeOf(each),
        each.author,
        each.deleted ? "deleted" : each.rolledBackTo > 0n ? `content of version ${each.rolledBackTo}` : "",
        each.reason,
      ]);
      output.text(`${visible(key)}\n${formatTable(["VERSION", "SET", "WRITTEN", "AUTHOR", "", "REASON"], rows)}`);
      if (history?.more) output.note("There are older ones: --limit.");
    }
    return EXIT.done;
  });
}

/** `wardline policy delete NAME` */
export async function policyDelete(output: Output, options: DeleteOptions, name: string): Promise<ExitCode> {
  requireChangesAllowed();
  return withCluster(options, async (target) => {
    const { clusterName, clusters } = target;
    const key = await resolveKey(target, name);
    const { document } = await clusters.getDocument({ clusterName, key });
    if (!document || document.deleted) throw noSuchDocument(key, clusterName);
    const question = `Delete ${visible(key)} (version ${document.version}) from the cluster ${visible(clusterName)}?`;
    if (!options.yes && !(await confirmOnTerminal(question))) return declined(output);
    const request = {
      writes: [{ deleteKey: key, baseVersion: document.version }],
      // One document less is no reason to enforce where nothing was enforced.
      mode: target.status.head?.mode || EnforcementMode.ENFORCE,
      ...{ reason: options.reason, ...deadline(options), requestId: crypto.randomUUID() },
    };
    const answer = await target.write((client) => client.writeDocuments(request, { timeoutMs: WRITE_TIMEOUT_MS }), {
      isRepeatable: true,
    });
    const outcome = bounded(WriteDocumentsResponseSchema, answer);
    if (output.format === "json") output.json(toJson(WriteDocumentsResponseSchema, outcome));
    else output.text(`${visible(key)} is deleted: ${setText(outcome.head)}.\n`);
    return EXIT.done;
  });
}

export interface ClusterRollbackOptions extends ClusterOptions {
  readonly to?: bigint;
  readonly toSet?: bigint;
  readonly set?: bigint;
  readonly reason: string;
  readonly confirmWithin?: number;
}

/** `wardline policy rollback NAME --to N`, `--to-set N`, `--set N` */
export async function rollBackInCluster(
  output: Output,
  options: ClusterRollbackOptions,
  name: string | undefined,
): Promise<ExitCode> {
  requireChangesAllowed();
  return withCluster(options, async (target) => {
    const { clusterName, clusters } = target;
    if (options.set !== undefined) return settle(output, target, options.set, true, options.reason);
    const key = name === undefined ? "" : await resolveKey(target, name);
    const { to: toVersion = 0n, toSet: toSetNumber = 0n, reason } = options;
    const rollback = { key, toVersion, toSetNumber, reason, ...deadline(options) };
    const { outcome } = await clusters.rollbackDocuments({ clusterName, rollback });
    if (output.format === "json") output.json(outcome ? toJson(RollbackDocumentsResponseSchema, outcome) : null);
    else {
      const what = key === "" ? `everything as in set ${toSetNumber}` : `${visible(key)} as in version ${toVersion}`;
      output.text(`Rolled back: ${what}; ${setText(outcome?.head)}.\n`);
    }
    return EXIT.done;
  });
}

/** `wardline policy confirm --set N` */
export async function confirmSet(
  output: Output,
  options: ClusterOptions & { readonly reason: string },
  setNumber: bigint,
): Promise<ExitCode> {
  requireChangesAllowed();
  return withCluster(options, (target) => settle(output, target, setNumber, false, options.reason));
}

async function settle(
  output: Output,
  { clusters, clusterName }: ClusterTarget,
  setNumber: bigint,
  rollBack: boolean,
  reason: string,
): Promise<ExitCode> {
  const query = { limit: 1, beforeSetNumber: setNumber + 1n };
  const { sets } = await clusters.listSets({ clusterName, query });
  const known: DesiredHead | undefined = sets?.sets.find((each) => each.setNumber === setNumber);
  if (!known) {
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `The cluster ${clusterName} knows no set ${setNumber}.`,
      hint: "`wardline cluster status` shows the newest.",
    });
  }
  const confirmation = { setNumber, digest: known.digest, rollBack, reason };
  const answer = await clusters.confirmSet({ clusterName, confirmation });
  if (output.format === "json") output.json({ head: headJson(answer.head) });
  else output.text(`${visible(clusterName)}: ${setText(answer.head)}.\n`);
  return EXIT.done;
}

function headJson(head: DesiredHead | undefined) {
  const { head: json } = toJson(ConfirmSetResponseSchema, {
    $typeName: "wardline.agent.v1.ConfirmSetResponse",
    ...(head ? { head } : {}),
  }) as { head?: unknown };
  return json ?? null;
}

function deadline({ confirmWithin }: { readonly confirmWithin?: number }) {
  return confirmWithin === undefined ? {} : { confirmWithin: durationFromMs(confirmWithin) };
}

function timeOf({ writtenAt }: DocumentVersion): string {
  return writtenAt ? timestampDate(writtenAt).toISOString() : "";
}

function noSuchDocument(key: string, clusterName: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `The cluster ${clusterName} has no document ${key}.`,
    hint: "`wardline policy list --cluster` shows which there are.",
  });
}

function declined(output: Output): ExitCode {
  output.note("Nothing was changed.");
  return EXIT.problems;
}
