import { useCallback, useEffect, useRef, useState } from "react";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";

export type RunStatus = "idle" | "running" | "done" | "cancelled" | "failed";

export interface Run<State> {
  readonly status: RunStatus;
  readonly state: State;
  readonly failure: ShownFailure | null;
  readonly cancel: () => void;
}

/**
 * Work that the backend streams: started with `start`, again whenever `key` changes, cancelled by the person or by leaving.
 * What came before a cancel stays in sight. `null` as key = not yet.
 */
export function useRun<Message, State>(
  key: string | null,
  start: (signal: AbortSignal) => AsyncIterable<Message>,
  reduce: (state: State, message: Message) => State,
  empty: State,
): Run<State> {
  const [run, setRun] = useState<Omit<Run<State>, "cancel">>({ status: "idle", state: empty, failure: null });
  const latest = useRef({ start, reduce, empty });
  latest.current = { start, reduce, empty };
  const stopping = useRef<AbortController | null>(null);
  useEffect(() => {
    if (key === null) return;
    const own = new AbortController();
    stopping.current = own;
    void follow(own.signal, latest.current, setRun);
    return () => own.abort();
  }, [key]);
  const cancel = useCallback(() => {
    stopping.current?.abort();
    setRun((now) => (now.status === "running" ? { ...now, status: "cancelled" } : now));
  }, []);
  return { ...run, cancel };
}

async function follow<Message, State>(
  signal: AbortSignal,
  work: {
    readonly start: (signal: AbortSignal) => AsyncIterable<Message>;
    readonly reduce: (state: State, message: Message) => State;
    readonly empty: State;
  },
  show: (run: Omit<Run<State>, "cancel">) => void,
): Promise<void> {
  let state = work.empty;
  show({ status: "running", state, failure: null });
  try {
    for await (const message of work.start(signal)) {
      if (signal.aborted) return;
      state = work.reduce(state, message);
      show({ status: "running", state, failure: null });
    }
    if (!signal.aborted) show({ status: "done", state, failure: null });
  } catch (error) {
    if (!signal.aborted) show({ status: "failed", state, failure: shownFailure(error) });
  }
}
