import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type HistoryGap,
  type HistoryRecord,
  type ReadRowsResponse,
  RecordSort,
  type Searched,
} from "@wardline/api/wardline/console/v1/history";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { type HistoryRange, toWireQuery } from "../model/history-range.ts";
import type { RowList } from "../model/row-list.ts";

export interface ListOrder {
  readonly sort: RecordSort;
  readonly isAscending: boolean;
}

export const NEWEST_FIRST: ListOrder = { sort: RecordSort.TIME, isAscending: false };

/**
 * Of the live list: what came last stands first. That is no order of time: hosts report up to a second after a connection,
 * and one that ends may stand with the time of its beginning.
 */
export const AS_THEY_ARRIVE: ListOrder = { sort: RecordSort.UNSPECIFIED, isAscending: false };

export interface RankedRows extends RowList {
  readonly rowCount: number;
  readonly searched: Searched | null;
  /** Matching rows that came since and are not in the list. */
  readonly newer: number;
  /** Whether what is asked now was answered, or failed. */
  readonly isSettled: boolean;
  readonly failure: ShownFailure | null;
  /** The rank of a moment, in an order of time; `null` when it cannot be found. */
  readonly rankAt: (timeMs: number) => Promise<number | null>;
  /** Rows by their ranks, also those that are far from what is looked at. @throws ConnectError */
  readonly readRanks: (from: number, until: number, signal: AbortSignal) => Promise<readonly HistoryRecord[]>;
  readonly snapshot: string;
}

const PAGE = 100;
/** Of rows, some kilobytes each: enough to scroll back and forth without waiting. */
const MOST_PAGES = 40;
const MOST_ASKED = 2;
const MOST_OF_ONE_ANSWER = 1_000;
const LOOK_FOR_NEWER_MS = 5_000;

interface Answer {
  /** What was asked: ranks and snapshot mean nothing with another question. */
  readonly question: Question | null;
  readonly serial: number;
  readonly rowCount: number;
  readonly listed: number;
  readonly searched: Searched | null;
  readonly gaps: readonly HistoryGap[];
  readonly snapshot: string;
}

const NOTHING: Answer = { question: null, serial: 0, rowCount: 0, listed: 0, searched: null, gaps: [], snapshot: "" };

/** A list of any length of which only what is looked at is in the window. */
export function useRankedRows(text: string, range: HistoryRange, order: ListOrder, asked: number): RankedRows {
  const { connection } = useConsole();
  const [answer, setAnswer] = useState<Answer>(NOTHING);
  const [failed, setFailed] = useState<Failed | null>(null);
  const [settled, setSettled] = useState<Question | null>(null);
  const [newer, setNewer] = useState(0);
  const [version, setVersion] = useState(0);
  const pages = useRef(new Map<number, readonly HistoryRecord[]>());
  const running = useRef(new Map<number, AbortController>());
  const wanted = useRef<readonly number[]>([]);
  const current = useRef(NOTHING);
  const { sinceMs, untilMs } = range;
  const { sort, isAscending } = order;
  // Another time of asking is another question, also when all else is the same.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above.
  const question = useMemo(
    (): Question => ({ query: toWireQuery(text, { sinceMs, untilMs }), order: { sort, ascending: isAscending } }),
    [text, sinceMs, untilMs, sort, isAscending, asked],
  );

  const readPages = useCallback(() => {
    const { question: asking, snapshot, listed } = current.current;
    if (asking === null || snapshot === "") return;
    for (const [page, controller] of running.current) {
      if (wanted.current.includes(page)) continue;
      controller.abort();
      running.current.delete(page);
    }
    for (const page of wanted.current) {
      if (running.current.size >= MOST_ASKED) return;
      if (pages.current.has(page) || running.current.has(page) || page * PAGE >= listed) continue;
      const own = new AbortController();
      running.current.set(page, own);
      const request = { ...asking, from: BigInt(page * PAGE), limit: PAGE, snapshot };
      connection.history
        .readRows(request, { signal: own.signal })
        .then(({ rows }) => {
          if (own.signal.aborted) return;
          running.current.delete(page);
          keep(pages.current, page, rows);
          setVersion((former) => former + 1);
          readPages();
        })
        .catch((error: unknown) => {
          if (own.signal.aborted) return;
          running.current.delete(page);
          setFailed({ question: current.current.question, failure: shownFailure(error) });
        });
    }
  }, [connection]);

  useEffect(() => {
    const own = new AbortController();
    setFailed(null);
    const begin = (read: ReadRowsResponse) => {
      for (const controller of running.current.values()) controller.abort();
      running.current.clear();
      pages.current.clear();
      keep(pages.current, 0, read.rows);
      const next: Answer = {
        question,
        serial: current.current.serial + 1,
        rowCount: Number(read.rowCount),
        listed: Number(read.listedRows),
        searched: read.searched ?? null,
        gaps: read.gaps,
        snapshot: read.snapshot,
      };
      current.current = next;
      setAnswer(next);
      setNewer(0);
    };
    connection.history
      .readRows({ ...question, limit: PAGE }, { signal: own.signal })
      .then((read) => {
        if (!own.signal.aborted) begin(read);
      })
      .catch((error: unknown) => {
        if (!own.signal.aborted) setFailed({ question, failure: shownFailure(error) });
      })
      .finally(() => {
        if (!own.signal.aborted) setSettled(question);
      });
    return () => own.abort();
  }, [connection, question]);
  useEffect(() => {
    const asking = running.current;
    return () => {
      for (const controller of asking.values()) controller.abort();
      asking.clear();
    };
  }, []);
  useLookForNewer(answer, setNewer);

  const rowAt = useCallback((rank: number) => pages.current.get(Math.floor(rank / PAGE))?.[rank % PAGE] ?? null, []);
  const want = useCallback(
    (from: number, to: number) => {
      const first = Math.max(0, Math.floor(from / PAGE));
      const last = Math.floor(Math.max(from, to - 1) / PAGE);
      wanted.current = Array.from({ length: last - first + 1 }, (_, index) => first + index);
      readPages();
    },
    [readPages],
  );
  const rankAt = useCallback(
    async (timeMs: number) => {
      const { question: asking, snapshot } = answer;
      if (asking === null || asking.order.sort !== RecordSort.TIME) return null;
      const read = await connection.history.readRows({ ...asking, at: timestampFromMs(timeMs), limit: 1, snapshot });
      return Number(read.from);
    },
    [connection, answer],
  );
  const readRanks = useCallback(
    async (from: number, until: number, signal: AbortSignal) => {
      const { question: asking, snapshot } = answer;
      const found: HistoryRecord[] = [];
      for (let next = from; asking !== null && next < until; ) {
        const limit = Math.min(MOST_OF_ONE_ANSWER, until - next);
        const request = { ...asking, from: BigInt(next), limit, snapshot };
        const { rows } = await connection.history.readRows(request, { signal });
        if (rows.length === 0) break;
        found.push(...rows);
        next += rows.length;
      }
      return found;
    },
    [connection, answer],
  );
  const { listed } = answer;
  const rankAtOrAfter = useCallback((key: number) => Math.max(0, Math.min(listed, key)), [listed]);
  // Told from the question, not noted in an effect: that would draw everything once more before it is asked.
  const isSettled = settled === question;
  const failure = failed?.question === question ? failed.failure : null;
  const state = { newer, isRunning: !isSettled, isSettled, failure, version, added: 0 };
  return { ...answer, ...state, rowAt, want, rankAt, readRanks, keyAt: itself, rankAtOrAfter };
}

/** A list that stays as it is: a rank is name enough. */
const itself = (rank: number) => rank;

/** The most recently read are kept. */
function keep(pages: Map<number, readonly HistoryRecord[]>, page: number, rows: readonly HistoryRecord[]): void {
  pages.delete(page);
  pages.set(page, rows);
  const [oldest] = pages.keys();
  if (pages.size > MOST_PAGES && oldest !== undefined) pages.delete(oldest);
}

interface Failed {
  readonly question: Question | null;
  readonly failure: ShownFailure;
}

interface Question {
  readonly query: ReturnType<typeof toWireQuery>;
  readonly order: { readonly sort: RecordSort; readonly ascending: boolean };
}

/** The list stays as it is; what came since is counted, so that a person can take it in when it suits. */
function useLookForNewer({ question, snapshot }: Answer, setNewer: (count: number) => void): void {
  const { connection } = useConsole();
  useEffect(() => {
    if (question === null || snapshot === "") return;
    const own = new AbortController();
    const look = async () => {
      if (document.hidden) return;
      try {
        const read = await connection.history.readRows({ ...question, limit: 1, snapshot }, { signal: own.signal });
        if (!own.signal.aborted) setNewer(Number(read.newerRows));
      } catch {
        // The list is still what it was; the next look may succeed.
      }
    };
    const timer = setInterval(() => void look(), LOOK_FOR_NEWER_MS);
    return () => {
      own.abort();
      clearInterval(timer);
    };
  }, [connection, question, snapshot, setNewer]);
}
