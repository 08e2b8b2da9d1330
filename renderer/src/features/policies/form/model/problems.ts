/** Which field a problem of the check is about. */
import { type Diagnostic, Severity } from "@wardline/api/wardline/v1/error";
import { type FormFile, partAt, pathAt, type ValuePath } from "@wardline/domain/policy/edit";

export interface FieldProblem {
  readonly part: number;
  readonly path: ValuePath;
  readonly diagnostic: Diagnostic;
}

/** Line starts of a text, from which lines and columns of a problem become an offset. */
function startsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** The check may be about the text of a moment ago: what is outside of the present one is left out. */
export function placeProblems(file: FormFile, path: string, diagnostics: readonly Diagnostic[]): FieldProblem[] {
  const starts = startsOf(file.text);
  return diagnostics.flatMap((diagnostic) => {
    const { source } = diagnostic;
    const start = source?.file === path ? starts[source.line - 1] : undefined;
    if (!source || start === undefined) return [];
    const part = partAt(file, start + source.column - 1);
    if (!part) return [];
    const at = part.root && part.state === "document" ? pathAt(part.root, start + source.column - 1 - part.offset) : [];
    return [{ part: part.index, path: at, diagnostic }];
  });
}

export function isBelow(path: ValuePath, ancestor: ValuePath): boolean {
  return ancestor.length <= path.length && ancestor.every((step, index) => step === path[index]);
}

export function worstOf(problems: readonly FieldProblem[]): "deny" | "observed" | "info" | null {
  if (problems.length === 0) return null;
  const worst = problems.some(({ diagnostic }) => diagnostic.severity === Severity.ERROR);
  if (worst) return "deny";
  return problems.some(({ diagnostic }) => diagnostic.severity === Severity.WARNING) ? "observed" : "info";
}
