/** Scalars of one line: their ends and their values, as the core schema of YAML 1.2 and the library have them. */
import type { ScalarNode } from "../node.ts";
import { CHARACTER, type Cursor } from "./cursor.ts";

const NULL = /^(?:~|[Nn]ull|NULL)$/;
const BOOLEAN = /^(?:[Tt]rue|TRUE|[Ff]alse|FALSE)$/;
const OCTAL = /^0o[0-7]+$/;
const INTEGER = /^[-+]?[0-9]+$/;
const HEXADECIMAL = /^0x[0-9a-fA-F]+$/;
const NOT_FINITE = /^(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
/** Only texts that start like these can be anything but text. */
const MAY_BE_WORD = /^[~tTfFnN]/;
const NUMBER_STARTS: ReadonlySet<number> = new Set([CHARACTER.plus, CHARACTER.minus, CHARACTER.dot]);
const ZERO = 0x30;
const NINE = 0x39;

/** `false` has five characters; a word that is longer is text. */
const MAX_WORD_LENGTH = 5;

/** The value of a plain scalar (YAML 1.2.2, 10.3.2). */
export function plainValue(source: string): string | number | boolean | null {
  const first = source.charCodeAt(0);
  if (first > NINE) {
    if (source.length > MAX_WORD_LENGTH || !MAY_BE_WORD.test(source)) return source;
    if (NULL.test(source)) return null;
    return BOOLEAN.test(source) ? source.length === 4 : source;
  }
  if (!(first >= ZERO || NUMBER_STARTS.has(first))) return source;
  if (hasAddressMark(source)) return source;
  const number = shortNumber(source);
  if (number >= 0) return number;
  if (INTEGER.test(source)) return Number.parseInt(source, 10);
  if (OCTAL.test(source)) return Number.parseInt(source.slice(2), 8);
  if (HEXADECIMAL.test(source)) return Number.parseInt(source.slice(2), 16);
  if (FLOAT.test(source)) return Number.parseFloat(source);
  if (!NOT_FINITE.test(source)) return source;
  if (source.slice(-3).toLowerCase() === "nan") return Number.NaN;
  return source.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** No number has one of these in it; most texts that begin as numbers do are addresses. */
function hasAddressMark(source: string): boolean {
  return source.includes("/") || source.includes(":");
}

/** More digits are not always read exactly. */
const MAX_DIGITS = 15;

/** The value of digits alone, as most numbers are; -1 = something else. */
function shortNumber(source: string): number {
  if (source.length > MAX_DIGITS) return -1;
  let value = 0;
  for (let at = 0; at < source.length; at++) {
    const digit = source.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

export function plainNode(cursor: Cursor, start: number, end: number): ScalarNode {
  const source = cursor.text.slice(start, end);
  const { base } = cursor;
  return { kind: "scalar", value: plainValue(source), source, quoted: false, start: start - base, end: end - base };
}

export function emptyNode(cursor: Cursor, offset: number): ScalarNode {
  const at = offset - cursor.base;
  return { kind: "scalar", value: null, source: "", quoted: false, start: at, end: at };
}

const INDICATORS: ReadonlySet<number> = new Set(
  [..."-?:,[]{}#&*!|>'\"%@`"].map((character) => character.charCodeAt(0)),
);

/** Declines when no plain scalar can start here, or when it would take more than a look to know. */
export function requirePlainStart(cursor: Cursor): void {
  const code = cursor.code();
  if (!INDICATORS.has(code)) {
    if (code === CHARACTER.tab) cursor.decline("a tab");
    return;
  }
  // These three are indicators only in front of white space; `::/0` is a common value.
  const mayStart = code === CHARACTER.minus || code === CHARACTER.colon || code === CHARACTER.question;
  if (mayStart && !cursor.isBlank(cursor.at + 1) && !isFlowIndicator(cursor.code(cursor.at + 1))) return;
  cursor.decline(reasonOf(code));
}

function reasonOf(code: number): string {
  if (code === CHARACTER.ampersand) return "an anchor";
  if (code === CHARACTER.asterisk) return "an alias";
  if (code === CHARACTER.exclamation) return "a tag";
  return `"${String.fromCharCode(code)}" in front of a value`;
}

export function isFlowIndicator(code: number): boolean {
  return (
    code === CHARACTER.comma ||
    code === CHARACTER.openBracket ||
    code === CHARACTER.closeBracket ||
    code === CHARACTER.openBrace ||
    code === CHARACTER.closeBrace
  );
}

/**
 * The end of the plain scalar that starts here, without the spaces behind it. The cursor stops at `:`, at the line end, at
 * the space before a comment or, in brackets, at an indicator.
 */
export function takePlain(cursor: Cursor, inFlow: boolean): number {
  const { text } = cursor;
  let at = cursor.at;
  let end = at;
  for (; at < cursor.end; at += 1) {
    const code = text.charCodeAt(at);
    if (
      code > CHARACTER.colon &&
      (code < CHARACTER.openBracket || (code > CHARACTER.closeBracket && code < CHARACTER.openBrace))
    ) {
      // Most characters: letters.
      end = at + 1;
      continue;
    }
    if (code === CHARACTER.space) {
      if (text.charCodeAt(at + 1) === CHARACTER.hash) break;
      continue;
    }
    if (code === CHARACTER.lineFeed) break;
    if (code === CHARACTER.carriageReturn && cursor.isLineEnd(at)) break;
    if (code === CHARACTER.tab) cursor.decline("a tab in a value", at);
    if (code === CHARACTER.colon) {
      if (cursor.isBlank(at + 1) || (inFlow && isFlowIndicator(text.charCodeAt(at + 1)))) break;
    } else if (inFlow && isFlowIndicator(code)) break;
    end = at + 1;
  }
  cursor.at = at;
  return end;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "0": "\0",
  a: "\x07",
  b: "\b",
  e: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  N: "\u0085",
  _: "\u00a0",
  L: "\u2028",
  P: "\u2029",
  " ": " ",
  '"': '"',
  "/": "/",
  "\\": "\\",
};

/** The text in quotes that start here and end in the same line. */
export function takeQuoted(cursor: Cursor): ScalarNode {
  const start = cursor.at;
  const value = cursor.code() === CHARACTER.singleQuote ? takeSingleQuoted(cursor) : takeDoubleQuoted(cursor);
  const { base } = cursor;
  return { kind: "scalar", value, source: value, quoted: true, start: start - base, end: cursor.at - base };
}

function takeSingleQuoted(cursor: Cursor): string {
  const { text } = cursor;
  const start = cursor.at + 1;
  let end = text.indexOf("'", start);
  let isDoubled = false;
  while (end >= 0 && text.charCodeAt(end + 1) === CHARACTER.singleQuote) {
    isDoubled = true;
    end = text.indexOf("'", end + 2);
  }
  const value = contentOf(cursor, start, end);
  return isDoubled ? value.replaceAll("''", "'") : value;
}

function takeDoubleQuoted(cursor: Cursor): string {
  const { text } = cursor;
  const start = cursor.at + 1;
  let end = start;
  let isEscaped = false;
  for (;;) {
    const code = text.charCodeAt(end);
    if (code === CHARACTER.doubleQuote) break;
    if (code === CHARACTER.lineFeed || end >= cursor.end) cursor.decline("a text in quotes over several lines");
    if (code === CHARACTER.backslash) {
      isEscaped = true;
      end += 1;
    }
    end += 1;
  }
  const value = contentOf(cursor, start, end);
  return isEscaped ? decodeEscapes(cursor, value, start) : value;
}

/** The text between two quotes; the cursor goes past the second one. */
function contentOf(cursor: Cursor, start: number, end: number): string {
  const value = cursor.text.slice(start, end);
  if (end < 0 || value.includes("\n")) cursor.decline("a text in quotes over several lines");
  cursor.at = end + 1;
  return value;
}

function decodeEscapes(cursor: Cursor, source: string, offset: number): string {
  return source.replace(/\\(?:x([\s\S]{0,2})|u([\s\S]{0,4})|U([\s\S]{0,8})|([\s\S]))/g, (_all, x, u, long, one, at) => {
    if (one !== undefined) return ESCAPES[one] ?? cursor.decline("an escape", offset + at);
    const digits: string = x ?? u ?? long;
    const expected = x !== undefined ? 2 : u !== undefined ? 4 : 8;
    const code = digits.length === expected && /^[0-9a-fA-F]+$/.test(digits) ? Number.parseInt(digits, 16) : -1;
    if (code < 0 || code > 0x10ffff) cursor.decline("an escape", offset + at);
    return String.fromCodePoint(code);
  });
}
