import { useQuery } from "@connectrpc/connect-query";
import { HistoryService, RecordSort, type SavedQuery } from "@wardline/api/wardline/console/v1/history";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, Select, TextField, visibleText } from "../../../ui/index.ts";
import type { ListOrder } from "../hooks/use-ranked-rows.ts";
import { readColumns, type ShownColumn } from "../model/columns.ts";

export interface SavedView {
  readonly text: string;
  readonly columns: readonly ShownColumn[];
  readonly order: ListOrder;
  /** How far back; `null` = everything kept. */
  readonly lastMs: number | null;
}

interface SavedQueriesProps {
  readonly view: SavedView;
  /** What a query says nothing of stays as it is. */
  readonly onTake: (view: Partial<SavedView> & { readonly text: string }) => void;
}

/** A query of the command line has a text and no more. */
function viewOf(query: SavedQuery): Partial<SavedView> & { readonly text: string } {
  const { text, columns, rowOrder, lastSeconds } = query;
  if (columns.length === 0) return { text };
  return {
    text,
    columns: readColumns(columns.map(({ name, width }) => ({ name, width }))),
    order: { sort: rowOrder?.sort ?? RecordSort.TIME, isAscending: rowOrder?.ascending ?? false },
    lastMs: lastSeconds === 0n ? null : Number(lastSeconds) * 1000,
  };
}

/** Views that were given a name: the question with its columns, order and time. The command line knows the question by it. */
export function SavedQueries({ view, onTake }: SavedQueriesProps) {
  const { text } = view;
  const { connection } = useConsole();
  const saved = useQuery(HistoryService.method.listSavedQueries, {});
  const [isNaming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const queries = saved.data?.queries ?? [];
  const current = queries.find((query) => query.text === text && text !== "");
  const act = async (action: Promise<unknown>) => {
    setFailure(null);
    try {
      await action;
      setNaming(false);
      setName("");
      await saved.refetch();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="saved-queries">
      {queries.length > 0 ? (
        <Select
          label="Saved queries"
          isLabelHidden
          value={current?.name ?? ""}
          onChange={(chosen) => {
            const query = queries.find((each) => each.name === chosen);
            if (query) onTake(viewOf(query));
          }}
          choices={[
            { value: "", label: "Saved queries" },
            ...queries.map((query) => ({ value: query.name, label: visibleText(query.name), detail: query.text })),
          ]}
        />
      ) : null}
      {isNaming ? (
        <>
          <TextField
            label="Name of the query"
            isLabelHidden
            placeholder="name"
            isCode
            value={name}
            onChange={setName}
            onSubmit={() => void act(connection.history.putSavedQuery({ query: savedQuery(name.trim(), view) }))}
          />
          <Button
            size="small"
            tone="primary"
            isDisabled={name.trim() === ""}
            onPress={() => void act(connection.history.putSavedQuery({ query: savedQuery(name.trim(), view) }))}
          >
            Save
          </Button>
          <Button size="small" onPress={() => setNaming(false)}>
            Cancel
          </Button>
        </>
      ) : current ? (
        <Button size="small" onPress={() => void act(connection.history.deleteSavedQuery({ name: current.name }))}>
          Forget it
        </Button>
      ) : (
        <Button size="small" isDisabled={text === ""} onPress={() => setNaming(true)}>
          Save…
        </Button>
      )}
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
    </div>
  );
}

function savedQuery(name: string, { text, columns, order, lastMs }: SavedView) {
  return {
    ...{ name, text, columns: columns.map((column) => ({ name: column.name, width: column.width })) },
    rowOrder: { sort: order.sort, ascending: order.isAscending },
    lastSeconds: BigInt(Math.round((lastMs ?? 0) / 1000)),
  };
}
