import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { HistoryService } from "@wardline/api/wardline/console/v1/history";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { shownFailure } from "../../../data/failure.ts";
import { FailureNotice, formatBytes, formatCount, Moment, Skeleton, visibleText } from "../../../ui/index.ts";

/** Whatever 0 means to the console. */
const USUAL_DAYS = { recordDays: 7, minuteDays: 30, hourDays: 180, dayDays: 730 } as const;

/** What this console keeps, for how long and where. It is changed by a command, which says first what would go. */
export function KeptData() {
  const history = useQuery(HistoryService.method.getHistoryStatus, {});
  const session = useQuery(HostService.method.getSession, {});
  const status = history.data?.status;
  const days = (name: keyof typeof USUAL_DAYS) => `${formatCount(status?.retention?.[name] || USUAL_DAYS[name])} days`;
  return (
    <section className="settings-group" aria-label="Kept by this console">
      <h2>Kept by this console</h2>
      {history.isPending ? <Skeleton rows={3} label="Asking what is kept" /> : null}
      {history.error ? (
        <FailureNotice failure={shownFailure(history.error)} onRetry={() => void history.refetch()} />
      ) : null}
      {status ? (
        <dl className="facts settings-facts">
          <dt>Flow records, each</dt>
          <dd>{days("recordDays")}</dd>
          <dt>By the minute, hour and day</dt>
          <dd>
            {days("minuteDays")}, {days("hourDays")}, {days("dayDays")}
          </dd>
          <dt>Now</dt>
          <dd>
            {formatCount(status.records)} records in {formatBytes(status.sizeBytes)}
            {status.oldest ? (
              <>
                , the oldest of <Moment timeMs={timestampMs(status.oldest)} form="full" />
              </>
            ) : null}
          </dd>
          <dt>Changed with</dt>
          <dd>
            <code>wardline flows retention</code>, which says first what would go
          </dd>
        </dl>
      ) : null}
      {session.data ? (
        <dl className="facts settings-facts">
          <dt>Kept in</dt>
          <dd className="wrap-anywhere">
            <code>{visibleText(session.data.stateDirectory)}</code>
          </dd>
          <dt>Version</dt>
          <dd>
            {visibleText(session.data.version)} <span className="faint">{visibleText(session.data.build)}</span>
          </dd>
        </dl>
      ) : null}
    </section>
  );
}
