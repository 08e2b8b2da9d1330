import { useQuery } from "@connectrpc/connect-query";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { formatAge, formatBytes, formatCount, formatQuantity, formatRate, visibleText } from "../../../ui/index.ts";

/** What the history holds, how far back, and what is missing of it. */
export function HistoryStatusLine() {
  const nowMs = useConsoleNow();
  const answer = useQuery(HistoryService.method.getHistoryStatus, {}, { refetchInterval: 10_000 });
  const status = answer.data?.status;
  if (!status)
    return <footer className="flows-footer">{answer.error ? "The state of the history is not known" : ""}</footer>;
  const oldestMs = optionalMs(status.oldest);
  const missed = status.hosts.filter(({ missedBatches }) => missedBatches > 0n);
  const refused = status.hosts.reduce((sum, { refusedRecords }) => sum + refusedRecords, 0n);
  const waiting = status.hosts.reduce((sum, { waitingBatches }) => sum + waitingBatches, 0n);
  return (
    <footer className="flows-footer">
      <span>
        {formatQuantity(status.records, "record")} in {formatBytes(status.sizeBytes)}
        {oldestMs === null ? "" : `, ${formatAge(nowMs - oldestMs)} back`}
      </span>
      <span>{formatRate(status.recordsPerSecond)} coming in</span>
      <span>{status.backend === "postgresql" ? "PostgreSQL" : "kept on this machine"}</span>
      {waiting > 0n ? <span>{formatQuantity(waiting, "batch waits", "batches wait")} on hosts</span> : null}
      {missed.length > 0 ? (
        <span className="flows-losses">
          {missed
            .map(
              ({ host, missedBatches }) =>
                `${visibleText(host)}: ${formatCount(missedBatches)} batches lost before they were read`,
            )
            .join(" · ")}
        </span>
      ) : null}
      {refused > 0n ? (
        <span className="flows-losses">
          {formatQuantity(refused, "impossible record was", "impossible records were")} refused
        </span>
      ) : null}
      {status.problems.map((problem) => (
        <span key={problem} className="flows-losses">
          {visibleText(problem)}
        </span>
      ))}
    </footer>
  );
}
