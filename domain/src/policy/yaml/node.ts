/** The tree that formats read: YAML without its syntax, every part with its place in the text. */

/** Offsets into the text in UTF-16 code units; the end is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface MapEntry {
  readonly key: string;
  readonly keySpan: Span;
  readonly value: YamlNode;
}

export interface MapNode extends Span {
  readonly kind: "map";
  /** In file order, keys unique: of duplicates the first is kept. */
  readonly entries: readonly MapEntry[];
}

export interface ListNode extends Span {
  readonly kind: "list";
  readonly items: readonly YamlNode[];
}

export interface ScalarNode extends Span {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** As written, without quotes; for block scalars the same as `value`. */
  readonly source: string;
  readonly quoted: boolean;
}

/** The target of an alias is the very node of its anchor: its span is where the anchor is. */
export type YamlNode = MapNode | ListNode | ScalarNode;

export function isNull(node: YamlNode): boolean {
  return node.kind === "scalar" && node.value === null;
}

/** What a person would call the node: `a list`, `the number 8080`. */
export function describeNode(node: YamlNode): string {
  if (node.kind === "map") return "a mapping";
  if (node.kind === "list") return "a list";
  if (node.value === null) return "empty";
  const text = node.source.length > 40 ? `${node.source.slice(0, 40)}…` : node.source;
  if (typeof node.value === "string") return `the text "${text}"`;
  return typeof node.value === "number" ? `the number ${text}` : `${text}`;
}
