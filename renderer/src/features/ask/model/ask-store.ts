/** Questions of this window: the one that is open, its answer, and those asked before. */
import { AskBasis, type AskResponse } from "@wardline/api/wardline/console/v1/ask";
import { create } from "zustand";
import type { ConsoleConnection } from "../../../data/console-connection.ts";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";

export interface AskedQuestion {
  readonly text: string;
  readonly basis: AskBasis;
  readonly hostId: string;
}

export interface AskState {
  /** What was asked last; `null` = nothing yet. */
  readonly asked: AskedQuestion | null;
  readonly response: AskResponse | null;
  readonly failure: ShownFailure | null;
  readonly isBusy: boolean;
  /** The person did not want to wait for the answer. */
  readonly isCancelled: boolean;
  /** Newest first, each once. */
  readonly history: readonly string[];
  readonly ask: (connection: ConsoleConnection, question: AskedQuestion) => Promise<void>;
  /** Nobody waits for the answer any more; the console stops working on it. */
  readonly cancel: () => void;
  /** Another question is begun: the answer of the last one goes. */
  readonly clear: () => void;
  readonly forgetHistory: () => void;
}

const HISTORY_KEY = "wardline.questions";
const KEPT_QUESTIONS = 50;
let running: AbortController | null = null;

export const useAsk = create<AskState>()((set, get) => ({
  asked: null,
  response: null,
  failure: null,
  isBusy: false,
  isCancelled: false,
  history: readHistory(),
  ask: async (connection, question) => {
    running?.abort();
    const own = new AbortController();
    running = own;
    const isSame = get().asked?.text === question.text;
    set({ asked: question, isBusy: true, isCancelled: false, failure: null, ...(isSame ? {} : { response: null }) });
    try {
      const response = await connection.ask.ask({ ...question }, { signal: own.signal });
      if (own.signal.aborted) return;
      const { outcome } = response;
      const history = outcome.case === "answer" ? withQuestion(get().history, outcome.value.question) : get().history;
      set({ response, isBusy: false, history });
      keepHistory(history);
    } catch (error) {
      if (!own.signal.aborted) set({ failure: shownFailure(error), response: null, isBusy: false });
    }
  },
  cancel: () => {
    running?.abort();
    set({ isBusy: false, isCancelled: true, response: null });
  },
  clear: () => {
    running?.abort();
    set({ asked: null, response: null, failure: null, isBusy: false, isCancelled: false });
  },
  forgetHistory: () => {
    set({ history: [] });
    keepHistory([]);
  },
}));

function withQuestion(history: readonly string[], text: string): readonly string[] {
  return [text, ...history.filter((each) => each !== text)].slice(0, KEPT_QUESTIONS);
}

function readHistory(): readonly string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? "[]");
    const texts = Array.isArray(kept) ? kept.filter((text): text is string => typeof text === "string") : [];
    return texts.filter((text) => text.length <= 500).slice(0, KEPT_QUESTIONS);
  } catch {
    return [];
  }
}

function keepHistory(history: readonly string[]): void {
  try {
    localStorage.setItem(HISTORY_KEY, JSON.stringify(history));
  } catch {
    // Without storage they last as long as the window.
  }
}

export const DRAFT: Omit<AskedQuestion, "text"> = { basis: AskBasis.DRAFT, hostId: "" };
