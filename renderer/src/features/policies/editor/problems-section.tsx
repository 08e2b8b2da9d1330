import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import type { CheckAnswer, FileProblems, ProblemCounts } from "@wardline/domain/policy/language";
import { CircleCheck } from "lucide-react";
import { useState } from "react";
import { shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, formatQuantity, Skeleton, visibleText } from "../../../ui/index.ts";
import { Problem } from "../components/problem.tsx";
import type { FileCheck } from "./use-file-check.ts";
import { LAYERS, layerOf } from "./wire.ts";

const STEP = 100;
const SHOWN_KINDS = 6;

interface ProblemsSectionProps {
  readonly path: string;
  readonly check: FileCheck;
  readonly onFix: (diagnostics: readonly Diagnostic[]) => void;
}

export function ProblemsSection({ path, check, onFix }: ProblemsSectionProps) {
  const [shown, setShown] = useState(STEP);
  const failure = check.error ? shownFailure(check.error) : null;
  const here = (check.data?.diagnostics ?? []).filter(({ source }) => source?.file === path);
  const { elsewhere = [], unlisted, unlistedElsewhere } = check.isRemote ? {} : (check.language.check ?? {});
  const hasUnlisted = unlisted !== undefined && countOf(unlisted) > 0;
  const fixable = here.filter(({ fix }) => fix !== undefined);
  const layers = LAYERS.map((layer) => [layer, here.filter(({ code }) => layerOf(code) === layer).length] as const);
  return (
    <section aria-labelledby="effect-problems">
      <h2 id="effect-problems">Problems</h2>
      {failure ? <FailureNotice isCompact failure={failure} title="Not checked" /> : null}
      {check.isRemote ? (
        <p className="soft">{visibleText(check.language.failure)} The backend checks instead.</p>
      ) : null}
      {!check.data && !failure ? <Skeleton rows={3} label="Checking" /> : null}
      {check.data && here.length === 0 ? (
        <p className="effect-good">
          <CircleCheck size={14} aria-hidden="true" /> None in this file
        </p>
      ) : null}
      {here.length > 1 ? (
        <p className="problem-summary soft">
          {hasUnlisted ? `The first ${here.length.toLocaleString("en")}: ` : ""}
          {layers
            .flatMap(([layer, count]) => (count > 0 ? [`${layer} ${count.toLocaleString("en")}`] : []))
            .join(" · ")}
          {fixable.length > 1 ? (
            <Button size="small" onPress={() => onFix(fixable)}>
              Mend all {fixable.length}
            </Button>
          ) : null}
          {kindsOf(fixable).map(([code, alike]) => (
            <Button key={code} size="small" onPress={() => onFix(alike)}>
              Mend all {alike.length} {code}
            </Button>
          ))}
        </p>
      ) : null}
      <ul className="problems">
        {here.slice(0, shown).map((diagnostic, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two problems of one place may be the same but for their words
          <Problem key={index} diagnostic={diagnostic} onFix={(one) => onFix([one])} />
        ))}
      </ul>
      {here.length > shown ? (
        <Button size="small" onPress={() => setShown(shown + STEP)}>
          Show {Math.min(STEP, here.length - shown)} more of {here.length - shown}
        </Button>
      ) : null}
      {hasUnlisted ? (
        <p className="soft problems-unlisted">
          And {countOf(unlisted).toLocaleString("en")} more that are neither listed nor marked: {countWords(unlisted)}.
          F8 goes through all.
        </p>
      ) : null}
      {elsewhere.length > 0 ? <Elsewhere files={elsewhere} unlisted={unlistedElsewhere} /> : null}
    </section>
  );
}

/** Codes that several problems have that can be mended, where there are other codes beside them. */
function kindsOf(fixable: readonly Diagnostic[]): readonly (readonly [code: string, alike: readonly Diagnostic[]])[] {
  const byCode = Map.groupBy(fixable, ({ code }) => code);
  if (byCode.size < 2) return [];
  return [...byCode].filter(([, alike]) => alike.length > 1).slice(0, SHOWN_KINDS);
}

function countOf({ errors, warnings, notes }: ProblemCounts): number {
  return errors + warnings + notes;
}

/** `3 errors, 1 warning`. */
function countWords({ errors, warnings, notes }: ProblemCounts): string {
  return [
    ...(errors > 0 ? [formatQuantity(errors, "error")] : []),
    ...(warnings > 0 ? [formatQuantity(warnings, "warning")] : []),
    ...(notes > 0 ? [formatQuantity(notes, "note")] : []),
  ].join(", ");
}

interface ElsewhereProps {
  readonly files: readonly FileProblems[];
  readonly unlisted: CheckAnswer["unlistedElsewhere"] | undefined;
}

function Elsewhere({ files, unlisted }: ElsewhereProps) {
  const openFile = useWindow((state) => state.openFile);
  const total = files.reduce((sum, file) => sum + countOf(file), unlisted ? countOf(unlisted) : 0);
  return (
    <details className="elsewhere">
      <summary>{formatQuantity(total, "problem")} in other files</summary>
      <ul className="problems">
        {files.map(({ file, first, ...counts }) => (
          <li key={file} className="wrap-anywhere">
            <button type="button" className="link" onClick={() => openFile(first.file, first.line, first.column)}>
              {visibleText(file)}
            </button>{" "}
            <span className="soft">{countWords(counts)}</span>
          </li>
        ))}
        {unlisted && unlisted.files > 0 ? (
          <li className="soft">
            And {formatQuantity(unlisted.files, "more file", "more files")}: {countWords(unlisted)}. F8 goes through
            all.
          </li>
        ) : null}
      </ul>
    </details>
  );
}
