/** Block style of YAML, line by line, as far as it is typed. */
import { isSpace, noNode, type Quote, readQuoted, scalarNode, type TreeNode } from "./tree.ts";
import { readFlow } from "./tree-flow.ts";

interface Frame {
  readonly node: TreeNode;
  readonly column: number;
}

/**
 * The tree of one document, from one offset of a text to another. The line of the cursor counts as typed even where it is
 * blank: a word of no letters stands at the cursor's column.
 */
export function readTree(text: string, from: number, to: number, cursor: number | null): TreeNode {
  const start = skipBlank(text, from, to);
  if (text[start] === "{" || text[start] === "[") return readFlow(text, start, to, -1);
  return new BlockParser(text, from, to, cursor).read();
}

function skipBlank(text: string, from: number, to: number): number {
  let at = from;
  if (text.startsWith("---", at)) at += 3;
  for (; at < to; at += 1) {
    if (text[at] === "#") {
      const newline = text.indexOf("\n", at);
      at = newline < 0 ? to : newline;
    } else if (!/\s/.test(text[at] ?? "")) return at;
  }
  return at;
}

class BlockParser {
  readonly #text: string;
  readonly #from: number;
  readonly #to: number;
  readonly #cursor: number | null;
  readonly #root: TreeNode;
  #stack: Frame[] = [];

  constructor(text: string, from: number, to: number, cursor: number | null) {
    this.#text = text;
    this.#from = from;
    this.#to = to;
    this.#cursor = cursor;
    this.#root = noNode(from, to);
  }

  read(): TreeNode {
    let start = this.#from;
    while (start <= this.#to) {
      const newline = this.#text.indexOf("\n", start);
      const end = newline < 0 || newline > this.#to ? this.#to : newline;
      const after = this.#line(start, this.#text[end - 1] === "\r" ? end - 1 : end);
      // A value of several lines ends in some later line.
      const last = Math.max(after, end);
      const next = last === end ? end : this.#text.indexOf("\n", last);
      if (next < 0 || next >= this.#to) break;
      start = next + 1;
    }
    spread(this.#root);
    return this.#root;
  }

  /** Returns up to where it read. */
  #line(start: number, end: number): number {
    let at = start;
    if (start === this.#from && this.#text.startsWith("---", at)) at += 3;
    while (at < end && isSpace(this.#text[at])) at += 1;
    const character = this.#text[at];
    const isBlank = at >= end;
    if (isBlank && this.#cursor !== null && this.#cursor >= start && this.#cursor <= end) {
      const kept = [...this.#stack];
      this.#word(this.#cursor, this.#cursor, this.#cursor - start);
      this.#stack = kept;
      return end;
    }
    if (isBlank || character === "#" || character === "%") return end;
    return this.#content(at, end, at - start);
  }

  #content(start: number, end: number, startColumn: number): number {
    let at = start;
    let column = startColumn;
    while (this.#text[at] === "-" && (at + 1 >= end || isSpace(this.#text[at + 1]))) {
      const list = this.#listAt(column, at);
      let next = at + 1;
      while (next < end && isSpace(this.#text[next])) next += 1;
      list.items.push(noNode(Math.min(at + 2, end), end));
      column += next - at;
      at = next;
      if (at >= end || this.#text[at] === "#") return end;
    }
    const key = this.#key(at, end);
    if (!key) return this.#plain(at, end, column);
    const map = this.#mapAt(column, at);
    const entry = { ...key, value: noNode(key.colonAt + 1, end) };
    map.entries.push(entry);
    let valueAt = key.colonAt + 1;
    while (valueAt < end && isSpace(this.#text[valueAt])) valueAt += 1;
    entry.value.from = Math.min(key.colonAt + 2, Math.max(valueAt, key.colonAt + 1));
    if (valueAt >= end || this.#text[valueAt] === "#") return end;
    entry.value = this.#value(valueAt, end, map.column);
    return entry.value.to;
  }

  #key(at: number, end: number): { key: string; keyFrom: number; keyTo: number; quote: Quote; colonAt: number } | null {
    const first = this.#text[at];
    if (first === '"' || first === "'") {
      const quoted = readQuoted(this.#text, at, end);
      let colonAt = quoted.to;
      while (isSpace(this.#text[colonAt])) colonAt += 1;
      if (colonAt >= end || this.#text[colonAt] !== ":") return null;
      return { key: quoted.text, keyFrom: at, keyTo: quoted.to, quote: quoted.quote, colonAt };
    }
    if (first === "{" || first === "[" || first === "|" || first === ">") return null;
    for (let colonAt = at; colonAt < end; colonAt += 1) {
      const character = this.#text[colonAt];
      if (character === "#" && isSpace(this.#text[colonAt - 1])) return null;
      if (character !== ":" || (colonAt + 1 < end && !isSpace(this.#text[colonAt + 1]))) continue;
      const key = this.#text.slice(at, colonAt).trimEnd();
      return { key, keyFrom: at, keyTo: at + key.length, quote: "", colonAt };
    }
    return null;
  }

  /** Something without a key: a scalar of a list, a collection, or a key that is not finished. */
  #plain(at: number, end: number, column: number): number {
    const first = this.#text[at];
    const value = this.#value(at, end, column - 1);
    if (first === "{" || first === "[" || first === '"' || first === "'" || first === "|" || first === ">") {
      const slot = this.#slot(column);
      if (slot) Object.assign(slot, value);
      return value.to;
    }
    this.#word(value.from, value.to, column);
    return Math.max(value.to, end);
  }

  #word(from: number, to: number, column: number): void {
    this.#popTo(column, false);
    const top = this.#stack.at(-1);
    const key = this.#text.slice(from, to);
    if (top?.node.kind === "map" && top.column === column) {
      top.node.entries.push({ key, keyFrom: from, keyTo: to, quote: "", colonAt: -1, value: noNode(to) });
      return;
    }
    const slot = this.#slot(column);
    if (slot) Object.assign(slot, { ...scalarNode(key, from, to), column, isBare: true });
  }

  #value(at: number, end: number, column: number): TreeNode {
    const first = this.#text[at];
    if (first === "{" || first === "[") return readFlow(this.#text, at, this.#to, Math.max(column, 0));
    if (first === '"' || first === "'") return readQuoted(this.#text, at, end);
    if ((first === "|" || first === ">") && /^[|>][-+0-9]*\s*(#.*)?$/.test(this.#text.slice(at, end))) {
      return this.#blockScalar(at, end, column);
    }
    const comment = this.#text.slice(at, end).search(/\s#/);
    const last = comment < 0 ? end : at + comment;
    const text = this.#text.slice(at, last).trimEnd();
    return scalarNode(text, at, at + text.length);
  }

  /** Everything that is indented deeper. */
  #blockScalar(at: number, end: number, column: number): TreeNode {
    let last = end;
    let start = this.#text.indexOf("\n", end) + 1;
    while (start > 0 && start < this.#to) {
      const newline = this.#text.indexOf("\n", start);
      const lineEnd = newline < 0 || newline > this.#to ? this.#to : newline;
      let content = start;
      while (content < lineEnd && this.#text[content] === " ") content += 1;
      const isBlank = content >= lineEnd || this.#text[content] === "\r";
      if (!isBlank && content - start <= column) break;
      last = lineEnd;
      start = newline < 0 || newline >= this.#to ? 0 : newline + 1;
    }
    return scalarNode(this.#text.slice(end, last).trim(), at, last);
  }

  #popTo(column: number, keepsList: boolean): void {
    for (let top = this.#stack.at(-1); top; top = this.#stack.at(-1)) {
      const isListBesideKey = !keepsList && top.node.kind === "list" && top.column === column;
      if (top.column <= column && !isListBesideKey) return;
      this.#stack.pop();
    }
  }

  /** Where the next value belongs: below the last key, in the last item, or the document itself. */
  #slot(column: number): TreeNode | null {
    const top = this.#stack.at(-1);
    if (!top) return this.#root.kind === "map" && column >= 0 ? null : this.#root;
    if (top.node.kind === "list") return top.node.items.at(-1) ?? null;
    const last = top.node.entries.at(-1);
    return last ? last.value : null;
  }

  #listAt(column: number, at: number): TreeNode {
    this.#popTo(column, true);
    const top = this.#stack.at(-1);
    if (top?.node.kind === "list" && top.column === column) return top.node;
    return this.#open("list", column, at);
  }

  #mapAt(column: number, at: number): TreeNode {
    this.#popTo(column, false);
    const top = this.#stack.at(-1);
    if (top?.node.kind === "map" && top.column === column) return top.node;
    if (!top && this.#root.kind === "map") {
      this.#stack.push({ node: this.#root, column: this.#root.column });
      return this.#root;
    }
    return this.#open("map", column, at);
  }

  #open(kind: "map" | "list", column: number, at: number): TreeNode {
    const slot = this.#slot(column) ?? noNode(at);
    // A word without a colon above a key of the same column was to be a key as well.
    const earlier = slot.kind === "scalar" && slot.isBare && slot.column === column && kind === "map" ? slot : null;
    const entries = earlier
      ? [
          {
            key: earlier.text,
            keyFrom: earlier.from,
            keyTo: earlier.to,
            quote: "" as const,
            colonAt: -1,
            value: noNode(earlier.to),
          },
        ]
      : [];
    const node = Object.assign(slot, { ...noNode(earlier?.from ?? at), kind, column, entries });
    this.#stack.push({ node, column });
    return node;
  }
}

/** Ends of collections, from their last parts. */
function spread(node: TreeNode): number {
  if (node.isFlow) return node.to;
  if (node.kind === "map") {
    for (const { value, keyTo } of node.entries) node.to = Math.max(node.to, keyTo, spread(value));
  } else if (node.kind === "list") {
    for (const item of node.items) node.to = Math.max(node.to, spread(item));
  }
  return node.to;
}
