/** The editor of each file as it was left: undo, selection, folds and scroll outlive a look at another file. */
import type { EditorState } from "@codemirror/state";

const MAX_FILES = 24;
const MAX_TOTAL_LENGTH = 8 * 1024 * 1024;

/** What the editor of a file calls; the same object for all its lives, because its state holds on to it. */
export interface EditorHandlers {
  current: {
    readonly onChange: (text: string) => void;
    readonly onTyping: () => void;
    readonly onSave: () => void;
  };
}

interface Kept {
  readonly state: EditorState;
  readonly scrollTop: number;
}

const handlers = new Map<string, EditorHandlers>();
const states = new Map<string, Kept>();

export function handlersOf(path: string): EditorHandlers {
  const known = handlers.get(path) ?? { current: { onChange: () => {}, onTyping: () => {}, onSave: () => {} } };
  handlers.set(path, known);
  return known;
}

export function keepState(path: string, kept: Kept): void {
  states.delete(path);
  states.set(path, kept);
  let length = 0;
  for (const [other, { state }] of [...states].reverse()) {
    length += state.doc.length;
    if (other !== path && (length > MAX_TOTAL_LENGTH || states.size > MAX_FILES)) {
      states.delete(other);
      handlers.delete(other);
    }
  }
}

export function keptState(path: string): Kept | null {
  return states.get(path) ?? null;
}
