import { useQuery } from "@connectrpc/connect-query";
import { AlertService } from "@wardline/api/wardline/console/v1/alerts";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { FailureNotice, formatAge, formatQuantity, Moment, SeverityMark, visibleText } from "../../../ui/index.ts";

/** What fired before, and how long. */
export function PastAlerts() {
  const past = useQuery(AlertService.method.listAlertHistory, { limit: 50 }, { refetchInterval: 30_000 });
  if (past.error)
    return <FailureNotice isCompact title="Past alerts are not known" failure={shownFailure(past.error)} />;
  if (!past.data || past.data.alerts.length === 0) return null;
  return (
    <details className="alert-section">
      <summary>{formatQuantity(past.data.total, "past alert")}</summary>
      <ul className="alert-list">
        {past.data.alerts.map((alert) => {
          const beganMs = optionalMs(alert.beganAt);
          const endedMs = optionalMs(alert.endedAt);
          return (
            <li key={`${alert.id} ${beganMs}`} className="alert-item">
              <span className="alert-line">
                <SeverityMark severity={alert.severity} />
                <span className="faint">{beganMs === null ? null : <Moment timeMs={beganMs} form="full" />}</span>
                <span className="faint">
                  {beganMs === null || endedMs === null ? "" : `for ${formatAge(endedMs - beganMs)}`}
                </span>
                <span className="wrap-anywhere">{visibleText(alert.sentence)}</span>
              </span>
            </li>
          );
        })}
      </ul>
    </details>
  );
}
