import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import type { LiveFlow } from "../../../data/flow-buffer.ts";
import { Button, formatQuantity } from "../../../ui/index.ts";
import type { FlagOf } from "../hooks/use-flags.ts";
import { useSteady } from "../hooks/use-steady.ts";
import type { ShownColumn } from "../model/columns.ts";
import { type GroupWithRows, groupRows, inFormerOrder, type ShownGroup } from "../model/groups.ts";
import { recordOfFlow } from "../model/live-record.ts";
import type { Grouping } from "./group-choice.tsx";
import { GroupGrid } from "./group-grid.tsx";

interface LiveGroupsProps {
  readonly rows: readonly LiveFlow[];
  readonly grouping: Grouping;
  readonly columns: readonly ShownColumn[];
  readonly flagOf: FlagOf;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
  readonly selectedId: string | null;
  readonly onSelect: (item: HistoryRecord | null) => void;
  /** All rows of a group, as the list. */
  readonly onShowAll: (term: string) => void;
}

/** Sums are told once a second: more often nobody can read them. */
const STEP_MS = 1_000;

/** The rows that the window holds, put together. Groups keep their places while they grow. */
export const LiveGroups = memo(function LiveGroups(props: LiveGroupsProps) {
  const { rows, grouping, columns, flagOf, onCondition, selectedId, onSelect, onShowAll } = props;
  const [openIds, setOpenIds] = useState<ReadonlySet<string>>(new Set());
  const steady = useSteady(rows, STEP_MS);
  const sorted = useMemo(
    () => groupRows(steady.map(recordOfFlow), grouping.by, grouping.measure),
    [steady, grouping.by, grouping.measure],
  );
  const places = useRef<{ readonly grouping: object; readonly ids: readonly string[] }>({ grouping: {}, ids: [] });
  const former = places.current.grouping === grouping ? places.current.ids : [];
  const groups = inFormerOrder(sorted, former);
  useEffect(() => {
    places.current = { grouping, ids: groups.map(({ id }) => id) };
  });
  const isInOrder = groups.every((group, index) => group === sorted[index]);
  const [, draw] = useState(0);
  const byId = useMemo(() => new Map<string, GroupWithRows>(sorted.map((group) => [group.id, group])), [sorted]);
  const toggle = ({ id }: ShownGroup) => setOpenIds((former) => withToggled(former, id));
  return (
    <>
      <div className="history-bar group-state">
        <span className="soft">
          {formatQuantity(groups.length, "group")} of {formatQuantity(steady.length, "row")}
        </span>
        <Button
          size="small"
          isDisabled={isInOrder}
          onPress={() => {
            places.current = { grouping, ids: [] };
            draw((times) => times + 1);
          }}
        >
          Largest first
        </Button>
      </div>
      <GroupGrid
        groups={groups}
        by={grouping.by}
        measure={grouping.measure}
        columns={columns}
        openIds={openIds}
        onToggle={toggle}
        rowsOf={({ id }) => ({ rows: byId.get(id)?.rows ?? [], isRunning: false, problem: "" })}
        selectedId={selectedId}
        onSelect={onSelect}
        flagOf={flagOf}
        onCondition={onCondition}
        onShowAll={onShowAll}
      />
    </>
  );
});

export function withToggled(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(ids);
  if (!next.delete(id)) next.add(id);
  return next;
}
