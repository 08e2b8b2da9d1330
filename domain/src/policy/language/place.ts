/** Where in a text that is being typed a position is: which document, which field of it, and what is typed there so far. */
import { childText, type Quote, type TreeEntry, type TreeNode } from "./tree.ts";
import { readTree } from "./tree-block.ts";

export type Step = string | number;

export interface DocumentSpan {
  readonly from: number;
  readonly to: number;
}

export interface Place {
  readonly document: DocumentSpan;
  readonly root: TreeNode;
  readonly apiVersion: string;
  readonly kind: string;
  /** From the document's mapping: of a key the mapping that it stands in, of a value the value itself. */
  readonly path: readonly Step[];
  readonly slot: "key" | "value";
  /** What is typed there, without quotes. */
  readonly word: string;
  /** Its place, with quotes. */
  readonly from: number;
  readonly to: number;
  readonly quote: Quote;
  /** The mapping around it; `null` in a list of the document itself. */
  readonly map: TreeNode | null;
  /** All mappings and lists around it, the document's first. */
  readonly around: readonly TreeNode[];
  readonly isFlow: boolean;
  /** Where the line of the word begins to hold text: the column that a new key would have. */
  readonly column: number;
  /** A value without a colon before it, of which a key may still become. */
  readonly isBare: boolean;
  readonly entry: TreeEntry | null;
}

const MARKER = /^---(?=\s|$)/gm;

/** The documents of a text, each from its `---` on. */
export function documentSpans(text: string): readonly DocumentSpan[] {
  const starts = [0];
  for (const { index } of text.matchAll(MARKER)) if (index > 0) starts.push(index);
  return starts.map((from, at) => ({ from, to: starts[at + 1] ?? text.length }));
}

export function documentAt(text: string, offset: number): DocumentSpan {
  // Of many documents only the markers around the position are looked for.
  let from = 0;
  for (let at = text.lastIndexOf("---", offset); at > 0; at = text.lastIndexOf("---", at - 1)) {
    if (isMarker(text, at) && at + 3 <= offset) {
      from = at;
      break;
    }
  }
  for (let at = text.indexOf("---", Math.max(offset, from + 3)); at >= 0; at = text.indexOf("---", at + 1)) {
    if (isMarker(text, at) && at >= offset) return { from, to: at };
  }
  return { from, to: text.length };
}

function isMarker(text: string, at: number): boolean {
  return text[at - 1] === "\n" && /^---(\s|$)/.test(text.slice(at, at + 4));
}

/** @param isTyping counts a blank line at the position as a word of no letters */
export function placeAt(text: string, offset: number, isTyping = true): Place {
  const document = documentAt(text, offset);
  const root = readTree(text, document.from, document.to, isTyping ? offset : null);
  const found = find(root, offset);
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const header = headerOf(root, found);
  return {
    ...{ document, root, ...found, ...header },
    column: columnOf(text, lineStart, found.from),
    word: wordOf(text, found.from, offset, found.quote),
  };
}

/** A document of a List has its type by itself. */
function headerOf(
  root: TreeNode,
  { around, path }: Found,
): { apiVersion: string; kind: string; path: readonly Step[] } {
  const isItem = path[0] === "items" && typeof path[1] === "number" && around.length > 2;
  const own = isItem ? (around[2] ?? root) : root;
  return {
    apiVersion: childText(own, "apiVersion"),
    kind: childText(own, "kind"),
    path: isItem ? path.slice(2) : path,
  };
}

function columnOf(text: string, lineStart: number, from: number): number {
  let at = lineStart;
  while (at < from && (text[at] === " " || text[at] === "\t" || text[at] === "-")) at += 1;
  return at - lineStart;
}

function wordOf(text: string, from: number, offset: number, quote: Quote): string {
  return text.slice(from + quote.length, Math.max(offset, from + quote.length));
}

type Found = Pick<Place, "path" | "slot" | "from" | "to" | "quote" | "map" | "around" | "isFlow" | "isBare" | "entry">;

function find(root: TreeNode, offset: number): Found {
  const path: Step[] = [];
  const around: TreeNode[] = [];
  let node = root;
  let entry: TreeEntry | null = null;
  for (;;) {
    if (node.kind === "map") {
      around.push(node);
      const key = node.entries.find(({ keyFrom, keyTo }) => offset >= keyFrom && offset <= keyTo);
      if (key) return { ...keyPlace(key), path, map: node, around, isFlow: node.isFlow };
      entry = lastBefore(node.entries, offset);
      if (!entry) return { ...emptyPlace(offset), path, map: node, around, isFlow: node.isFlow, entry: null };
      if (node.isFlow && offset > Math.max(entry.value.to, entry.colonAt + 1)) {
        return { ...emptyPlace(offset), path, map: node, around, isFlow: true, entry: null };
      }
      path.push(entry.key);
      node = entry.value;
    } else if (node.kind === "list") {
      around.push(node);
      const index = node.items.findLastIndex(({ from }) => from <= offset);
      const item = node.items[index];
      if (!item || (node.isFlow && offset > item.to)) {
        path.push(Math.max(index + 1, 0));
        return {
          ...emptyPlace(offset),
          slot: "value",
          path,
          map: lastMap(around),
          around,
          isFlow: node.isFlow,
          entry,
          isBare: true,
        };
      }
      path.push(index);
      node = item;
    } else {
      const isTyped = node.kind === "scalar" && offset >= node.from && offset <= node.to;
      const parent = around.at(-1);
      return {
        slot: "value",
        from: isTyped ? node.from : offset,
        to: isTyped ? node.to : offset,
        quote: isTyped ? node.quote : "",
        path,
        map: lastMap(around),
        around,
        isFlow: parent?.isFlow ?? false,
        isBare: node.isBare || (node.kind === "none" && parent?.kind === "list"),
        entry,
      };
    }
  }
}

function lastBefore(entries: readonly TreeEntry[], offset: number): TreeEntry | null {
  return entries.findLast(({ keyFrom }) => keyFrom <= offset) ?? null;
}

function lastMap(around: readonly TreeNode[]): TreeNode | null {
  return around.findLast(({ kind }) => kind === "map") ?? null;
}

function keyPlace(entry: TreeEntry) {
  const { keyFrom: from, keyTo: to, quote } = entry;
  return { slot: "key" as const, from, to, quote, isBare: entry.colonAt < 0, entry };
}

function emptyPlace(offset: number) {
  return { slot: "key" as const, from: offset, to: offset, quote: "" as const, isBare: true };
}
