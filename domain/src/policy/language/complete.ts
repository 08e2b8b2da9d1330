/** What may stand at a position of a text that is being typed. */
import type { Field, ObjectShape, Shape } from "../formats/schema/shape.ts";
import { isOffered, matchRank, type Suggestion } from "./items.ts";
import { type Place, placeAt } from "./place.ts";
import { roleOf } from "./role.ts";
import { describeShape, documentFields, type Fields, type Meaning, meaningsAt } from "./shapes.ts";
import { SNIPPETS } from "./snippets.ts";
import { suggestValues } from "./values.ts";
import type { Vocabulary } from "./vocabulary.ts";

const MAX_ITEMS = 100;

export interface CompletionItem {
  readonly label: string;
  readonly kind: Suggestion["kind"];
  /** A few words beside it: what it takes, or how many have it. */
  readonly detail: string;
  /** Sentences. */
  readonly info: string;
  /** Replaces the text between `from` and `to`. */
  readonly insert: string;
  /** Whether `insert` has places to fill in, as `${…}`. */
  readonly isSnippet: boolean;
}

export interface Completions {
  readonly from: number;
  readonly to: number;
  readonly items: readonly CompletionItem[];
  /** How many there are; more than `items` when they are too many to list. */
  readonly total: number;
}

/** `null` where nothing is known to fit. Offsets are UTF-16 code units, as in the answer. */
export function complete(text: string, offset: number, vocabulary: Vocabulary): Completions | null {
  const place = placeAt(text, offset);
  if (isInComment(text, offset)) return null;
  const fields = documentFields(place.apiVersion, place.kind);
  const meanings = meaningsAt(fields, place.path);
  const writer = new Writer(place);
  const items = [...keyItems(place, fields, meanings, writer), ...valueItems(place, meanings, vocabulary, writer)];
  const ranked = items
    .map((item, position) => ({ item, position, rank: matchRank(item.match ?? item.label, place.word) }))
    .filter(({ rank }) => rank !== null)
    .sort((left, right) => (left.rank ?? 0) - (right.rank ?? 0) || left.position - right.position);
  if (ranked.length === 0) return null;
  return {
    from: writer.from,
    to: writer.to,
    items: ranked.slice(0, MAX_ITEMS).map(({ item: { match: _, ...item } }) => item),
    total: ranked.length,
  };
}

type Draft = CompletionItem & { readonly match?: string };

function isInComment(text: string, offset: number): boolean {
  const line = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  return /(^|\s)#[^'"]*$/.test(line) && !/["'][^"']*#[^"']*$/.test(line);
}

function keyItems(place: Place, fields: Fields, meanings: readonly Meaning[], writer: Writer): readonly Draft[] {
  if (place.path.length === 0) return [...snippetItems(place), ...fieldItems(place, fields, null, writer)];
  if (place.slot === "value" && place.quote !== "" && !place.isFlow) return [];
  return meanings.flatMap(({ shape }) => {
    const object = objectOf(shape, place);
    return object ? fieldItems(place, object.fields, object, writer) : [];
  });
}

/** The mapping whose keys fit here: the one around the cursor, the value's own, or that of a new list item. */
function objectOf(shape: Shape, place: Place): ObjectShape | null {
  if (shape.type === "object") return shape;
  if (place.slot !== "value" || place.word !== "" || shape.type !== "list" || place.isFlow) return null;
  return shape.items.type === "object" ? shape.items : null;
}

function fieldItems(place: Place, fields: Fields, shape: ObjectShape | null, writer: Writer): readonly Draft[] {
  const isInside = place.slot === "key" || place.isBare;
  const own = place.slot === "key" ? place.map : null;
  const present = new Set(own?.entries.filter((entry) => entry !== place.entry).map(({ key }) => key));
  const isNewItem = place.slot === "value" && shape !== null && !place.isFlow && isListPlace(place, shape);
  return Object.entries(fields)
    .filter(([name]) => !present.has(name) && isOffered(shape, name, present))
    .map(([name, field]) => ({
      label: name,
      kind: "key" as const,
      detail: field.required ? `required, ${brief(field.shape)}` : brief(field.shape),
      info: describeField(field),
      insert: writer.key(name, field.shape, { isInside, isNewItem }),
      isSnippet: false,
    }));
}

/** Whether the mapping belongs into an item that is not there yet. */
function isListPlace({ path, apiVersion, kind }: Place, shape: ObjectShape): boolean {
  const meanings = meaningsAt(documentFields(apiVersion, kind), path);
  return meanings.some((meaning) => meaning.shape.type === "list" && meaning.shape.items === shape);
}

function snippetItems(place: Place): readonly Draft[] {
  const isEmpty = (place.map?.entries ?? []).every((entry) => entry === place.entry || entry.key === "");
  if (!isEmpty || place.column > 0 || place.root.isFlow) return [];
  return SNIPPETS.map(({ apiVersion, kind, detail, text }) => ({
    label: kind,
    kind: "snippet" as const,
    detail: apiVersion,
    info: `A whole document: ${detail}.`,
    insert: text,
    isSnippet: true,
  }));
}

function valueItems(
  place: Place,
  meanings: readonly Meaning[],
  vocabulary: Vocabulary,
  writer: Writer,
): readonly Draft[] {
  const isLabelKey = place.slot === "key" && meanings.some(({ shape }) => shape.type === "map");
  if (place.slot === "key" && !isLabelKey) return [];
  const role = isLabelKey ? null : roleOf(place, meanings);
  const seen = new Set<string>();
  return suggestValues(place, meanings, role, vocabulary).flatMap((suggestion): Draft[] => {
    if (seen.has(suggestion.label)) return [];
    seen.add(suggestion.label);
    const { label, kind, detail, info, match } = suggestion;
    const isKey = suggestion.isKey ?? false;
    const insert = isKey
      ? writer.labelKey(suggestion.text ?? label)
      : writer.value(suggestion.text ?? label, suggestion.isText ?? true);
    return [{ label, kind, detail, info, insert, isSnippet: false, ...(match === undefined ? {} : { match }) }];
  });
}

export function describeField({ description, default: otherwise, examples }: Field): string {
  const byDefault = otherwise === undefined ? "" : ` Left out = ${otherwise}.`;
  const example = examples?.[0] === undefined ? "" : ` Example: ${JSON.stringify(examples[0])}.`;
  return `${description}${byDefault}${example}`;
}

function brief(shape: Shape): string {
  switch (shape.type) {
    case "object":
      return "mapping";
    case "list":
      return "list";
    case "either":
      return shape.options.map(brief).join(" or ");
    case "choice":
      return shape.words.length <= 4 ? describeShape(shape) : "word";
    case "integer":
      return "number";
    case "map":
      return "labels";
    default:
      return "text";
  }
}

const NEEDS_QUOTES = /^(true|false|null|yes|no|on|off|~|[-+.]?[0-9].*)$/i;
const PLAIN = /^[A-Za-z0-9_/][\w./:@*-]*$/;

/** Writes keys and values in the style of the place: block, flow or JSON. */
class Writer {
  readonly from: number;
  readonly to: number;
  readonly #place: Place;
  readonly #isJson: boolean;

  constructor(place: Place) {
    this.#place = place;
    this.#isJson = place.root.isFlow && place.root.kind === "map";
    this.from = place.from;
    this.to = place.to;
  }

  key(name: string, shape: Shape, { isInside, isNewItem }: { isInside: boolean; isNewItem: boolean }): string {
    const { entry, slot, isFlow } = this.#place;
    if (slot === "key" && entry !== null && entry.colonAt >= 0) return this.#quoted(name);
    if (isFlow) return `${this.#quoted(name)}: `;
    const column = this.#place.column + (isNewItem ? 2 : 0) + (isInside ? 0 : 2);
    const start = isInside ? "" : `\n${" ".repeat(this.#place.column + 2)}`;
    return `${start}${isNewItem ? "- " : ""}${name}:${after(shape, column)}`;
  }

  labelKey(name: string): string {
    const { entry, isFlow, slot } = this.#place;
    const text = this.#isJson || this.#place.quote !== "" ? this.#quoted(name) : plainOrQuoted(name);
    const hasColon = slot === "key" && entry !== null && entry.colonAt >= 0;
    return hasColon
      ? text
      : slot === "key" || isFlow || this.#place.isBare
        ? `${text}: `
        : `\n${" ".repeat(this.#place.column + 2)}${text}: `;
  }

  value(text: string, isText: boolean): string {
    const { quote } = this.#place;
    if (!isText && quote === "") return text;
    if (quote === "'") return `'${text.replaceAll("'", "''")}'`;
    if (quote === '"' || this.#isJson) return JSON.stringify(text);
    return plainOrQuoted(text);
  }

  #quoted(name: string): string {
    if (this.#place.quote === "'") return `'${name.replaceAll("'", "''")}'`;
    return this.#isJson || this.#place.quote === '"' ? JSON.stringify(name) : name;
  }
}

function plainOrQuoted(text: string): string {
  const isAddress = /^[0-9A-Fa-f.:]+\/\d+$|^\d+\.\d+\.\d+\.\d+$/.test(text);
  return isAddress || (PLAIN.test(text) && !NEEDS_QUOTES.test(text) && !text.endsWith(":"))
    ? text
    : JSON.stringify(text);
}

function after(shape: Shape, column: number): string {
  const deeper = `\n${" ".repeat(column + 2)}`;
  if (shape.type === "object" || shape.type === "map") return deeper;
  if (shape.type === "list") return `${deeper}- `;
  return " ";
}
