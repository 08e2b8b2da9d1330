import type { EditorState } from "@codemirror/state";

/** Handing on copies, keeps and draws the whole text: it waits for the next pause, so that a key costs nothing of it, */
const PAUSE_MS = 300;
/** but not for longer than this; a large text only for a pause. */
const LONGEST_MS = 1_000;
const LARGE_LENGTH = 256 * 1024;
const LARGE_PAUSE_MS = 400;

/** Hands on what was typed, with the line ends of the file. */
export class TextReports {
  readonly #report: (text: string) => void;
  readonly #begin: () => void;
  #waiting: EditorState | null = null;
  #waitsSinceMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param begin said at the first key of what `report` brings later */
  constructor(report: (text: string) => void, begin: () => void) {
    this.#report = report;
    this.#begin = begin;
  }

  /** Whether something typed was not handed on yet. */
  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  changed(state: EditorState): void {
    const nowMs = performance.now();
    const isFirst = this.#waiting === null;
    this.#waiting = state;
    if (isFirst) {
      this.#waitsSinceMs = nowMs;
      this.#begin();
    }
    clearTimeout(this.#timer);
    const isLarge = state.doc.length > LARGE_LENGTH;
    const leftMs = isLarge ? LARGE_PAUSE_MS : Math.max(0, this.#waitsSinceMs + LONGEST_MS - nowMs);
    this.#timer = setTimeout(() => this.flush(), isLarge ? leftMs : Math.min(PAUSE_MS, leftMs));
  }

  /** Now: before the text is saved, left or closed. */
  readonly flush = (): void => {
    clearTimeout(this.#timer);
    const state = this.#waiting;
    this.#waiting = null;
    if (state) this.#report(state.sliceDoc());
  };
}
