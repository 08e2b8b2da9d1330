import { Severity } from "@wardline/api/wardline/v1/error";
import { IN_THE_TEXT } from "@wardline/domain/policy/edit";
import { CircleX, Info, TriangleAlert } from "lucide-react";
import { visibleText } from "../../../../ui/index.ts";
import type { FieldProblem } from "../model/problems.ts";
import { InText } from "./in-text.tsx";

const MOST_SHOWN = 3;

/** What is wrong with a field, below it; and why the last change was not made. */
export function Problems({
  id,
  problems,
  reason = null,
}: {
  id?: string;
  problems: readonly FieldProblem[];
  reason?: string | null;
}) {
  return (
    <div id={id} className="form-problems">
      {reason ? (
        <p className="form-problem" data-tone="deny" role="alert">
          <CircleX size={13} aria-hidden="true" />{" "}
          <span>
            Not written: {visibleText(reason)} {reason.endsWith(IN_THE_TEXT) ? <InText path={null} /> : null}
          </span>
        </p>
      ) : null}
      {problems.slice(0, MOST_SHOWN).map(({ diagnostic }, index) => (
        <p
          // biome-ignore lint/suspicious/noArrayIndexKey: two problems may be the same in every part.
          key={index}
          className="form-problem"
          data-tone={
            diagnostic.severity === Severity.ERROR
              ? "deny"
              : diagnostic.severity === Severity.WARNING
                ? "observed"
                : "info"
          }
        >
          {diagnostic.severity === Severity.ERROR ? (
            <CircleX size={13} aria-label="Error" />
          ) : diagnostic.severity === Severity.WARNING ? (
            <TriangleAlert size={13} aria-label="Warning" />
          ) : (
            <Info size={13} aria-label="Note" />
          )}
          <span>
            {visibleText(diagnostic.message)} <code className="faint">{visibleText(diagnostic.code)}</code>
          </span>
        </p>
      ))}
      {problems.length > MOST_SHOWN ? <p className="form-problem">{problems.length - MOST_SHOWN} more here</p> : null}
    </div>
  );
}
