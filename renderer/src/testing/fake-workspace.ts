/** The part of the fake backend that holds files: a rough reader, enough to drive the window. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import {
  type DocumentSummary,
  DocumentSummarySchema,
  FileState,
  type FileSummary,
  FileSummarySchema,
} from "@wardline/api/wardline/console/v1/policies";
import {
  type Diagnostic,
  DiagnosticSchema,
  type ErrorCode,
  ErrorDetailSchema,
  Severity,
} from "@wardline/api/wardline/v1/error";
import { Tier } from "@wardline/api/wardline/v1/policy";

export function failure(code: ErrorCode, status: Code, message: string, hint = "", retryable = false): ConnectError {
  return new ConnectError(message, status, undefined, [
    { desc: ErrorDetailSchema, value: { code, message, hint, retryable } },
  ]);
}

export interface FakeFile {
  text: string;
  revision: bigint;
  modifiedMs: number;
}

interface Problem {
  readonly pattern: RegExp;
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly replacement?: string;
}

const PROBLEMS: readonly Problem[] = [
  {
    pattern: /\t/,
    code: "WL104",
    severity: Severity.ERROR,
    message: "A tab cannot indent YAML. Use spaces.",
    replacement: "  ",
  },
  {
    pattern: /\begres\b/,
    code: "WL203",
    severity: Severity.ERROR,
    message: "Unknown field `egres`. Did you mean `egress`?",
    replacement: "egress",
  },
  {
    pattern: /\bTCPP\b/,
    code: "WL211",
    severity: Severity.ERROR,
    message: "Unknown protocol `TCPP`. Did you mean `TCP`?",
    replacement: "TCP",
  },
  {
    pattern: /[\d.]+\/33\b/,
    code: "WL214",
    severity: Severity.ERROR,
    message: "An IPv4 prefix has at most 32 bits; this one has 33.",
  },
  {
    pattern: /app: nobody/,
    code: "WL304",
    severity: Severity.WARNING,
    message: "No host or workload has the label `app=nobody`, so this selects nothing.",
  },
];

export function checkText(path: string, text: string): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  text.split("\n").forEach((line, index) => {
    for (const problem of PROBLEMS) {
      const match = problem.pattern.exec(line);
      if (!match) continue;
      const source = {
        file: path,
        line: index + 1,
        column: match.index + 1,
        endLine: index + 1,
        endColumn: match.index + match[0].length + 1,
      };
      diagnostics.push(
        create(DiagnosticSchema, {
          code: problem.code,
          severity: problem.severity,
          message: problem.message,
          source,
          ...(problem.replacement === undefined
            ? {}
            : {
                fix: {
                  title: `Replace with \`${problem.replacement}\``,
                  edits: [{ range: source, newText: problem.replacement }],
                },
              }),
        }),
      );
    }
  });
  return diagnostics;
}

export function documentsOf(path: string, text: string): DocumentSummary[] {
  const documents: DocumentSummary[] = [];
  let line = 1;
  for (const part of text.split(/^---$/m)) {
    const kind = /^kind: *(\S+)/m.exec(part)?.[1];
    const name = /^ {2}name: *(\S+)/m.exec(part)?.[1];
    if (kind && name) {
      const namespace = /^ {2}namespace: *(\S+)/m.exec(part)?.[1] ?? "default";
      const isPolicy = kind === "NetworkPolicy";
      documents.push(
        create(DocumentSummarySchema, {
          key: isPolicy ? `${kind}/${namespace}/${name}` : `${kind}/${name}`,
          apiVersion: /^apiVersion: *(\S+)/m.exec(part)?.[1] ?? "",
          kind,
          name,
          namespace,
          tier: isPolicy ? Tier.APPLICATION : Tier.UNSPECIFIED,
          source: { file: path, line, column: 1, endLine: line + part.split("\n").length, endColumn: 1 },
          subjectKeys: isPolicy
            ? part.includes("app: nobody")
              ? []
              : [/app: database/.test(part.slice(0, 200)) ? "Host/db-1" : "Host/atlas"]
            : [],
          ruleCount: (part.match(/^ {4}- /gm) ?? []).length,
        }),
      );
    }
    line += part.split("\n").length - 1;
  }
  return documents;
}

export function summarize(path: string, file: FakeFile, enforced: ReadonlyMap<string, string> | null): FileSummary {
  const diagnostics = checkText(path, file.text);
  const enforcedText = enforced?.get(path);
  return create(FileSummarySchema, {
    path,
    revision: file.revision,
    sizeBytes: file.text.length,
    modifiedAt: timestampFromMs(file.modifiedMs),
    documents: documentsOf(path, file.text),
    errorCount: diagnostics.filter((diagnostic) => diagnostic.severity === Severity.ERROR).length,
    warningCount: diagnostics.filter((diagnostic) => diagnostic.severity === Severity.WARNING).length,
    state:
      enforced === null
        ? FileState.UNKNOWN
        : enforcedText === undefined
          ? FileState.NEW
          : enforcedText === file.text
            ? FileState.ENFORCED
            : FileState.CHANGED,
  });
}

export function isBinary(content: Uint8Array): boolean {
  return content.subarray(0, 8_000).includes(0);
}
