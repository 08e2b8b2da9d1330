import type { AlertBoard } from "@wardline/api/wardline/console/v1/alerts";
import { useActivity } from "../../../data/context.tsx";
import { Notice, Skeleton, visibleText } from "../../../ui/index.ts";
import { AlertList } from "./alert-list.tsx";
import { PastAlerts } from "./past-alerts.tsx";
import { ReceiverSection } from "./receiver-section.tsx";
import { RuleSection } from "./rule-section.tsx";
import { SilenceSection } from "./silence-section.tsx";
import "./alerts-tab.css";

/** What fires, what would make something fire, who is told, and what is kept silent. */
export function AlertsTab() {
  const { alerts } = useActivity();
  if (alerts === null) return <Skeleton rows={10} label="Asking for alerts" />;
  return <Board board={alerts} />;
}

function Board({ board }: { board: AlertBoard }) {
  return (
    <div className="alerts scroll">
      {board.deliveredBy === "" && !board.isDelivering ? (
        <Notice tone="deny">
          <strong>Nobody delivers.</strong>{" "}
          <span>
            Alerts are judged and told while a console is open, or by <code>wardline alert run</code> as a service.
          </span>
        </Notice>
      ) : null}
      {board.problems.map((problem) => (
        <Notice key={problem} tone="observed">
          {visibleText(problem)}
        </Notice>
      ))}
      <AlertList board={board} />
      <SilenceSection board={board} />
      <RuleSection board={board} />
      <ReceiverSection board={board} />
      <PastAlerts />
      <p className="faint">
        {board.isDelivering
          ? "This console delivers."
          : board.deliveredBy
            ? `Delivered by ${visibleText(board.deliveredBy)}.`
            : ""}
      </p>
    </div>
  );
}
