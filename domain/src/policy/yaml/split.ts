/** A stream of YAML cut into its documents, without reading them. */

export interface DocumentText {
  readonly text: string;
  /** What it was cut from. */
  readonly stream: string;
  /** Where it starts in the stream. */
  readonly offset: number;
  /** The line, counted from 1, that it starts in. It always starts at the first column. */
  readonly firstLine: number;
}

/** The stream as one piece. */
export function wholeText(text: string): DocumentText {
  return { text, stream: text, offset: 0, firstLine: 1 };
}

/**
 * The documents of a stream: each from its `---` to the next one, the first from the start of the text. `null` when the
 * documents depend on each other, through a directive (`%YAML`) or an end marker (`...`); they can be read together only.
 */
export function splitDocuments(text: string): readonly DocumentText[] | null {
  if (hasLine(text, "...") || hasDirective(text)) return null;
  const documents: DocumentText[] = [];
  let offset = 0;
  let line = 1;
  for (;;) {
    const next = findMarker(text, offset);
    const part = text.slice(offset, next);
    documents.push({ text: part, stream: text, offset, firstLine: line });
    if (next === text.length) return documents;
    line += countLines(part);
    offset = next;
  }
}

/** The offset of the next `---` that starts a line after `from`, or the length of the text. */
function findMarker(text: string, from: number): number {
  for (let at = text.indexOf("\n---", from); at >= 0; at = text.indexOf("\n---", at + 1)) {
    if (isBlankAt(text, at + 4)) return at + 1;
  }
  return text.length;
}

function hasLine(text: string, marker: string): boolean {
  if (text.startsWith(marker) || text.startsWith(`\uFEFF${marker}`)) return true;
  return text.includes(`\n${marker}`);
}

/** A line that starts with `%` is a directive before the first document only; elsewhere it is a mistake or text. */
function hasDirective(text: string): boolean {
  return /^\uFEFF?%/.test(text) || text.slice(0, findMarker(text, 0)).includes("\n%");
}

function isBlankAt(text: string, at: number): boolean {
  return at >= text.length || /[ \t\r\n]/.test(text.charAt(at));
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}
