import type { CheckResponse } from "@wardline/api/wardline/console/v1/policies";
import { type Diagnostic, Severity } from "@wardline/api/wardline/v1/error";
import { CircleCheck, CircleX, Info, TriangleAlert } from "lucide-react";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, formatQuantity, Skeleton, shortKey, visibleText } from "../../../ui/index.ts";
import { ExplainForm } from "./explain-form.tsx";
import "./effect-panel.css";

interface EffectPanelProps {
  readonly path: string;
  readonly check: { readonly data: CheckResponse | undefined; readonly error: unknown; readonly isPending: boolean };
  readonly onFix: (diagnostic: Diagnostic) => void;
}

/** What the text means: problems, whom it selects, and why a connection would pass or not. */
export function EffectPanel({ path, check, onFix }: EffectPanelProps) {
  const failure: ShownFailure | null = check.error ? shownFailure(check.error) : null;
  const diagnostics = check.data?.diagnostics ?? [];
  const here = diagnostics.filter((diagnostic) => diagnostic.source?.file === path);
  const elsewhere = diagnostics.filter((diagnostic) => diagnostic.source?.file !== path);
  return (
    <aside className="effect scroll" aria-label="Effect" tabIndex={-1}>
      <section aria-labelledby="effect-problems">
        <h2 id="effect-problems">Problems</h2>
        {failure ? <FailureNotice isCompact failure={failure} title="Not checked" /> : null}
        {!check.data && !failure ? <Skeleton rows={3} label="Checking" /> : null}
        {check.data && here.length === 0 ? (
          <p className="effect-good">
            <CircleCheck size={14} aria-hidden="true" /> None in this file
          </p>
        ) : null}
        <ul className="problems">
          {here.map((diagnostic) => (
            <Problem
              key={`${diagnostic.code}:${diagnostic.source?.line}:${diagnostic.source?.column}`}
              diagnostic={diagnostic}
              onFix={onFix}
            />
          ))}
        </ul>
        {elsewhere.length > 0 ? (
          <details className="elsewhere">
            <summary>{formatQuantity(elsewhere.length, "problem")} in other files</summary>
            <ul className="problems">
              {elsewhere.map((diagnostic) => (
                <Problem
                  key={`${diagnostic.source?.file}:${diagnostic.code}:${diagnostic.source?.line}`}
                  diagnostic={diagnostic}
                  isElsewhere
                />
              ))}
            </ul>
          </details>
        ) : null}
      </section>
      <Selects path={path} check={check.data} />
      <ExplainForm />
    </aside>
  );
}

const SEVERITY_ICONS: Record<Severity, React.ReactNode> = {
  [Severity.UNSPECIFIED]: <Info size={14} aria-label="Note" />,
  [Severity.ERROR]: <CircleX size={14} aria-label="Error" />,
  [Severity.WARNING]: <TriangleAlert size={14} aria-label="Warning" />,
  [Severity.INFO]: <Info size={14} aria-label="Note" />,
};
const SEVERITY_TONES = {
  [Severity.UNSPECIFIED]: "info",
  [Severity.ERROR]: "deny",
  [Severity.WARNING]: "observed",
  [Severity.INFO]: "info",
} as const;

interface ProblemProps {
  readonly diagnostic: Diagnostic;
  readonly isElsewhere?: boolean;
  readonly onFix?: (diagnostic: Diagnostic) => void;
}

export function Problem({ diagnostic, isElsewhere, onFix }: ProblemProps) {
  const openFile = useWindow((state) => state.openFile);
  const { source, fix } = diagnostic;
  return (
    <li className="problem" data-tone={SEVERITY_TONES[diagnostic.severity]}>
      {SEVERITY_ICONS[diagnostic.severity]}
      <div className="problem-text wrap-anywhere">
        <p>{visibleText(diagnostic.message)}</p>
        <p className="problem-place">
          <code className="faint">{visibleText(diagnostic.code)}</code>
          {source ? (
            <button type="button" className="link" onClick={() => openFile(source.file, source.line, source.column)}>
              {isElsewhere ? `${visibleText(source.file)} ` : ""}line {source.line}
            </button>
          ) : null}
          {fix && onFix ? (
            <Button size="small" onPress={() => onFix(diagnostic)}>
              {visibleText(fix.title)}
            </Button>
          ) : null}
        </p>
      </div>
    </li>
  );
}

/** The endpoints behind each policy of the file. */
function Selects({ path, check }: { path: string; check: CheckResponse | undefined }) {
  const openFile = useWindow((state) => state.openFile);
  const documents = (check?.documents ?? []).filter((document) => document.source?.file === path);
  if (documents.length === 0) return null;
  const isPolicy = (kind: string) => kind !== "Host" && kind !== "Workload";
  return (
    <section aria-labelledby="effect-selects">
      <h2 id="effect-selects">Who it is about</h2>
      <ul className="selects">
        {documents.map((document) => (
          <li key={document.key} className="wrap-anywhere">
            <button
              type="button"
              className="link"
              onClick={() => document.source && openFile(path, document.source.line)}
            >
              {visibleText(shortKey(document.key))}
            </button>{" "}
            <span className="faint">{visibleText(document.kind)}</span>
            {isPolicy(document.kind) ? (
              document.subjectKeys.length === 0 ? (
                <p className="selects-none">selects nothing: no host or workload has these labels</p>
              ) : (
                <p className="soft">
                  {formatQuantity(document.ruleCount, "rule")} for{" "}
                  {document.subjectKeys
                    .slice(0, 12)
                    .map((key) => visibleText(shortKey(key)))
                    .join(", ")}
                  {document.subjectKeys.length > 12 ? ` and ${document.subjectKeys.length - 12} more` : ""}
                </p>
              )
            ) : null}
          </li>
        ))}
      </ul>
    </section>
  );
}
