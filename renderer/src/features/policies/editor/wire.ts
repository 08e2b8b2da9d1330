/** Answers of the language in the shapes of the console's contract, which the other parts of the window show. */
import { create } from "@bufbuild/protobuf";
import { type DocumentSummary, DocumentSummarySchema } from "@wardline/api/wardline/console/v1/policies";
import { type Diagnostic, DiagnosticSchema, Severity } from "@wardline/api/wardline/v1/error";
import { Tier } from "@wardline/api/wardline/v1/policy";
import type { Diagnostic as DomainDiagnostic } from "@wardline/domain/policy";
import type { CheckAnswer } from "@wardline/domain/policy/language";

const SEVERITIES: Record<DomainDiagnostic["severity"], Severity> = {
  error: Severity.ERROR,
  warning: Severity.WARNING,
  info: Severity.INFO,
};

function toWireProblem({ code, severity, message, source, fix }: DomainDiagnostic): Diagnostic {
  return create(DiagnosticSchema, {
    ...{ code, message, source, severity: SEVERITIES[severity] },
    ...(fix ? { fix: { title: fix.title, edits: fix.edits.map(({ range, newText }) => ({ range, newText })) } } : {}),
  });
}

const PROBLEMS = new WeakMap<CheckAnswer, readonly Diagnostic[]>();

/** The problems of a check; made once, for marks and panels alike. */
export function wireProblemsOf(check: CheckAnswer): readonly Diagnostic[] {
  const problems = PROBLEMS.get(check) ?? check.problems.map(toWireProblem);
  PROBLEMS.set(check, problems);
  return problems;
}

export function toWireDocuments({ documents }: CheckAnswer): DocumentSummary[] {
  return documents.map(({ key, kind, name, isPolicy, source, ruleCount, subjectKeys }) =>
    create(DocumentSummarySchema, {
      ...{ key, kind, name, source, ruleCount, subjectKeys: [...subjectKeys] },
      tier: isPolicy ? Tier.APPLICATION : Tier.UNSPECIFIED,
    }),
  );
}

/** The four layers of problems, by the first digit of their codes. */
export const LAYERS = ["syntax", "schema", "meaning", "risk"] as const;
export type Layer = (typeof LAYERS)[number];

export function layerOf(code: string): Layer {
  return LAYERS[Number(code.charAt(2)) - 1] ?? "meaning";
}
