import type { FailedPolicyTest, PolicyTestResults } from "@wardline/api/wardline/console/v1/ship";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { CircleCheck, CircleX } from "lucide-react";
import { useWindow } from "../../../data/window-store.ts";
import { formatQuantity, Notice, visibleText } from "../../../ui/index.ts";
import "./policy-tests.css";

/** How the policy tests of the workspace came out: failures with their counterexample, one line when all is well. */
export function PolicyTests({ results }: { results: PolicyTestResults }) {
  const { heldCount, failedCount, vacuousCount, failed, failedLeftOut } = results;
  if (heldCount + failedCount + vacuousCount === 0) return null;
  const empty =
    vacuousCount > 0
      ? `${formatQuantity(vacuousCount, "case")} ${vacuousCount === 1 ? "is" : "are"} about nobody, so nothing is shown by it.`
      : "";
  if (failedCount === 0) {
    return (
      <Notice
        tone={heldCount > 0 ? "allow" : "unknown"}
        {...(heldCount > 0 ? { icon: <CircleCheck size={16} aria-hidden="true" /> } : {})}
      >
        <strong>
          {heldCount > 0 ? `Policy tests: all ${heldCount} hold.` : "Policy tests: none is about anybody."}
        </strong>
        <span className="soft">{empty === "" ? "Proved for every member and every packet." : empty}</span>
      </Notice>
    );
  }
  return (
    <section className="ship-section" aria-labelledby="ship-tests">
      <h3 id="ship-tests">
        Policy tests: {failedCount} failed, {heldCount} hold
      </h3>
      {empty === "" ? null : <p className="soft">{empty}</p>}
      <ul className="policy-tests">
        {failed.map((test) => (
          <FailedTest key={test.name} test={test} />
        ))}
      </ul>
      {failedLeftOut > 0 ? <p className="soft">and {formatQuantity(failedLeftOut, "more case")} that failed</p> : null}
    </section>
  );
}

function FailedTest({ test }: { test: FailedPolicyTest }) {
  const openFile = useWindow((state) => state.openFile);
  const { name, expect, because, explanation, source } = test;
  return (
    <li className="policy-test">
      <CircleX size={14} aria-label="Failed" />
      <div className="policy-test-text wrap-anywhere">
        <p>
          <strong>{visibleText(name)}</strong> expects {expect === Verdict.ALLOW ? "allow" : "deny"}
          {because === "" ? null : <span className="soft">: {visibleText(because)}</span>}
        </p>
        <p>{visibleText(explanation)}</p>
        {source ? (
          <p>
            <button type="button" className="link" onClick={() => openFile(source.file, source.line, source.column)}>
              {visibleText(source.file)} line {source.line}
            </button>
          </p>
        ) : null}
      </div>
    </li>
  );
}
