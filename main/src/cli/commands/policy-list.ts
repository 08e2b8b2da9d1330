import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  FileState,
  type FileSummary,
  FileSummarySchema,
  VersionSchema,
} from "@wardline/api/wardline/console/v1/policies";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { type Session, type SessionOptions, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visibleLines } from "../terminal/visible.ts";

const STATES: Record<FileState, string> = {
  [FileState.UNSPECIFIED]: "",
  [FileState.ENFORCED]: "enforced",
  [FileState.NEW]: "new",
  [FileState.CHANGED]: "changed",
  [FileState.DELETED]: "deleted",
  [FileState.UNKNOWN]: "unknown",
};
const ENFORCED_WAIT_MS = 3_000;

/** `wardline policy list` */
export async function policyList(
  output: Output,
  options: SessionOptions & { readonly versions: boolean },
): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    if (options.versions) await showVersions(output, session);
    else await showFiles(output, session);
    return EXIT.done;
  });
}

async function showFiles(output: Output, session: Session): Promise<void> {
  const files = await filesWithState(session);
  if (output.format === "json") {
    output.json({ files: files.map((file) => toJson(FileSummarySchema, file)) });
    return;
  }
  if (files.length === 0) {
    output.text(
      "The workspace is empty. Apply some files (wardline policy apply FILE…) or drop them into the console.\n",
    );
    return;
  }
  const { style } = output;
  const rows = files.map((file) => [
    file.path,
    STATES[file.state],
    file.documents.map((document) => document.key).join(", "),
    {
      text: problemsOf(file),
      ...(file.errorCount > 0 ? { paint: style.red } : file.warningCount > 0 ? { paint: style.yellow } : {}),
    },
  ]);
  output.text(formatTable(["FILE", "STATE", "DOCUMENTS", "PROBLEMS"], rows));
  if (files.some((file) => file.state === FileState.UNKNOWN)) {
    output.note("What is enforced is not known: the agent could not be asked (wardline agent status).");
  }
}

/** Waits a little for the agent, because the state of a file is what it is compared with. */
async function filesWithState(session: Session): Promise<FileSummary[]> {
  const { local } = session.backend.registry;
  let files: FileSummary[] = [];
  const isReached = await local.connection.client().then(
    () => true,
    () => false,
  );
  const limit = AbortSignal.timeout(ENFORCED_WAIT_MS);
  try {
    for await (const message of session.policies.watchWorkspace({}, { signal: limit })) {
      files = message.files;
      if (!isReached || !files.some((file) => file.state === FileState.UNKNOWN)) break;
    }
  } catch (error) {
    if (!limit.aborted) throw error;
  }
  return files;
}

async function showVersions(output: Output, session: Session): Promise<void> {
  const { versions } = await session.policies.listVersions({ limit: 1000 });
  if (output.format === "json") {
    output.json({ versions: versions.map((version) => toJson(VersionSchema, version)) });
    return;
  }
  const rows = versions.map((version) => [
    String(version.number),
    version.createdAt ? timestampDate(version.createdAt).toISOString() : "",
    version.author,
    `${version.policyCount} in ${version.fileCount} files`,
    version.reason,
    version.id.slice(0, 12),
  ]);
  output.text(formatTable(["VERSION", "TIME", "AUTHOR", "POLICIES", "REASON", "ID"], rows));
}

/** `wardline policy show PATH` */
export async function policyShow(output: Output, options: SessionOptions, path: string): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const file = await session.policies.getFile({ path });
    if (output.format === "json") {
      output.json({ path: file.path, revision: Number(file.revision), text: file.text });
    } else {
      // Into a pipe the bytes go as they are; a terminal gets nothing that could steer it.
      output.text(output.isTerminal ? visibleLines(file.text).replaceAll("\\u{9}", "\t") : file.text);
    }
    return EXIT.done;
  });
}

function problemsOf(file: FileSummary): string {
  const parts = [];
  if (file.errorCount > 0) parts.push(`${file.errorCount} ${file.errorCount === 1 ? "error" : "errors"}`);
  if (file.warningCount > 0) parts.push(`${file.warningCount} ${file.warningCount === 1 ? "warning" : "warnings"}`);
  return parts.join(", ");
}
