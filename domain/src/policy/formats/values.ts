/** Values of documents, each with the place that a problem is reported at. */
import { describeNode, isNull, type ScalarNode, type Span, type YamlNode } from "../yaml/node.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { nearestWord } from "./suggest.ts";

/** A value with the path that people know it by (`spec.ingress[0].from`) and the place that stands for it. */
export interface Located {
  readonly node: YamlNode;
  readonly path: string;
  /** The key that holds it, or the value itself in a list: where a missing field is reported. */
  readonly anchor: Span;
}

/** A field of a mapping or an entry of a list. Its path is put together when a problem is told, which is seldom. */
export class LocatedPart implements Located {
  readonly node: YamlNode;
  readonly anchor: Span;
  readonly #whole: { readonly path: string };
  readonly #step: string | number;

  constructor(node: YamlNode, anchor: Span, whole: { readonly path: string }, step: string | number) {
    this.node = node;
    this.anchor = anchor;
    this.#whole = whole;
    this.#step = step;
  }

  get path(): string {
    return typeof this.#step === "number"
      ? `${this.#whole.path}[${this.#step}]`
      : fieldPath(this.#whole.path, this.#step);
  }
}

export function fieldPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

export function reportWrongType(report: Reporter, value: Located, expected: string): void {
  if (isNull(value.node)) {
    report.report("WL221", value.anchor, `${value.path} has no value; it takes ${expected}.`);
    return;
  }
  report.report(
    "WL203",
    spanToShow(value.node),
    `${value.path} takes ${expected}, and this is ${describeNode(value.node)}.`,
  );
}

/** The text in the quotes of the value that it replaces, so that JSON stays JSON. */
export function quoteLike(node: ScalarNode, text: string): string {
  return node.quoted ? JSON.stringify(text) : text;
}

/** A whole mapping is too much to underline: its first key stands for it. */
export function spanToShow(node: YamlNode): Span {
  if (node.kind === "map") return node.entries[0]?.keySpan ?? node;
  if (node.kind === "list") {
    const first = node.items[0];
    return first && first.start >= node.start && first.end <= node.end ? spanToShow(first) : node;
  }
  return node;
}

/** The entries of a list with their paths, or `null` when the value is no list (reported). */
export function readList(report: Reporter, value: Located): readonly Located[] | null {
  if (value.node.kind !== "list") {
    reportWrongType(report, value, "a list");
    return null;
  }
  return value.node.items.map((node, index) => locatedItem(node, value, index));
}

/** An entry of a list, at its place from 0. */
export function locatedItem(node: YamlNode, list: Located, index: number): Located {
  return new LocatedPart(node, spanToShow(node), list, index);
}

/** As `readList`, and reports a list that is shorter or longer than declared. */
export function readBoundedList(report: Reporter, value: Located, bounds: ListBounds): readonly Located[] | null {
  const entries = readList(report, value);
  if (!entries) return null;
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = bounds;
  if (entries.length < minItems) {
    report.report(
      "WL218",
      value.anchor,
      `${value.path} is an empty list and needs at least one entry. ${bounds.hint ?? ""}`.trim(),
    );
  } else if (entries.length > maxItems) {
    const first = entries[maxItems]!;
    report.report(
      "WL224",
      first.anchor,
      `${value.path} has ${entries.length} entries; at most ${maxItems} are allowed.`,
    );
  }
  return entries;
}

export interface ListBounds {
  readonly minItems?: number;
  readonly maxItems?: number;
  /** What to write instead of an empty list. */
  readonly hint?: string;
}

/** A whole number within bounds, or `null` (reported). */
export function readBoundedInteger(
  report: Reporter,
  value: Located,
  bounds: { readonly minimum: number; readonly maximum: number },
): number | null {
  const number = readInteger(report, value);
  if (number === null || (number >= bounds.minimum && number <= bounds.maximum)) return number;
  const message = `${value.path} is ${number}; it goes from ${bounds.minimum} to ${bounds.maximum}.`;
  report.report("WL225", value.node, message);
  return null;
}

/** Text of a limited length, or `null` (reported). */
export function readLimitedText(report: Reporter, value: Located, maxLength: number): string | null {
  const text = readText(report, value);
  if (text === null || text.length <= maxLength) return text;
  const message = `${value.path} has ${text.length} characters; at most ${maxLength} are allowed.`;
  report.report("WL226", value.node, message);
  return null;
}

/** Text, or `null` when the value is something else (reported, with quotes as the fix for a bare number or boolean). */
export function readText(report: Reporter, value: Located): string | null {
  const { node } = value;
  if (node.kind === "scalar" && typeof node.value === "string") return node.value;
  if (node.kind === "scalar" && node.value !== null) {
    const message = `${value.path} takes text, and this is ${describeNode(node)}. Put it in quotes.`;
    report.reportFixable("WL204", node, message, "Put it in quotes", JSON.stringify(node.source));
    return null;
  }
  reportWrongType(report, value, "text");
  return null;
}

/** A whole number in decimal, or `null` (reported). */
export function readInteger(report: Reporter, value: Located): number | null {
  const { node } = value;
  if (node.kind !== "scalar" || node.value === null || typeof node.value === "boolean") {
    reportWrongType(report, value, "a whole number");
    return null;
  }
  if (typeof node.value === "number" && /^(0|-?[1-9]\d{0,14})$/.test(node.source)) return node.value;
  if (typeof node.value === "string" && /^(0|[1-9]\d{0,9})$/.test(node.value)) {
    const message = `${value.path} takes a number, and this is ${describeNode(node)}. Remove the quotes.`;
    report.reportFixable("WL205", node, message, "Write it as a number", node.value);
    return null;
  }
  const plain = typeof node.value === "number" && Number.isSafeInteger(node.value) ? String(node.value) : null;
  const message = `${value.path} takes a whole number in plain decimal digits, and this is ${describeNode(node)}.`;
  if (plain === null) report.report("WL205", node, message);
  else report.reportFixable("WL205", node, message, `Change to ${plain}`, plain);
  return null;
}

/** One of some words, or `null` (reported, with the nearest as the fix). */
export function readChoice<Choice extends string>(
  report: Reporter,
  value: Located,
  choices: readonly Choice[],
  /** What other formats call the same thing. */
  synonyms: Readonly<Record<string, Choice>> = {},
): Choice | null {
  const { node } = value;
  if (node.kind !== "scalar" || node.value === null) {
    reportWrongType(report, value, `one of ${choices.join(", ")}`);
    return null;
  }
  const text = String(node.value);
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  const synonym = Object.hasOwn(synonyms, text) ? synonyms[text]! : null;
  const nearest =
    synonym ?? choices.find((choice) => choice.toLowerCase() === text.toLowerCase()) ?? nearestWord(text, choices);
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  const message = `${value.path} cannot be "${shown}". It is one of ${choices.join(", ")}.`;
  if (nearest === null) report.report("WL206", node, message);
  else report.reportFixable("WL206", node, message, `Change to ${nearest}`, quoteLike(node, nearest));
  return null;
}
