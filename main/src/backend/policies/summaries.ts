/** What a list shows of files: their documents, problem counts, and how they stand against the enforced state. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DocumentSummary,
  DocumentSummarySchema,
  FileState,
  type FileSummary,
  FileSummarySchema,
} from "@wardline/api/wardline/console/v1/policies";
import { endpointMatches, type ReadResult } from "@wardline/domain/policy";
import { toWireSourceRange, toWireTier } from "@wardline/domain/wire";
import type { EnforcedFiles } from "../hosts/enforced-state.ts";
import type { WorkspaceSnapshot } from "./workspace.ts";

const MAX_SUBJECTS = 100;

/** Documents by the path of the file they are in. */
export function summarizeDocuments(reading: ReadResult): Map<string, DocumentSummary[]> {
  const { inventory } = reading.world;
  const policies = new Map(reading.world.policies.map((policy) => [policy.key, policy]));
  const byPath = new Map<string, DocumentSummary[]>();
  for (const document of reading.documents) {
    const summary = create(DocumentSummarySchema, {
      key: document.key,
      apiVersion: document.apiVersion,
      kind: document.kind,
      name: document.name,
      namespace: document.namespace ?? "",
      tier: toWireTier(document.tier),
      ruleCount: document.ruleCount,
      source: toWireSourceRange(document.source),
    });
    const policy = policies.get(document.key);
    if (policy) {
      summary.subjectKeys = inventory.endpoints
        .filter((endpoint) => endpointMatches(policy.subject, endpoint, inventory.namespaces))
        .slice(0, MAX_SUBJECTS)
        .map((endpoint) => endpoint.key);
    }
    const list = byPath.get(document.file) ?? [];
    list.push(summary);
    byPath.set(document.file, list);
  }
  return byPath;
}

/** Files of the workspace, and those that are enforced and no longer in it, sorted by path. */
export function summarizeFiles(snapshot: WorkspaceSnapshot, enforced: EnforcedFiles | null): FileSummary[] {
  const documents = summarizeDocuments(snapshot.reading);
  const errors = new Map<string, number>();
  const warnings = new Map<string, number>();
  for (const { severity, source } of snapshot.reading.diagnostics) {
    const counts = severity === "error" ? errors : severity === "warning" ? warnings : null;
    counts?.set(source.file, (counts.get(source.file) ?? 0) + 1);
  }
  const enforcedTexts = enforced ? new Map(enforced.files.map((file) => [file.path, file.text])) : null;
  const summaries = snapshot.files.map((file) =>
    create(FileSummarySchema, {
      path: file.path,
      revision: BigInt(file.revision),
      sizeBytes: Buffer.byteLength(file.text),
      modifiedAt: timestampFromMs(file.modifiedAtMs),
      documents: documents.get(file.path) ?? [],
      errorCount: errors.get(file.path) ?? 0,
      warningCount: warnings.get(file.path) ?? 0,
      state: stateOf(file, enforcedTexts),
    }),
  );
  const present = new Set(snapshot.files.map((file) => file.path));
  for (const file of enforced?.files ?? []) {
    if (present.has(file.path)) continue;
    const sizeBytes = Buffer.byteLength(file.text);
    summaries.push(create(FileSummarySchema, { path: file.path, sizeBytes, state: FileState.DELETED }));
  }
  return summaries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function stateOf(file: { path: string; text: string }, enforced: ReadonlyMap<string, string> | null): FileState {
  if (!enforced) return FileState.UNKNOWN;
  const text = enforced.get(file.path);
  if (text === undefined) return FileState.NEW;
  return text === file.text ? FileState.ENFORCED : FileState.CHANGED;
}
