/** Flow style (`{a: b}`, `[1, 2]`) and JSON, as far as it is typed. */
import { isSpace, noNode, readQuoted, scalarNode, type TreeNode } from "./tree.ts";

const MAX_DEPTH = 64;
/** Ends a word in flow style. */
const FLOW_END = /[,\]}[{\n]/;

/**
 * Reads a collection from its bracket on. One that is never closed ends where a block with at most `outerColumn` columns of
 * indentation goes on (-1 = never).
 */
export function readFlow(text: string, at: number, end: number, outerColumn: number): TreeNode {
  return new FlowParser(text, end, outerColumn).collection(at, 0);
}

class FlowParser {
  readonly #text: string;
  readonly #end: number;
  readonly #outerColumn: number;
  #isOver = false;

  constructor(text: string, end: number, outerColumn: number) {
    this.#text = text;
    this.#end = end;
    this.#outerColumn = outerColumn;
  }

  collection(at: number, depth: number): TreeNode {
    const isMap = this.#text[at] === "{";
    const node: TreeNode = { ...noNode(at), kind: isMap ? "map" : "list", isFlow: true };
    let next = this.#skip(at + 1);
    while (next < this.#end && !this.#isOver) {
      const character = this.#text[next];
      if (character === "}" || character === "]") {
        node.to = next + 1;
        return node;
      }
      const before = next;
      if (character === ",") next += 1;
      else next = isMap ? this.#entry(node, next, depth) : this.#item(node, next, depth);
      next = this.#skip(next);
      if (next === before) next += 1;
    }
    node.to = next;
    return node;
  }

  #entry(node: TreeNode, at: number, depth: number): number {
    const key = this.#scalar(at, true);
    const colon = this.#skip(key.to);
    const entry = { key: key.text, keyFrom: key.from, keyTo: key.to, quote: key.quote };
    if (this.#isOver || this.#text[colon] !== ":") {
      node.entries.push({ ...entry, colonAt: -1, value: noNode(key.to) });
      return key.to;
    }
    const valueAt = this.#skip(colon + 1);
    const value = this.#value(valueAt, depth, colon + 1);
    node.entries.push({ ...entry, colonAt: colon, value });
    return Math.max(value.to, colon + 1);
  }

  #item(node: TreeNode, at: number, depth: number): number {
    const value = this.#value(at, depth, at);
    // `[a: b]` is a list with a mapping of one entry.
    const colon = value.kind === "scalar" ? this.#skip(value.to) : this.#end;
    if (colon < this.#end && this.#text[colon] === ":" && !this.#isOver) {
      const inner = this.#value(this.#skip(colon + 1), depth, colon + 1);
      const map: TreeNode = { ...noNode(value.from, inner.to), kind: "map", isFlow: true };
      const { text: key, from: keyFrom, to: keyTo, quote } = value;
      map.entries.push({ key, keyFrom, keyTo, quote, colonAt: colon, value: inner });
      node.items.push(map);
      return Math.max(inner.to, colon + 1);
    }
    node.items.push(value);
    return value.to;
  }

  #value(at: number, depth: number, emptyAt: number): TreeNode {
    const character = this.#text[at];
    if (this.#isOver || at >= this.#end || character === "," || character === "}" || character === "]") {
      return noNode(emptyAt, Math.max(emptyAt, Math.min(at, this.#end)));
    }
    if (character === "{" || character === "[") {
      return depth < MAX_DEPTH ? this.collection(at, depth + 1) : noNode(at, at + 1);
    }
    return this.#scalar(at, false);
  }

  #scalar(at: number, isKey: boolean): TreeNode {
    const text = this.#text;
    if (text[at] === '"' || text[at] === "'") return readQuoted(text, at, this.#end);
    let next = at;
    while (next < this.#end && !FLOW_END.test(text[next] ?? "")) {
      if (text[next] === ":" && (isKey || isSpace(text[next + 1]) || FLOW_END.test(text[next + 1] ?? "\n"))) break;
      next += 1;
    }
    let last = next;
    while (last > at && isSpace(text[last - 1])) last -= 1;
    return { ...scalarNode(text.slice(at, last), at, last), isBare: true };
  }

  /** Over blanks and line ends; notices that the outer block goes on although nothing was closed. */
  #skip(at: number): number {
    let next = at;
    while (next < this.#end) {
      const character = this.#text[next];
      if (character === "\n" && this.#goesOn(next + 1)) {
        this.#isOver = true;
        return next;
      }
      if (character === "#" && (next === 0 || /\s/.test(this.#text[next - 1] ?? " "))) {
        const line = this.#text.indexOf("\n", next);
        next = line < 0 ? this.#end : line;
        continue;
      }
      if (!isSpace(character) && character !== "\n" && character !== "\r") return next;
      next += 1;
    }
    return next;
  }

  #goesOn(lineStart: number): boolean {
    if (this.#outerColumn < 0) return false;
    let at = lineStart;
    while (this.#text[at] === " ") at += 1;
    if (at - lineStart > this.#outerColumn) return false;
    const newline = this.#text.indexOf("\n", at);
    const line = this.#text.slice(at, newline < 0 ? this.#end : Math.min(newline, this.#end));
    return /^(- |-$|---|[\w./-]+:(\s|$))/.test(line);
  }
}
