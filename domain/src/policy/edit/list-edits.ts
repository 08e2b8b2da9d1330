/** Adds, removes, moves and switches off items of one list. */
import type { ListNode, YamlNode } from "../yaml/node.ts";
import {
  blocksBelowKey,
  endOfLine,
  type ItemBlock,
  type ListBlocks,
  listBlocks,
  switchedOff,
  switchedOn,
} from "./blocks.ts";
import { type Holder, insertItem, type Page, removeItem, replaceValue } from "./changes.ts";
import { type EditPlan, IN_THE_TEXT, type ListEdit } from "./form-edits.ts";
import { columnOf, lineStartOf, nextLineOf, type SpanEdit } from "./lines.ts";
import { findValue, readOneDocument } from "./opened.ts";
import { renderBlock } from "./render.ts";
import { isList, readValue, withValueAt, type YamlValue } from "./value.ts";
import { insertLines, isElsewhere, nothingAt, planReplacement, planValueEdit, SHARED } from "./value-edits.ts";

interface List {
  readonly page: Page;
  readonly root: YamlNode;
  readonly node: YamlNode;
  readonly holder: Holder;
  readonly items: readonly YamlNode[];
  readonly blocks: ListBlocks | null;
}

const IN_BRACKETS = `This list is written in brackets. ${IN_THE_TEXT}`;

export function planListEdit(page: Page, root: YamlNode, edit: ListEdit): EditPlan {
  const list = openList(page, root, edit);
  if (!list) {
    if (edit.kind !== "insert" || edit.index !== 0) return { reason: nothingAt(edit.path) };
    const { part, path, value, order = [] } = edit;
    return planValueEdit(page, root, { kind: "set", part, path, value: [value], order });
  }
  if ("reason" in list) return list;
  const outcome = spansOf(list, edit);
  if ("reason" in outcome) return outcome;
  const expected = withValueAt(readValue(root), edit.path, () => outcome.items);
  return { spans: outcome.spans, expected, mayLoseComments: edit.kind !== "insert" };
}

function openList(page: Page, root: YamlNode, edit: ListEdit): List | { readonly reason: string } | null {
  const found = findValue(page, root, edit.path);
  const node = found?.node;
  if (!found || !node) return null;
  if (isElsewhere(found.parent, node)) return { reason: SHARED };
  const isNothing = node.kind === "scalar" && node.value === null;
  if (node.kind !== "list" && !isNothing) return { reason: nothingAt(edit.path) };
  const items = node.kind === "list" ? node.items : [];
  const { entry } = found.holder;
  const blocks =
    items.length > 0
      ? listBlocks(page.text, node as ListNode)
      : entry &&
        blocksBelowKey(page.text, Math.max(entry.keySpan.end, node.end), columnOf(page.text, entry.keySpan.start));
  return { page, root, node, holder: found.holder, items, blocks };
}

type Outcome =
  | { readonly spans: readonly SpanEdit[]; readonly items: readonly YamlValue[] }
  | { readonly reason: string };

function spansOf(list: List, edit: ListEdit): Outcome {
  const values = list.items.map(readValue);
  switch (edit.kind) {
    case "insert":
      if (edit.index < 0 || edit.index > values.length) return { reason: nothingAt(edit.path) };
      return { spans: insertion(list, edit.index, edit.value), items: values.toSpliced(edit.index, 0, edit.value) };
    case "enable":
      return enabling(list, edit.index, values);
    case "remove-disabled": {
      const block = blockOf(list, edit.index, true);
      return block ? { spans: [wholeLines(list, block)], items: values } : { reason: nothingAt(edit.path) };
    }
    default:
  }
  if (list.items[edit.index] === undefined) return { reason: nothingAt(edit.path) };
  switch (edit.kind) {
    case "remove":
      return { spans: removal(list, edit.index), items: values.toSpliced(edit.index, 1) };
    case "duplicate":
      return { spans: duplication(list, edit.index), items: values.toSpliced(edit.index, 0, values[edit.index]!) };
    case "disable":
      return disabling(list, edit.index, values);
    case "move":
      return moving(list, edit.index, edit.to, values);
  }
}

function blockOf({ blocks }: List, index: number, isOff: boolean): ItemBlock | undefined {
  return blocks?.blocks.find((block) => block.index === index && block.isOff === isOff);
}

function linesOf({ page }: List, block: ItemBlock): string {
  return page.text.slice(block.start, block.end);
}

/** The lines with their line end, or with the one before them where they are the last of the text. */
function wholeLines({ page: { text } }: List, block: ItemBlock): SpanEdit {
  const end = nextLineOf(text, block.end);
  const isOpen = end === text.length && text[end - 1] !== "\n";
  const before = text[block.start - 2] === "\r" ? 2 : 1;
  return { start: isOpen ? Math.max(0, block.start - before) : block.start, end, newText: "" };
}

function insertion(list: List, index: number, value: YamlValue): SpanEdit[] {
  const { page, node, holder, blocks } = list;
  if (node.kind !== "list" || node.items.length === 0) return firstItem(list, value);
  const column = blocks?.column ?? 0;
  if (!blocks) {
    const edit = insertItem(page, node, index, value);
    return edit ? [edit] : [replaceValue(page, node, holder, node.items.map(readValue).toSpliced(index, 0, value))];
  }
  const lines = `${" ".repeat(column)}- ${renderBlock(value, column + 2, page.style)}`;
  const next = blockOf(list, index, false);
  if (next) return [{ start: next.start, end: next.start, newText: lines + page.style.lineEnd }];
  return [insertLines(page, blocks.blocks.at(-1)!.end, lines)];
}

/** Beside items that are switched off, in their column. */
function firstItem({ page, node, holder, blocks }: List, value: YamlValue): SpanEdit[] {
  if (!blocks) return planReplacement(page, node, holder, [value]);
  const lines = `${" ".repeat(blocks.column)}- ${renderBlock(value, blocks.column + 2, page.style)}`;
  return [...withoutBrackets(page, node), insertLines(page, blocks.blocks.at(-1)!.end, lines)];
}

function withoutBrackets({ text }: Page, node: YamlNode): SpanEdit[] {
  if (node.kind !== "list") return [];
  const start = text[node.start - 1] === " " ? node.start - 1 : node.start;
  return [{ start, end: node.end, newText: "" }];
}

function removal(list: List, index: number): SpanEdit[] {
  const { page, node, holder, items } = list;
  const block = blockOf(list, index, false);
  if (!block || node.kind !== "list")
    return [removeItem(page, node as ListNode, index) ?? replaceValue(page, node, holder, [])];
  if (items.length > 1) return [wholeLines(list, block)];
  const emptied = emptyBrackets(list, block);
  return emptied ? [emptied, wholeLines(list, block)] : [replaceValue(page, node, holder, [])];
}

/** `[]` behind the key, when only white space or a comment stands there. */
function emptyBrackets({ page: { text }, holder: { entry } }: List, block: ItemBlock): SpanEdit | null {
  const colon = entry ? text.indexOf(":", entry.keySpan.end) : -1;
  if (colon < 0 || colon >= block.start) return null;
  if (!/^ *(?:#.*)?$/.test(text.slice(colon + 1, endOfLine(text, lineStartOf(text, colon))))) return null;
  return { start: colon + 1, end: colon + 1, newText: " []" };
}

function duplication(list: List, index: number): SpanEdit[] {
  const { page, node, items } = list;
  const block = blockOf(list, index, false);
  if (!block) return insertion(list, index + 1, readValue(items[index]!));
  if (node.kind !== "list") return [];
  return [insertLines(page, block.end, linesOf(list, block))];
}

function disabling(list: List, index: number, values: readonly YamlValue[]): Outcome {
  const block = blockOf(list, index, false);
  if (!block || !list.blocks) return { reason: IN_BRACKETS };
  const spans: SpanEdit[] = [
    { start: block.start, end: block.end, newText: switchedOff(linesOf(list, block), list.blocks.column) },
  ];
  if (values.length === 1) {
    const emptied = emptyBrackets(list, block);
    if (!emptied) return { reason: `It is the only entry, and the list cannot stand without it. ${IN_THE_TEXT}` };
    spans.unshift(emptied);
  }
  return { spans, items: values.toSpliced(index, 1) };
}

function enabling(list: List, index: number, values: readonly YamlValue[]): Outcome {
  const block = blockOf(list, index, true);
  if (!block || !list.blocks) return { reason: "There is nothing switched off here." };
  const { column } = list.blocks;
  const lines = switchedOn(linesOf(list, block));
  const body = lines.split("\n").map((line) => line.slice(Math.min(column, line.search(/[^ ]|$/))));
  const { root } = readOneDocument(body.join("\n"));
  if (root?.kind !== "list" || root.items.length !== 1) {
    return { reason: `What is switched off here cannot be read. ${IN_THE_TEXT}` };
  }
  const at = list.blocks.blocks.slice(0, list.blocks.blocks.indexOf(block)).filter(({ isOff }) => !isOff).length;
  const spans = [{ start: block.start, end: block.end, newText: lines }];
  const cut = values.length === 0 ? withoutBrackets(list.page, list.node) : [];
  return { spans: [...cut, ...spans], items: values.toSpliced(at, 0, readValue(root.items[0]!)) };
}

/** The items change places; what stands between them stays where it is. */
function moving(list: List, index: number, to: number, values: readonly YamlValue[]): Outcome {
  if (to < 0 || to >= values.length) return { reason: "It is at the end already." };
  const moved = values.toSpliced(index, 1).toSpliced(to, 0, values[index]!);
  const order = values.map((_value, at) => at);
  const places = order.toSpliced(index, 1).toSpliced(to, 0, index);
  const spans = order.map((at) => spanOfItem(list, at));
  if (spans.some((span) => span === null)) return { reason: IN_BRACKETS };
  const text = list.page.text;
  return {
    items: isList(moved) ? moved : [],
    spans: order.flatMap((at) => {
      const from = places[at]!;
      const target = spans[at]!;
      if (from === at) return [];
      const source = spans[from]!;
      return [{ start: target.start, end: target.end, newText: text.slice(source.start, source.end) }];
    }),
  };
}

function spanOfItem(list: List, index: number): { start: number; end: number } | null {
  const block = blockOf(list, index, false);
  if (block) return block;
  const { text } = list.page;
  const node = list.items[index]!;
  const isFlow = text[list.node.start] === "[" && !text.slice(list.node.start, list.node.end).includes("#");
  return isFlow && !isElsewhere(list.node, node) ? node : null;
}
