import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HistoryRecord, Searched } from "@wardline/api/wardline/console/v1/history";
import { useCallback, useEffect, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";

export interface HistoryRange {
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
}

export interface HistorySearch {
  readonly records: readonly HistoryRecord[];
  readonly searched: Searched | null;
  readonly isRunning: boolean;
  readonly failure: ShownFailure | null;
  /** Whether there is more that is older. */
  readonly hasOlder: boolean;
  readonly showOlder: () => void;
}

const PAGE = 200;

export function toWireQuery(text: string, { sinceMs, untilMs }: HistoryRange) {
  return {
    text,
    ...(sinceMs === null ? {} : { since: timestampFromMs(sinceMs) }),
    ...(untilMs === null ? {} : { until: timestampFromMs(untilMs) }),
  };
}

/** Records as they are found, newest first; another question ends the one before. */
export function useHistorySearch(text: string, range: HistoryRange, serial: number): HistorySearch {
  const { connection } = useConsole();
  const [records, setRecords] = useState<readonly HistoryRecord[]>([]);
  const [searched, setSearched] = useState<Searched | null>(null);
  const [isRunning, setRunning] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [token, setToken] = useState("");
  const running = useRef<AbortController | null>(null);
  const { sinceMs, untilMs } = range;

  const run = useCallback(
    async (pageToken: string) => {
      running.current?.abort();
      const own = new AbortController();
      running.current = own;
      setRunning(true);
      setFailure(null);
      const query = toWireQuery(text, { sinceMs, untilMs });
      try {
        const stream = connection.history.searchRecords({ query, limit: PAGE, pageToken }, { signal: own.signal });
        let isFirst = pageToken === "";
        for await (const message of stream) {
          if (own.signal.aborted) return;
          const isReplaced = isFirst;
          isFirst = false;
          setRecords((former) => (isReplaced ? message.records : [...former, ...message.records]));
          if (message.searched) setSearched(message.searched);
          setToken(message.nextPageToken);
        }
      } catch (error) {
        if (!own.signal.aborted) setFailure(shownFailure(error));
      } finally {
        if (running.current === own) setRunning(false);
      }
    },
    [connection, text, sinceMs, untilMs],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: the serial asks the same question again.
  useEffect(() => {
    void run("");
    return () => running.current?.abort();
  }, [run, serial]);
  return { records, searched, isRunning, failure, hasOlder: token !== "", showOlder: () => void run(token) };
}
