/**
 * The shape of a text that is being typed: mappings, lists and scalars with their places, of YAML or JSON, however broken. It
 * never fails and never says what is wrong; that is the reader's business.
 */

export type Quote = "" | "'" | '"';

export interface TreeEntry {
  readonly key: string;
  /** With its quotes. */
  readonly keyFrom: number;
  readonly keyTo: number;
  readonly quote: Quote;
  /** -1 while there is none. */
  readonly colonAt: number;
  value: TreeNode;
}

export interface TreeNode {
  kind: "map" | "list" | "scalar" | "none";
  from: number;
  to: number;
  /** Where a block starts in its line; -1 in flow style. */
  column: number;
  isFlow: boolean;
  entries: TreeEntry[];
  items: TreeNode[];
  /** Without quotes. */
  text: string;
  quote: Quote;
  /** Whether a word stands where a key might still become of it. */
  isBare: boolean;
}

export function noNode(from: number, to = from): TreeNode {
  return {
    kind: "none",
    from,
    to,
    column: -1,
    isFlow: false,
    entries: [],
    items: [],
    text: "",
    quote: "",
    isBare: false,
  };
}

export function scalarNode(text: string, from: number, to: number, quote: Quote = ""): TreeNode {
  return { ...noNode(from, to), kind: "scalar", text, quote };
}

export const isSpace = (character: string | undefined): boolean => character === " " || character === "\t";

/** The value of a key, or `null`. */
export function child(node: TreeNode | null, key: string): TreeNode | null {
  if (node?.kind !== "map") return null;
  return node.entries.find((entry) => entry.key === key)?.value ?? null;
}

/** The text of a scalar below a key; empty when there is none. */
export function childText(node: TreeNode | null, key: string): string {
  const found = child(node, key);
  return found?.kind === "scalar" ? found.text : "";
}

/** A quoted text from its opening quote on; one that is never closed ends with its line. */
export function readQuoted(text: string, at: number, end: number): TreeNode {
  const quote = text[at] as Quote;
  let content = "";
  let next = at + 1;
  for (; next < end && text[next] !== "\n"; next += 1) {
    const character = text[next] ?? "";
    if (character === "\\" && quote === '"' && next + 1 < end) {
      content += text[next + 1] ?? "";
      next += 1;
    } else if (character === quote) {
      if (quote === "'" && text[next + 1] === "'") next += 1;
      else return scalarNode(content, at, next + 1, quote);
      content += "'";
    } else content += character;
  }
  return scalarNode(content, at, next, quote);
}
