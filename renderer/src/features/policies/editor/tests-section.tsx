import type { ProofSummary } from "@wardline/domain/policy/language";
import { CircleCheck } from "lucide-react";
import { useWindow } from "../../../data/window-store.ts";
import { formatQuantity, visibleText } from "../../../ui/index.ts";

const MAX_SHOWN = 50;

/** The policy tests of the workspace, proved against the texts as they stand. */
export function TestsSection({
  proof,
  isProving,
}: {
  readonly proof: ProofSummary | null;
  readonly isProving: boolean;
}) {
  const openFile = useWindow((state) => state.openFile);
  const bad = (proof?.marks ?? []).filter(({ status }) => status !== "holds");
  return (
    <section aria-labelledby="effect-tests">
      <h2 id="effect-tests">Tests{isProving ? <span className="faint"> proving…</span> : null}</h2>
      {proof === null ? (
        <p className="faint">Not run yet.</p>
      ) : proof.notRun !== "" ? (
        <p className="soft">{visibleText(proof.notRun)}</p>
      ) : proof.marks.length === 0 ? (
        <p className="soft">
          No PolicyTest in the workspace. A test says what must hold; it is proved at every change.
        </p>
      ) : (
        <p className={bad.length === 0 ? "effect-good" : undefined}>
          {bad.length === 0 ? <CircleCheck size={14} aria-hidden="true" /> : null}{" "}
          {formatQuantity(proof.counts.holds, "test")} of {proof.marks.length.toLocaleString("en")} hold.{" "}
          {proof.untouched.length > 0
            ? `No test touches ${formatQuantity(proof.untouched.length, "rule")}.`
            : "Every rule is touched."}
        </p>
      )}
      <ul className="problems">
        {bad.slice(0, MAX_SHOWN).map((mark) => (
          <li
            key={`${mark.file}:${mark.line}:${mark.name}`}
            className="problem"
            data-tone={mark.status === "fails" ? "deny" : "observed"}
          >
            <span aria-hidden="true">{mark.status === "fails" ? "✕" : "○"}</span>
            <div className="problem-text wrap-anywhere">
              <p>{visibleText(mark.text)}</p>
              {mark.because === "" ? null : <p className="soft">Wanted because: {visibleText(mark.because)}</p>}
              <p className="problem-place">
                <button type="button" className="link" onClick={() => openFile(mark.file, mark.line)}>
                  {visibleText(mark.name)}
                </button>
                {mark.decidedAt ? (
                  <button
                    type="button"
                    className="link"
                    onClick={() => mark.decidedAt && openFile(mark.decidedAt.file, mark.decidedAt.line)}
                  >
                    the rule: {visibleText(mark.decidedAt.file)} line {mark.decidedAt.line}
                  </button>
                ) : null}
              </p>
            </div>
          </li>
        ))}
      </ul>
      {bad.length > MAX_SHOWN ? (
        <p className="soft">{bad.length - MAX_SHOWN} more are marked beside their lines.</p>
      ) : null}
    </section>
  );
}
