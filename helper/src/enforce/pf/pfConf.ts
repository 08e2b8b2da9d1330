/**
 * Our two marked blocks in /etc/pf.conf, from which macOS loads the main rules at boot. pf wants its statements in order
 * (scrub before translation before filter), so the call for scrub stands with the other scrub statements and the call
 * for filter at the end.
 */
const BEGIN = "# >>> wardline: kept by the Wardline agent >>>";
const END = "# <<< wardline <<<";

const SCRUB = /^\s*(?:no\s+)?scrub(?:-anchor)?\b/;
/** Anything that has to come after scrub statements. */
const AFTER_SCRUB =
  /^\s*(?:no\s+)?(?:altq|queue|nat|rdr|binat|nat-anchor|rdr-anchor|binat-anchor|dummynet|dummynet-anchor|anchor|load|pass|block|antispoof)\b/;

/** The text with both blocks, each once. A call that somebody wrote outside of our blocks is enough. */
export function withBlocks(text: string, anchor: string): string {
  const lines = linesOf(withoutBlocks(text));
  const mentions = (keyword: string): boolean =>
    lines.some((line) => new RegExp(`^\\s*${keyword}\\s+"${anchor}"\\s*(?:all\\s*)?(?:#.*)?$`).test(line));
  const withFilter = mentions("anchor") ? lines : [...lines, ...block(`anchor "${anchor}"`)];
  if (mentions("scrub-anchor")) return textOf(withFilter);
  return textOf(withFilter.toSpliced(scrubPosition(withFilter), 0, ...block(`scrub-anchor "${anchor}"`)));
}

/** The text as it was before. Everything outside of our blocks stays, byte for byte. */
export function withoutBlocks(text: string): string {
  const kept: string[] = [];
  let isOurs = false;
  for (const line of text.split("\n")) {
    if (line === BEGIN) isOurs = true;
    if (!isOurs) kept.push(line);
    if (line === END) isOurs = false;
  }
  // A block without an end was damaged by somebody: what follows it is not ours to remove.
  return isOurs ? text : kept.join("\n");
}

function block(statement: string): readonly string[] {
  return [BEGIN, statement, END];
}

function linesOf(text: string): readonly string[] {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

function textOf(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}

/** Behind the last scrub statement, else before the first statement that has to follow one, else at the end. */
function scrubPosition(lines: readonly string[]): number {
  let last = lines.findLastIndex((line) => SCRUB.test(line));
  if (last >= 0) {
    while (lines[last]?.endsWith("\\")) last++;
    return last + 1;
  }
  const first = lines.findIndex((line) => AFTER_SCRUB.test(line) || line === BEGIN);
  return first < 0 ? lines.length : first;
}
