import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { Tier } from "@wardline/api/wardline/v1/policy";
import { useWindow } from "../../../data/window-store.ts";
import { formatQuantity, shortKey, visibleText } from "../../../ui/index.ts";
import { CursorSection } from "../editor/cursor-section.tsx";
import { OutlineSection } from "../editor/outline-section.tsx";
import { ProblemsSection } from "../editor/problems-section.tsx";
import { ReferencesSection } from "../editor/references-section.tsx";
import { TestsSection } from "../editor/tests-section.tsx";
import type { FileCheck } from "../editor/use-file-check.ts";
import { useLanguageStore } from "../editor/use-language.ts";
import { ExplainForm } from "./explain-form.tsx";
import "./effect-panel.css";

interface EffectPanelProps {
  readonly path: string;
  readonly text: string;
  readonly check: FileCheck;
  /** The text could not be read: there is nothing to look at, and nothing to wait for. */
  readonly isMissing: boolean;
  readonly onFix: (diagnostics: readonly Diagnostic[]) => void;
}

/** What the text means: the line at the cursor, problems, tests, whom it selects, and why a connection would pass or not. */
export function EffectPanel({ path, text, check, isMissing, onFix }: EffectPanelProps) {
  const store = useLanguageStore();
  const { line, references, proof, isProving, version } = check.language;
  if (isMissing) {
    return (
      <aside className="effect scroll" aria-label="Effect" tabIndex={-1}>
        <section aria-labelledby="effect-cursor">
          <h2 id="effect-cursor">At the cursor</h2>
          <p className="soft">The file was not read, so nothing is known of it.</p>
        </section>
        <ExplainForm />
      </aside>
    );
  }
  return (
    <aside className="effect scroll" aria-label="Effect" tabIndex={-1}>
      {references ? <ReferencesSection references={references} onClose={() => store.forgetReferences()} /> : null}
      {check.isRemote ? null : <CursorSection meaning={line} isKnown={check.data !== undefined} />}
      <ProblemsSection key={path} path={path} check={check} onFix={onFix} />
      {check.isRemote ? null : <TestsSection proof={proof} isProving={isProving} />}
      <Selects path={path} check={check.data} />
      {check.isRemote ? null : <OutlineSection key={`outline ${path}`} path={path} version={version} text={text} />}
      <ExplainForm />
    </aside>
  );
}

/** The endpoints behind each policy of the file. */
function Selects({ path, check }: { path: string; check: FileCheck["data"] }) {
  const openFile = useWindow((state) => state.openFile);
  const documents = (check?.documents ?? []).filter((document) => document.source?.file === path);
  if (documents.length === 0) return null;
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
            {document.tier !== Tier.UNSPECIFIED ? (
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
