import { createClient } from "@connectrpc/connect";
import { VerdictService } from "@wardline/api/wardline/console/v1/verdicts";
import { RefreshCw, Table2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useConsole, useWorkspaceStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button, EmptyState, FailureNotice, formatCount, formatQuantity, Notice, Skeleton } from "../../../ui/index.ts";
import { useRun } from "../hooks/use-run.ts";
import { windowStart } from "../model/time-windows.ts";
import { EMPTY_FILTER, type VerdictFilter, wireFilter } from "../model/verdict-filter.ts";
import { EMPTY_TABLE, reduceVerdicts } from "../model/verdicts.ts";
import { RunLine } from "./run-line.tsx";
import { VerdictDetail, type VerdictPlace } from "./verdict-detail.tsx";
import { VerdictFilters } from "./verdict-filters.tsx";
import { VerdictTable } from "./verdict-table.tsx";
import { VerdictVersions } from "./verdict-versions.tsx";

/** Draft, staged, enforced and reported verdicts of the same connections, where they disagree. */
export function VerdictsTab({ onSimulate }: { onSimulate: () => void }) {
  const { connection } = useConsole();
  const scopeHostId = useWindow((state) => state.scopeHostId);
  const sequence = useWorkspaceStream().value?.sequence ?? null;
  const [filter, setFilter] = useState<VerdictFilter>(EMPTY_FILTER);
  const [turn, setTurn] = useState({ number: 0, sequence });
  const [place, setPlace] = useState<VerdictPlace | null>(null);
  const client = useMemo(() => createClient(VerdictService, connection.transport), [connection]);
  const hostIds = scopeHostId === null ? [] : [scopeHostId];
  const run = useRun(
    JSON.stringify([filter, hostIds, turn.number]),
    (signal) =>
      client.listVerdicts(
        { ...wireFilter(filter), hostIds, since: windowStart(filter.window, Date.now()) },
        { signal },
      ),
    reduceVerdicts,
    EMPTY_TABLE,
  );
  const { rows, versions, progress, done } = run.state;
  const again = () => setTurn({ number: turn.number + 1, sequence });
  const isOutdated = turn.sequence !== null && sequence !== turn.sequence;
  const isEmpty = run.status === "done" && rows.length === 0;
  const isFiltered = JSON.stringify({ ...filter, window: "day", order: "important" }) !== JSON.stringify(EMPTY_FILTER);
  return (
    <div className="verdicts" data-detail={place ? "" : undefined}>
      <div className="verdicts-main">
        <VerdictFilters filter={filter} onChange={setFilter} />
        <RunLine
          status={run.status}
          read={progress?.readRecords ?? 0n}
          total={progress?.totalRecords ?? 0n}
          what="records"
          onCancel={run.cancel}
        >
          {done ? (
            <span className="soft">
              {formatQuantity(done.disagreeingRows, "group")} disagree
              {done.leftOut > 0n ? ` · ${formatCount(done.leftOut)} rows not listed` : ""}
            </span>
          ) : null}
          <Button size="small" tone="quiet" icon={<RefreshCw size={12} aria-hidden="true" />} onPress={again}>
            Ask again
          </Button>
        </RunLine>
        {isOutdated && run.status !== "running" ? (
          <Notice tone="observed">The draft has changed since this was asked. Ask again to compare it.</Notice>
        ) : null}
        {(progress?.gaps ?? []).map((gap) => (
          <Notice key={gap} tone="unknown">
            {gap}
          </Notice>
        ))}
        {progress?.isCut ? (
          <Notice tone="unknown">The window has more records than the table reads: these are the newest.</Notice>
        ) : null}
        {run.failure ? <FailureNotice failure={run.failure} title="Nothing could be compared" onRetry={again} /> : null}
        {versions.size > 0 ? <VerdictVersions versions={[...versions.values()]} /> : null}
        {run.status === "running" && rows.length === 0 ? (
          <Skeleton rows={8} label="Comparing every connection" />
        ) : null}
        {isEmpty ? (
          <EmptyState
            picture={<Table2 size={32} />}
            title={isFiltered ? "No group of connections is like that" : "Draft, hosts and records say the same"}
            action={
              isFiltered ? (
                <Button onPress={() => setFilter(EMPTY_FILTER)}>Show every difference</Button>
              ) : (
                <Button onPress={onSimulate}>Simulate on recorded flows</Button>
              )
            }
          >
            {isFiltered
              ? "The table has every connection between your groups; the filter leaves none of them."
              : "Change a policy and save it: each group of connections that it decides otherwise becomes a row here."}
          </EmptyState>
        ) : null}
        {rows.length > 0 ? <VerdictTable rows={rows} place={place} onOpen={(next) => setPlace(next)} /> : null}
      </div>
      {place ? (
        <VerdictDetail
          key={`${place.row.id} ${place.column}`}
          place={place}
          versions={versions}
          client={client}
          onClose={() => setPlace(null)}
        />
      ) : null}
    </div>
  );
}
