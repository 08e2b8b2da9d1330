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
  if (hasEndMarker(text) || hasDirective(text)) return null;
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
  for (let at = findAtLineStart(text, "---", from + 1); at >= 0; at = findAtLineStart(text, "---", at + 3)) {
    if (isBlankAt(text, at + 3)) return at;
  }
  return text.length;
}

/**
 * The next place at or after `from` where a line starts with three of one character; -1 = none. Looks for the characters
 * and then for the line, because a text may be nothing but line ends.
 */
function findAtLineStart(text: string, marker: "---" | "...", from: number): number {
  const code = marker.charCodeAt(0);
  for (let at = text.indexOf(marker, from); at >= 0; at = text.indexOf(marker, at)) {
    if (at > 0 && text.charCodeAt(at - 1) === LINE_FEED) return at;
    while (text.charCodeAt(at) === code) at += 1;
  }
  return -1;
}

const LINE_FEED = 0x0a;

function hasEndMarker(text: string): boolean {
  return text.startsWith("...") || text.startsWith("\uFEFF...") || findAtLineStart(text, "...", 1) >= 0;
}

/** A line that starts with `%` is a directive before the first document only; elsewhere it is a mistake or text. */
function hasDirective(text: string): boolean {
  if (/^\uFEFF?%/.test(text)) return true;
  const end = findMarker(text, 0);
  for (let at = text.indexOf("%"); at >= 0 && at < end; at = text.indexOf("%", at + 1)) {
    if (text.charCodeAt(at - 1) === LINE_FEED) return true;
  }
  return false;
}

function isBlankAt(text: string, at: number): boolean {
  return at >= text.length || /[ \t\r\n]/.test(text.charAt(at));
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    count += 1;
    for (; text.charCodeAt(at + 1) === LINE_FEED; at += 1) count += 1;
  }
  return count;
}
