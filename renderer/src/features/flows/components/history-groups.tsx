import type { GroupRecordsResponse, HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { memo, useEffect, useMemo, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { FailureNotice, formatCount, formatQuantity, Skeleton, useAnnounced } from "../../../ui/index.ts";
import type { FlagOf } from "../hooks/use-flags.ts";
import { useGroupRows } from "../hooks/use-group-rows.ts";
import type { ShownColumn } from "../model/columns.ts";
import { type ShownGroup, termOfGroup } from "../model/groups.ts";
import { searchedText } from "../model/history.ts";
import { type HistoryRange, toWireQuery } from "../model/history-range.ts";
import type { Grouping } from "./group-choice.tsx";
import { GroupGrid } from "./group-grid.tsx";
import { RecordInspector } from "./record-inspector.tsx";

const LIMIT = 500;

interface HistoryGroupsProps {
  readonly text: string;
  readonly range: HistoryRange;
  readonly grouping: Grouping;
  readonly columns: readonly ShownColumn[];
  readonly flagOf: FlagOf;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
  /** All rows of a group, as the list. */
  readonly onShowAll: (term: string) => void;
  readonly onAsk: (text: string) => void;
}

interface Answer {
  readonly by: readonly number[];
  readonly message: GroupRecordsResponse;
}

/** Who did most of it, summed by the store; a group opens to its rows. */
export const HistoryGroups = memo(function HistoryGroups(props: HistoryGroupsProps) {
  const { text, range, grouping, columns, flagOf, onCondition, onShowAll, onAsk } = props;
  const { connection } = useConsole();
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [selected, setSelected] = useState<HistoryRecord | null>(null);
  const { sinceMs, untilMs } = range;
  const { by, measure } = grouping;
  const opened = useGroupRows(text, range, grouping);
  // Answers come in pieces: only that it is whole is said aloud.
  useAnnounced(answer?.message.isFinal ? formatQuantity(answer.message.groupCount, "group") : "");
  useEffect(() => {
    const running = new AbortController();
    setFailure(null);
    const read = async () => {
      try {
        const query = toWireQuery(text, { sinceMs, untilMs });
        const request = { query, by: [...by], order: measure, limit: LIMIT };
        for await (const message of connection.history.groupRecords(request, { signal: running.signal }))
          setAnswer({ by, message });
      } catch (error) {
        if (!running.signal.aborted) setFailure(shownFailure(error));
      }
    };
    void read();
    return () => running.abort();
  }, [connection, text, sinceMs, untilMs, by, measure]);
  const groups = useMemo(
    () =>
      answer === null || answer.by !== by
        ? null
        : answer.message.groups.flatMap(({ values, names, sums }): readonly ShownGroup[] =>
            sums ? [{ id: values.join("\n"), values, names, sums, term: termOfGroup(by, values) }] : [],
          ),
    [answer, by],
  );
  const message = answer?.message;
  return (
    <div className="history-main" data-inspector={selected ? "" : undefined}>
      <div className="history-list">
        {failure ? <FailureNotice failure={failure} title="The history cannot answer that" /> : null}
        {groups === null && !failure ? <Skeleton rows={8} label="Summing up" /> : null}
        {groups && message ? (
          <>
            <GroupGrid
              groups={groups}
              by={by}
              measure={measure}
              columns={columns}
              openIds={opened.openIds}
              onToggle={opened.toggle}
              rowsOf={opened.rowsOf}
              selectedId={selected?.id ?? null}
              onSelect={setSelected}
              flagOf={flagOf}
              onCondition={onCondition}
              onShowAll={onShowAll}
            />
            <p className="history-searched">
              {formatCount(groups.length)} of {formatQuantity(message.groupCount, "group")}
              {message.isFinal ? "" : " so far"}
              {message.searched ? ` · ${searchedText(message.searched)}` : ""}
            </p>
          </>
        ) : null}
      </div>
      {selected ? (
        <RecordInspector
          key={selected.id}
          item={selected}
          flagOf={flagOf}
          onClose={() => setSelected(null)}
          onAsk={onAsk}
        />
      ) : null}
    </div>
  );
});
