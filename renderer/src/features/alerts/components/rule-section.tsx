import { clone } from "@bufbuild/protobuf";
import { type AlertBoard, type AlertRule, AlertRuleSchema } from "@wardline/api/wardline/console/v1/alerts";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatAge, SeverityMark, visibleText } from "../../../ui/index.ts";
import { ruleText } from "../model/words.ts";
import { RuleForm } from "./rule-form.tsx";

/** What makes an alert, who is told at once, and who later. */
export function RuleSection({ board }: { board: AlertBoard }) {
  const [edited, setEdited] = useState<string | null>(null);
  return (
    <section className="alert-section" aria-labelledby="alert-rules">
      <h2 id="alert-rules">Rules</h2>
      <ul className="alert-list">
        {board.rules.map((rule) => (
          <li key={rule.name} className="alert-item" data-off={rule.enabled ? undefined : ""}>
            {edited === rule.name ? (
              <RuleForm rule={rule} board={board} onDone={() => setEdited(null)} />
            ) : (
              <RuleLine rule={rule} onEdit={() => setEdited(rule.name)} />
            )}
          </li>
        ))}
        {edited === "" ? (
          <li className="alert-item">
            <RuleForm rule={null} board={board} onDone={() => setEdited(null)} />
          </li>
        ) : null}
      </ul>
      <span className="alert-buttons">
        <Button size="small" isDisabled={edited === ""} onPress={() => setEdited("")}>
          Add a rule…
        </Button>
      </span>
    </section>
  );
}

function RuleLine({ rule, onEdit }: { rule: AlertRule; onEdit: () => void }) {
  const { connection } = useConsole();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const act = (action: Promise<unknown>) => {
    setFailure(null);
    action.catch((error: unknown) => setFailure(shownFailure(error)));
  };
  const turn = () => {
    const changed = clone(AlertRuleSchema, rule);
    changed.enabled = !rule.enabled;
    act(connection.alerts.putAlertRule({ rule: changed }));
  };
  return (
    <>
      <span className="alert-line">
        <SeverityMark severity={rule.severity} />
        <strong>{visibleText(rule.name)}</strong>
        <span className="wrap-anywhere">{visibleText(ruleText(rule))}</span>
        {rule.hostSelector ? <code className="faint">{visibleText(rule.hostSelector)}</code> : null}
        {rule.enabled ? null : <span className="faint">turned off</span>}
      </span>
      <span className="soft">
        {rule.steps.length === 0
          ? "Nobody is told."
          : rule.steps
              .map(({ afterSeconds, receivers }) => {
                const when = afterSeconds === 0 ? "at once" : `after ${formatAge(afterSeconds * 1000)} unseen`;
                return `${when}: ${receivers.map(visibleText).join(", ")}`;
              })
              .join(" · ")}
      </span>
      <span className="alert-buttons">
        <Button size="small" onPress={onEdit}>
          Change…
        </Button>
        <Button size="small" onPress={turn}>
          {rule.enabled ? "Turn off" : "Turn on"}
        </Button>
      </span>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
    </>
  );
}
