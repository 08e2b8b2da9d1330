/**
 * The size that a policy file may have, kept while it is typed: what would not be saved is not taken, and it says so at once.
 * A file that is larger already can be read and can only get smaller.
 */
import { EditorState, type Extension, StateEffect, StateField, type Text } from "@codemirror/state";
import { EditorView, type Panel, showPanel } from "@codemirror/view";
import { DEFAULT_READ_LIMITS } from "@wardline/domain/policy";
import { formatQuantity } from "../../../ui/text.ts";

/** Of the reader, the console's store and the agent alike. */
export const LARGEST_FILE_BYTES = DEFAULT_READ_LIMITS.maxFileLength;

const MOST_BYTES_OF_UNIT = 3;
const encoder = new TextEncoder();
const refused = StateEffect.define<number>();

/** As it is saved; exact only where it can be too much. */
export function savedBytes(text: Text, lineBreakBytes: number): number {
  if ((text.length + text.lines) * MOST_BYTES_OF_UNIT <= LARGEST_FILE_BYTES) return text.length;
  let bytes = 0;
  for (const chunk of text.iter()) bytes += chunk === "\n" ? lineBreakBytes : encoder.encode(chunk).length;
  return bytes;
}

interface SizeState {
  readonly bytes: number;
  /** Of a text that was not taken; 0 = nothing was refused since. */
  readonly refusedBytes: number;
}

const bytesOf = (state: EditorState, text = state.doc): number => savedBytes(text, state.lineBreak.length);

const sizeField = StateField.define<SizeState>({
  create: (state) => ({ bytes: bytesOf(state), refusedBytes: 0 }),
  update(size, transaction) {
    const refusal = transaction.effects.find((effect) => effect.is(refused));
    if (refusal) return { ...size, refusedBytes: refusal.value as number };
    return transaction.docChanged ? { bytes: bytesOf(transaction.state), refusedBytes: 0 } : size;
  },
  provide: (field) =>
    showPanel.from(field, (size) => {
      const words = sizeWords(size);
      return words === "" ? null : () => panel(words);
    }),
});

/** Empty while there is nothing to say. */
export function sizeWords({ bytes, refusedBytes }: SizeState): string {
  const most = `A policy file may have ${formatQuantity(LARGEST_FILE_BYTES, "byte")} (1 MiB)`;
  if (bytes > LARGEST_FILE_BYTES) {
    return `${most}; this one has ${formatQuantity(bytes, "byte")}, so it is neither checked nor saved. It can only get smaller here: split it into several files.`;
  }
  if (refusedBytes > 0) {
    return `${most}, and with this it would have ${formatQuantity(refusedBytes, "byte")}. It was not taken: split the file into several.`;
  }
  return "";
}

function panel(words: string): Panel {
  const dom = document.createElement("div");
  dom.className = "cm-size-panel";
  dom.setAttribute("role", "alert");
  dom.textContent = words;
  return { dom, top: true };
}

const guard = EditorState.transactionFilter.of((transaction) => {
  if (!transaction.docChanged) return transaction;
  const bytes = bytesOf(transaction.startState, transaction.newDoc);
  const isTaken = bytes <= LARGEST_FILE_BYTES || bytes < bytesOf(transaction.startState);
  return isTaken ? transaction : [{ effects: refused.of(bytes) }];
});

export function sizeLimit(): Extension {
  return [sizeField, guard, EditorView.baseTheme({ ".cm-size-panel": { padding: "6px 12px" } })];
}
