/**
 * The lines of a list written with dashes, item by item: each item with the comments directly above its dash, and the items
 * that are switched off, which stand there as comments with a mark.
 */
import type { ListNode, Span } from "../yaml/node.ts";
import { columnOf, isFirstInLine, lineStartOf, nextLineOf } from "./lines.ts";

/** Behind the indentation of each line of what is switched off. */
export const OFF_MARK = "#off ";

export interface ItemBlock extends Span {
  /** Among the items of the list, or among those that are switched off. */
  readonly index: number;
  readonly isOff: boolean;
}

export interface ListBlocks {
  readonly column: number;
  /** In file order. Spans are whole lines without the last line end. */
  readonly blocks: readonly ItemBlock[];
}

/** `null` when the items are not lines of their own: lists in brackets, and dashes behind dashes. */
export function listBlocks(text: string, list: ListNode): ListBlocks | null {
  if (list.items.length === 0 || text[list.start] !== "-" || !isFirstInLine(text, list.start)) return null;
  const column = columnOf(text, list.start);
  const blocks: ItemBlock[] = [...offBlocks(text, startOfHead(text, list.start), list.start, column)];
  let dash = list.start;
  for (let index = 0; index < list.items.length; index += 1) {
    if (text[dash] !== "-") return null;
    const start = startOfComments(text, dash, column, blocks.at(-1)?.end ?? 0);
    const end = endOfItem(text, dash, column);
    blocks.push({ index, isOff: false, start, end });
    const next = index + 1 < list.items.length ? nextDash(text, end, column) : -1;
    const offEnd = next < 0 ? endOfComments(text, end) : next;
    for (const off of offBlocks(text, nextLineOf(text, end), offEnd, column)) blocks.push(off);
    if (index + 1 < list.items.length && next < 0) return null;
    dash = next;
  }
  return { column, blocks: blocks.map((block, at) => ({ ...block, index: indexAmong(blocks, at) })) };
}

/** What is switched off below a key that has no items left: `column` is that of the key. */
export function blocksBelowKey(text: string, keyEnd: number, column: number): ListBlocks | null {
  const start = nextLineOf(text, keyEnd);
  const end = endOfComments(text, keyEnd);
  const found = /^( *)#off - ?/m.exec(text.slice(start, end));
  const at = found?.[1]?.length ?? -1;
  if (at < column) return null;
  const blocks = offBlocks(text, start, end, at);
  return blocks.length === 0 ? null : { column: at, blocks: blocks.map((block, index) => ({ ...block, index })) };
}

function indexAmong(blocks: readonly ItemBlock[], at: number): number {
  const { isOff } = blocks[at]!;
  return blocks.slice(0, at).filter((block) => block.isOff === isOff).length;
}

function lineAt(text: string, start: number): string {
  const end = text.indexOf("\n", start);
  return text.slice(start, end < 0 ? text.length : end).replace(/\r$/, "");
}

/** The start of the line behind the one that starts here. */
export function lineAfter(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  return end < 0 ? text.length : end + 1;
}

/** Where the line ends, without its line end. */
export function endOfLine(text: string, start: number): number {
  return start + lineAt(text, start).length;
}

/** The line start from which on only comments and empty lines stand before the offset. */
function startOfHead(text: string, offset: number): number {
  let start = lineStartOf(text, offset);
  while (start > 0) {
    const previous = lineStartOf(text, start - 1);
    if (!/^ *(?:#.*)?$/.test(lineAt(text, previous))) break;
    start = previous;
  }
  return start;
}

/** Comments directly above the dash, in its column, belong to the item. */
function startOfComments(text: string, dash: number, column: number, from: number): number {
  let start = lineStartOf(text, dash);
  while (start > 0) {
    const previous = lineStartOf(text, start - 1);
    const line = lineAt(text, previous);
    const indent = line.search(/\S/);
    if (previous < from || line[indent] !== "#" || indent !== column || line.startsWith(OFF_MARK, indent)) break;
    start = previous;
  }
  return text.charCodeAt(start) === 0xfeff ? start + 1 : start;
}

/** An item goes on as long as lines are indented deeper than its dash; empty lines at its end are not its own. */
function endOfItem(text: string, dash: number, column: number): number {
  let end = endOfLine(text, lineStartOf(text, dash));
  for (let start = nextLineOf(text, end); start < text.length; start = lineAfter(text, start)) {
    const line = lineAt(text, start);
    const indent = line.search(/[^ ]/);
    if (indent >= 0 && indent <= column) break;
    if (indent >= 0) end = start + line.length;
  }
  return end;
}

function nextDash(text: string, end: number, column: number): number {
  for (let start = nextLineOf(text, end); start < text.length; start = lineAfter(text, start)) {
    const line = lineAt(text, start);
    const indent = line.search(/[^ ]/);
    if (indent === column && line[indent] === "-") return start + indent;
    if (indent >= 0 && line[indent] !== "#") return -1;
  }
  return -1;
}

function endOfComments(text: string, offset: number): number {
  let start = nextLineOf(text, offset);
  while (start < text.length && /^ *(?:#.*)?$/.test(lineAt(text, start))) {
    start = lineAfter(text, start);
  }
  return start;
}

function offBlocks(text: string, from: number, to: number, column: number): ItemBlock[] {
  const blocks: ItemBlock[] = [];
  const mark = " ".repeat(column) + OFF_MARK;
  let open: { start: number; end: number; hasDash: boolean } | null = null;
  const close = () => {
    if (open?.hasDash) blocks.push({ index: blocks.length, isOff: true, start: open.start, end: open.end });
    open = null;
  };
  for (let start = from; start < to; ) {
    const line = lineAt(text, start);
    // Empty lines stay as they are, so that they may stand in the middle.
    if (line.trim() !== "" && !line.startsWith(mark)) close();
    else if (line.trim() !== "") {
      const first = line[mark.length];
      if (open && (open as { hasDash: boolean }).hasDash && (first === "-" || first === "#")) close();
      const hasDash: boolean = first === "-" || ((open as { hasDash: boolean } | null)?.hasDash ?? false);
      open = { start: (open as { start: number } | null)?.start ?? start, end: start + line.length, hasDash };
    }
    start = lineAfter(text, start);
  }
  close();
  return blocks;
}

/** The lines as comments that {@link switchedOn} turns back. Empty lines stay as they are. */
export function switchedOff(lines: string, column: number): string {
  return lines.replace(/^(\uFEFF?)( *)(?=[^ \r\n])/gm, (_line, mark: string, indent: string) => {
    const kept = Math.min(indent.length, column);
    return mark + indent.slice(0, kept) + OFF_MARK + indent.slice(kept);
  });
}

export function switchedOn(lines: string): string {
  return lines.replace(/^(\uFEFF? *)#off /gm, "$1");
}
