/** Policy files in, a world and every problem out: the one way from text to the model. */

import { DiagnosticSink } from "./check/sink.ts";
import { checkWorld } from "./check/world.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { type DocumentInfo, type ReadDocument, readDocument } from "./formats/read-document.ts";
import type { PolicyWorld, SourceFile } from "./model.ts";
import { DEFAULT_READ_LIMITS, type ReadLimits } from "./yaml/limits.ts";
import { LineIndex } from "./yaml/line-index.ts";
import { parseYaml } from "./yaml/parse.ts";
import { Reporter } from "./yaml/reporter.ts";

export type { DocumentInfo } from "./formats/read-document.ts";

export interface ReadOptions {
  readonly limits?: Partial<ReadLimits>;
}

export interface ReadResult {
  /** Policies without errors, and the inventory as far as it could be read. To be applied only when `ok`. */
  readonly world: PolicyWorld;
  /** In the order of the files; documents whose kind or name could not be read are missing. */
  readonly documents: readonly DocumentInfo[];
  /** In the order of the files and of their lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** True when there is no error; warnings and notices do not count. */
  readonly ok: boolean;
}

/**
 * Reads a whole desired state: policies and inventory in any number of files, YAML or JSON. Lists all problems at once;
 * never throws on any text, and the work is bounded by the limits.
 */
export function readPolicyFiles(files: readonly SourceFile[], options: ReadOptions = {}): ReadResult {
  const limits: ReadLimits = { ...DEFAULT_READ_LIMITS, ...options.limits };
  const sink = new DiagnosticSink(limits.maxDiagnostics);
  const documents: ReadDocument[] = [];
  for (const file of acceptedFiles(files, limits, sink)) {
    for (const document of readFile(file, limits, sink)) documents.push(document);
  }
  const world = checkWorld(documents, sink);
  const fileOrder = new Map(files.map((file, index) => [file.path, index]));
  return {
    world,
    documents: documents.map(({ info }) => info),
    diagnostics: sink.finish(fileOrder),
    ok: sink.errorCount === 0,
  };
}

function readFile(file: SourceFile, limits: ReadLimits, sink: DiagnosticSink): readonly ReadDocument[] {
  const report = new Reporter(sink, new LineIndex(file.path, file.text));
  const roots = parseYaml(file.text, report, limits);
  if (roots.length === 0 && report.errorCount === 0) {
    report.report("WL319", { start: 0, end: 0 }, "The file holds no document.");
  }
  return roots.flatMap((root) => readDocument(root, report));
}

/** The files that are small enough to be read; the others are reported. */
function acceptedFiles(files: readonly SourceFile[], limits: ReadLimits, sink: DiagnosticSink): readonly SourceFile[] {
  const accepted: SourceFile[] = [];
  let totalLength = 0;
  for (const [index, file] of files.entries()) {
    const start = { file: file.path, line: 1, column: 1, endLine: 1, endColumn: 1 };
    if (file.text.length > limits.maxFileLength) {
      const message = `The file has ${file.text.length} characters; a policy file may have ${limits.maxFileLength}. It is not read.`;
      sink.report("WL109", start, message);
      continue;
    }
    totalLength += file.text.length;
    if (totalLength > limits.maxTotalLength || index >= limits.maxFiles) {
      const message = `All files together are over the limit of ${limits.maxTotalLength} characters or ${limits.maxFiles} files; nothing from this file on is read.`;
      sink.report("WL110", start, message);
      break;
    }
    accepted.push(file);
  }
  return accepted;
}
