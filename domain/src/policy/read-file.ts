/** One policy file, read document by document; what has not changed since an earlier reading is not read again. */
import { DiagnosticSink } from "./check/sink.ts";
import { type ReadDocument, readDocument } from "./formats/read-document.ts";
import type { SourceFile } from "./model.ts";
import type { ReadLimits } from "./yaml/limits.ts";
import { LineIndex } from "./yaml/line-index.ts";
import { reportTooManyDocuments } from "./yaml/parse.ts";
import { readYaml } from "./yaml/read-yaml.ts";
import { Reporter } from "./yaml/reporter.ts";
import { type DocumentText, splitDocuments, wholeText } from "./yaml/split.ts";
import { reportBadCharacters } from "./yaml/syntax-errors.ts";

/** What one document's text gives at its place. It depends on nothing else but the tokens that were left for it. */
interface PartReading {
  readonly text: string;
  readonly firstLine: number;
  readonly documents: readonly ReadDocument[];
  readonly problems: DiagnosticSink;
  readonly documentCount: number;
  readonly rootCount: number;
  readonly fullParserTokens: number;
  readonly isRefused: boolean;
}

export interface FileReading {
  readonly text: string;
  /** About the file as a whole. */
  readonly problems: DiagnosticSink;
  readonly parts: readonly PartReading[];
}

/** Reads the file. `earlier` is a reading of the same path with the same limits, whose unchanged documents are kept. */
export function readFile(file: SourceFile, limits: ReadLimits, earlier: FileReading | null): FileReading {
  if (earlier?.text === file.text) return earlier;
  const problems = new DiagnosticSink(limits.maxDiagnostics);
  const report = new Reporter(problems, new LineIndex(file.path, file.text));
  const clean = reportBadCharacters(file.text, report);
  const split = splitDocuments(clean);
  const known = new Map(earlier?.parts.map((part) => [part.firstLine, part]));
  const parts: PartReading[] = [];
  let documentCount = 0;
  let tokensLeft = limits.maxFullParserTokensPerFile;
  for (const source of split ?? [wholeText(clean)]) {
    if (split && documentCount >= limits.maxDocumentsPerFile) {
      reportTooManyDocuments(report, limits, source.offset);
      break;
    }
    const kept = known.get(source.firstLine);
    const part =
      kept?.text === source.text && staysTheSame(kept, tokensLeft)
        ? kept
        : readPart(file.path, source, limits, tokensLeft, split === null);
    documentCount += part.documentCount;
    tokensLeft = Math.max(0, tokensLeft - part.fullParserTokens);
    parts.push(part);
  }
  const isEmpty = parts.every((part) => part.rootCount === 0 && part.problems.errorCount === 0);
  if (isEmpty && report.errorCount === 0) {
    report.report("WL319", { start: 0, end: 0 }, "The file holds no document.");
  }
  return { text: file.text, problems, parts };
}

/** Whether reading the part again with so many tokens left would take the same way. */
function staysTheSame(part: PartReading, tokensLeft: number): boolean {
  return part.isRefused ? tokensLeft < part.fullParserTokens : tokensLeft >= part.fullParserTokens;
}

function readPart(
  path: string,
  source: DocumentText,
  limits: ReadLimits,
  tokensLeft: number,
  isStream: boolean,
): PartReading {
  const { text, firstLine } = source;
  const problems = new DiagnosticSink(limits.maxDiagnostics);
  const report = new Reporter(problems, new LineIndex(path, text, firstLine));
  const { roots, documentCount, fullParserTokens, isRefused } = readYaml(source, report, limits, tokensLeft, isStream);
  return {
    text,
    firstLine,
    documents: roots.flatMap((root) => readDocument(root, report)),
    problems,
    documentCount,
    rootCount: roots.length,
    fullParserTokens,
    isRefused,
  };
}
