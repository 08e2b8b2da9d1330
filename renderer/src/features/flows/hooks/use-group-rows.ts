import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { useCallback, useEffect, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { narrowed } from "../model/chips.ts";
import { MOST_ROWS, type ShownGroup } from "../model/groups.ts";
import { type HistoryRange, toWireQuery } from "../model/history-range.ts";

interface Opened {
  readonly rows: readonly HistoryRecord[];
  readonly isRunning: boolean;
  readonly problem: string;
}

const RUNNING: Opened = { rows: [], isRunning: true, problem: "" };
const NO_TERM: Opened = { rows: [], isRunning: false, problem: "No condition finds just these rows." };

/** The newest rows of the groups that are open, read when they are opened. */
export function useGroupRows(text: string, { sinceMs, untilMs }: HistoryRange, grouping: object) {
  const { connection } = useConsole();
  const [opened, setOpened] = useState<ReadonlyMap<string, Opened>>(new Map());
  const running = useRef(new Map<string, AbortController>());
  // Another question has other groups.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above.
  useEffect(() => {
    const asking = running.current;
    return () => {
      for (const controller of asking.values()) controller.abort();
      asking.clear();
      setOpened(new Map());
    };
  }, [text, sinceMs, untilMs, grouping]);
  const toggle = useCallback(
    ({ id, term }: ShownGroup) => {
      const put = (value: Opened | null) =>
        setOpened((former) => {
          const next = new Map(former);
          if (value) next.set(id, value);
          else next.delete(id);
          return next;
        });
      const former = running.current.get(id);
      if (former) {
        former.abort();
        running.current.delete(id);
        put(null);
        return;
      }
      const own = new AbortController();
      running.current.set(id, own);
      if (term === null) {
        put(NO_TERM);
        return;
      }
      put(RUNNING);
      const query = toWireQuery(narrowed(text, term), { sinceMs, untilMs });
      connection.history.readRows({ query, limit: MOST_ROWS }, { signal: own.signal }).then(
        ({ rows }) => {
          if (!own.signal.aborted) put({ rows, isRunning: false, problem: "" });
        },
        (error: unknown) => {
          if (!own.signal.aborted) put({ rows: [], isRunning: false, problem: shownFailure(error).message });
        },
      );
    },
    [connection, text, sinceMs, untilMs],
  );
  const rowsOf = useCallback(({ id }: ShownGroup) => opened.get(id) ?? RUNNING, [opened]);
  return { openIds: new Set(opened.keys()) as ReadonlySet<string>, toggle, rowsOf };
}
