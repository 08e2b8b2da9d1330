/**
 * Text from files and hosts on a terminal: nothing in it may move the cursor, change colours, ring the bell or show in
 * another order than it is stored.
 */
import { replaceInvisible } from "@wardline/domain/text";

/** One line of harmless text; what is not shown as it is becomes `\u{1b}`. */
export function visible(text: string): string {
  return replaceInvisible(text, (codePoint) => `\\u{${codePoint.toString(16)}}`);
}

/** As {@link visible}, with line breaks kept. */
export function visibleLines(text: string): string {
  return text
    .split(/\r\n|\n/)
    .map(visible)
    .join("\n");
}

const ZERO_WIDTH = /^(?:\p{Mn}|\p{Me}|\u200d|\ufe0e|\ufe0f)$/u;
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

/** Columns that harmless text takes on a terminal. */
export function cellWidth(text: string): number {
  let width = 0;
  for (const character of text) width += ZERO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

/** Cuts to at most `width` columns, with an ellipsis when something was cut. */
export function fitCells(text: string, width: number): string {
  if (cellWidth(text) <= width) return text;
  let shown = "";
  let used = 0;
  for (const character of text) {
    const next = cellWidth(character);
    if (used + next > width - 1) break;
    shown += character;
    used += next;
  }
  return `${shown}…`;
}
