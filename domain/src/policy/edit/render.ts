/** Values as YAML text, in the way people write policies. */
import { plainValue } from "../yaml/quick/scalar.ts";
import { isList, isMapping, type YamlValue } from "./value.ts";

export interface Style {
  /** Strings and keys in double quotes, so that JSON stays JSON. */
  readonly isJson: boolean;
  readonly lineEnd: string;
}

/** Texts of these characters mean themselves without quotes wherever a value may stand. */
const PLAIN = /^[\w./:][\w./@+=:-]*(?: [\w./@+=:-]+)*$/;
/** YAML 1.1, which other tools read, takes these for something else than text. */
const OLD_MEANING = /^(?:y|n|yes|no|on|off|\d[\d_]*(?::\d+)+|\d+_[\d_]*|\d{4}-\d\d?-\d\d?.*)$/i;

export function renderText(text: string, quote: '"' | "'" | null): string {
  if (quote === "'" && !/[^\x20-\x7E]/.test(text)) return `'${text.replaceAll("'", "''")}'`;
  const isPlain = PLAIN.test(text) && !/:(?: |$)/.test(text) && !OLD_MEANING.test(text);
  if (quote === null && isPlain && typeof plainValue(text) === "string") return text;
  return JSON.stringify(text).replace(/[\u007F-\u009F\u2028\u2029\uFEFF\uFFFE\uFFFF]/g, escapeCharacter);
}

/** Characters that JSON allows as they are and YAML does not, or that nobody would see. */
function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

export function renderScalar(value: string | number | boolean | null, quote: '"' | "'" | null): string {
  if (typeof value === "string") return renderText(value, quote);
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value < 0 ? "-.inf" : ".inf";
  return Object.is(value, -0) ? "-0" : String(value);
}

/** The value in one line, with brackets. */
export function renderFlow(value: YamlValue, style: Style): string {
  const quote = style.isJson ? '"' : null;
  if (isList(value)) return `[${value.map((item) => renderFlow(item, style)).join(", ")}]`;
  if (!isMapping(value)) return renderScalar(value, quote);
  const pairs = Object.entries(value).map(([key, item]) => `${renderText(key, quote)}: ${renderFlow(item, style)}`);
  return `{${pairs.join(", ")}}`;
}

/** Whether the value is written in one line: scalars, what is empty, and lists of scalars. */
export function isInline(value: YamlValue): boolean {
  if (isList(value)) return value.every((item) => !isList(item) && !isMapping(item));
  return !isMapping(value) || Object.keys(value).length === 0;
}

/** The value as lines from `column` on; the first line has no indentation, the last no line end. */
export function renderBlock(value: YamlValue, column: number, style: Style): string {
  if (isInline(value)) return renderFlow(value, style);
  const separator = style.lineEnd + " ".repeat(column);
  if (isList(value)) return value.map((item) => `- ${renderBlock(item, column + 2, style)}`).join(separator);
  if (!isMapping(value)) return renderFlow(value, style);
  return Object.entries(value)
    .map(([key, item]) => renderEntry(key, item, column, style))
    .join(separator);
}

/** `key: value`, with the value below the key when it takes more than a line. */
export function renderEntry(key: string, value: YamlValue, column: number, style: Style): string {
  const name = renderText(key, style.isJson ? '"' : null);
  if (isInline(value)) return `${name}: ${renderFlow(value, style)}`;
  const below = column + 2;
  return `${name}:${style.lineEnd}${" ".repeat(below)}${renderBlock(value, below, style)}`;
}
