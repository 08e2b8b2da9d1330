import type { EditorState } from "@codemirror/state";

/** From this length on, the text is handed on only when the typing pauses: it is copied and kept as a whole. */
const LARGE_LENGTH = 256 * 1024;
const LARGE_AFTER_MS = 400;

/** Hands on what was typed, with the line ends of the file. */
export class TextReports {
  readonly #report: (text: string) => void;
  #waiting: EditorState | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(report: (text: string) => void) {
    this.#report = report;
  }

  /** Whether something typed was not handed on yet. */
  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  changed(state: EditorState): void {
    this.#waiting = state;
    clearTimeout(this.#timer);
    if (state.doc.length <= LARGE_LENGTH) this.flush();
    else this.#timer = setTimeout(() => this.flush(), LARGE_AFTER_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    const state = this.#waiting;
    this.#waiting = null;
    if (state) this.#report(state.sliceDoc());
  }
}
