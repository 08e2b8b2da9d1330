import { create } from "@bufbuild/protobuf";
import {
  type DroppedFile,
  ImportAction,
  type ImportPreview,
  ImportPreviewSchema,
} from "@wardline/api/wardline/console/v1/policies";
import { readPolicyFiles } from "@wardline/domain/policy";
import { failureToDetail, toWireDiagnostic } from "@wardline/domain/wire";
import { type ImportDecision, judgeImport } from "./import.ts";
import { summarizeDocuments } from "./summaries.ts";
import type { Workspace, WorkspaceEvent } from "./workspace.ts";

const ACTION_TO_WIRE: Record<ImportDecision["action"], ImportAction> = {
  add: ImportAction.ADD,
  replace: ImportAction.REPLACE,
  same: ImportAction.SAME,
  refuse: ImportAction.REFUSE,
};

/** What an import would do, file by file, read together with the rest of the workspace. Changes nothing. */
export function previewImport(workspace: Workspace, dropped: readonly DroppedFile[]): ImportPreview[] {
  const current = textsOf(workspace);
  return describeDecisions(judgeImport(dropped, current), current);
}

/** Imports what can be imported, in one step, and says of every file what became of it. @throws Failure DISK_FULL */
export function importFiles(
  workspace: Workspace,
  dropped: readonly DroppedFile[],
  { author, reason, ticket }: Pick<WorkspaceEvent, "author" | "reason" | "ticket">,
): ImportPreview[] {
  const current = textsOf(workspace);
  const decisions = judgeImport(dropped, current);
  const written = decisions.flatMap((decision) =>
    decision.action === "add" || decision.action === "replace" ? [[decision.path, decision.text] as const] : [],
  );
  const words = `Imported ${written.length === 1 ? written[0]?.[0] : `${written.length} files`}`;
  if (written.length > 0) {
    const event = { author, reason: reason || words, ticket: ticket ?? "", kind: "imported" } as const;
    workspace.change(new Map(written), event);
  }
  return describeDecisions(decisions, current);
}

function textsOf(workspace: Workspace): ReadonlyMap<string, string> {
  return new Map(workspace.snapshot().files.map((file) => [file.path, file.text]));
}

function describeDecisions(
  decisions: readonly ImportDecision[],
  current: ReadonlyMap<string, string>,
): ImportPreview[] {
  const after = new Map(current);
  for (const decision of decisions) if (decision.action !== "refuse") after.set(decision.path, decision.text);
  const reading = readPolicyFiles([...after].map(([path, text]) => ({ path, text })));
  const documents = summarizeDocuments(reading);
  return decisions.map((decision) => {
    const preview = create(ImportPreviewSchema, { path: decision.path, action: ACTION_TO_WIRE[decision.action] });
    if (decision.action === "refuse") {
      preview.refusal = failureToDetail(decision.refusal);
      return preview;
    }
    preview.documents = documents.get(decision.path) ?? [];
    preview.diagnostics = reading.diagnostics
      .filter(({ source }) => source.file === decision.path)
      .map(toWireDiagnostic);
    return preview;
  });
}
