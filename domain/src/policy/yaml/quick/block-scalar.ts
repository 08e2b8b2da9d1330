/** Literal (`|`) and folded (`>`) scalars in their plain forms: clipped or stripped, indented by their first line. */
import type { ScalarNode } from "../node.ts";
import { CHARACTER, type Cursor } from "./cursor.ts";

/** Reads the scalar whose indicator stands here, inside a collection that is indented by `parentIndent`. */
export function takeBlockScalar(cursor: Cursor, parentIndent: number): ScalarNode {
  const start = cursor.at;
  const isFolded = cursor.code() === CHARACTER.greater;
  cursor.at += 1;
  const isStripped = cursor.code() === CHARACTER.minus;
  if (isStripped) cursor.at += 1;
  cursor.finishLine();
  const lines = takeLines(cursor, parentIndent);
  const content = isFolded ? fold(lines) : lines.join("\n");
  const value = isStripped ? content : `${content}\n`;
  const { base } = cursor;
  return { kind: "scalar", value, source: value, quoted: false, start: start - base, end: cursor.at - base };
}

/** The lines without their indentation, empty ones in front and between them; those behind them are left to be read. */
function takeLines(cursor: Cursor, parentIndent: number): readonly string[] {
  const { text } = cursor;
  const lines: string[] = [];
  let blockIndent = -1;
  let emptyLines = 0;
  let widestEmpty = 0;
  let lineStart = cursor.at;
  for (let at = lineStart; at < cursor.end; at = lineStart) {
    while (text.charCodeAt(at) === CHARACTER.space) at += 1;
    const indent = at - lineStart;
    const found = text.indexOf("\n", at);
    const next = found < 0 ? cursor.end : found + 1;
    if (cursor.isLineEnd(at)) {
      emptyLines += 1;
      widestEmpty = Math.max(widestEmpty, indent);
      lineStart = next;
      if (blockIndent >= 0 && indent > blockIndent) cursor.decline("spaces in an empty line", at);
      continue;
    }
    if (text.charCodeAt(at) === CHARACTER.tab) cursor.decline("a tab before the content of a line", at);
    if (blockIndent < 0) {
      if (indent <= parentIndent || widestEmpty > indent) cursor.decline("the indentation of a block of text", at);
      blockIndent = indent;
    }
    if (indent < blockIndent) break;
    for (; emptyLines > 0; emptyLines -= 1) lines.push("");
    const lineEnd =
      found < 0 ? cursor.end : text.charCodeAt(found - 1) === CHARACTER.carriageReturn ? found - 1 : found;
    lines.push(text.slice(lineStart + blockIndent, lineEnd));
    cursor.at = next;
    cursor.lineStart = next;
    lineStart = next;
  }
  if (blockIndent < 0) cursor.decline("an empty block of text");
  return lines;
}

/** Joins lines by spaces, and keeps as many breaks as there are empty lines between them (YAML 1.2.2, 8.1.3). */
function fold(lines: readonly string[]): string {
  let value = "";
  let separator = "";
  let isMoreIndented = false;
  let inContent = false;
  for (const line of lines) {
    if (!inContent && line === "") {
      value += "\n";
      continue;
    }
    inContent = true;
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (separator === " ") separator = "\n";
      else if (!isMoreIndented && separator === "\n") separator = "\n\n";
      value += separator + line;
      separator = "\n";
      isMoreIndented = true;
    } else if (line === "") {
      if (separator === "\n") value += "\n";
      else separator = "\n";
    } else {
      value += separator + line;
      separator = " ";
      isMoreIndented = false;
    }
  }
  return value;
}
