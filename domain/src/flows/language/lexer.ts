/** Text to tokens: parentheses, operators, terms. Never fails; what is odd about a token is said on it. */
import { canonicalAddress, parseCidr } from "../../policy/address.ts";
import type { Span } from "./diagnostics.ts";

export interface QueryValue extends Span {
  /** Without quotes. */
  readonly text: string;
  readonly isQuoted: boolean;
  readonly isUnclosed: boolean;
}

export type Token = Span &
  (
    | { readonly kind: "open" | "close" | "and" | "or" | "end" }
    | { readonly kind: "not"; readonly text: string }
    | { readonly kind: "word"; readonly value: QueryValue }
    | {
        readonly kind: "term";
        /** As written. */
        readonly field: string;
        readonly fieldSpan: Span;
        readonly operator: Operator;
        readonly operatorSpan: Span;
        readonly values: readonly QueryValue[];
      }
  );

export type Operator = ":" | "=" | "!=" | "<" | "<=" | ">" | ">=";

const HEAD = /([A-Za-z][A-Za-z0-9_.-]*)(:?(?:>=|<=|!=|>|<|=)|:)/y;
const BARE_PORTS = /:(?=\d)/y;
const SPACE = /\s*/y;
const BARE_WORD = /[^\s()]+/y;
const BARE_VALUE = /[^\s(),]*/y;
const KEYWORDS: ReadonlyMap<string, "and" | "or" | "not"> = new Map([
  ["AND", "and"],
  ["&&", "and"],
  ["OR", "or"],
  ["||", "or"],
  ["NOT", "not"],
]);

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const token = nextToken(text, at);
    tokens.push(token);
    at = skipSpace(text, Math.max(token.end, at + 1));
  }
  tokens.push({ kind: "end", start: text.length, end: text.length });
  return tokens;
}

function nextToken(text: string, start: number): Token {
  const character = text[start] ?? "";
  if (character === "(") return { kind: "open", start, end: start + 1 };
  if (character === ")") return { kind: "close", start, end: start + 1 };
  if (character === "-" || character === "!") return { kind: "not", text: character, start, end: start + 1 };
  if (character === '"') return wordToken(readQuoted(text, start));
  const bare = run(BARE_WORD, text, start);
  const end = start + bare.length;
  const keyword = KEYWORDS.get(bare);
  if (keyword === "not") return { kind: "not", text: bare, start, end };
  if (keyword) return { kind: keyword, start, end };
  // Before fields: `fe80::1` begins like one.
  if (isAddressText(bare)) return wordToken({ text: bare, start, end, isQuoted: false, isUnclosed: false });
  return termToken(text, start) ?? wordToken({ text: bare, start, end, isQuoted: false, isUnclosed: false });
}

function wordToken(value: QueryValue): Token {
  return { kind: "word", value, start: value.start, end: value.end };
}

/** `field:value,value`, `field>=value`, `:443`; `null` when the text is none of these. */
function termToken(text: string, start: number): Token | null {
  BARE_PORTS.lastIndex = start;
  if (BARE_PORTS.test(text)) {
    const colon = { start, end: start + 1 };
    return finishTerm(text, { field: "port", fieldSpan: colon, operator: ":", operatorSpan: colon });
  }
  HEAD.lastIndex = start;
  const head = HEAD.exec(text);
  if (!head) return null;
  const [whole, field = "", written = ""] = head;
  const fieldSpan = { start, end: start + field.length };
  const operatorSpan = { start: fieldSpan.end, end: start + whole.length };
  // `bytes:>1M` is how some other languages write it.
  const operator = (written.length > 1 && written.startsWith(":") ? written.slice(1) : written) as Operator;
  return finishTerm(text, { field, fieldSpan, operator, operatorSpan });
}

type TermHead = Pick<Token & { kind: "term" }, "field" | "fieldSpan" | "operator" | "operatorSpan">;

function finishTerm(text: string, head: TermHead): Token {
  const values: QueryValue[] = [];
  let at = head.operatorSpan.end;
  // `user: root`, but a field before a parenthesis or at the end has no value.
  const afterSpace = skipSpace(text, at);
  if (head.operator === ":" && afterSpace > at && startsValue(text, afterSpace)) at = afterSpace;
  for (;;) {
    const value = text[at] === '"' ? readQuoted(text, at) : readBare(text, at);
    values.push(value);
    at = value.end;
    if (text[at] !== ",") break;
    const next = skipSpace(text, at + 1);
    at = startsValue(text, next) && text[next] !== "," ? next : at + 1;
  }
  const last = values.at(-1);
  // `process:nginx: worker` is how the kernel names it.
  if (/^proc(ess)?$/i.test(head.field) && last?.text.endsWith(":") && !last.isQuoted) {
    const next = skipSpace(text, at);
    const rest = run(BARE_VALUE, text, next);
    if (next > at && rest !== "" && !rest.startsWith('"')) {
      at = next + rest.length;
      values.splice(-1, 1, { ...last, text: `${last.text} ${rest}`, end: at });
    }
  }
  return { kind: "term", ...head, values, start: head.fieldSpan.start, end: at };
}

function startsValue(text: string, at: number): boolean {
  return at < text.length && text[at] !== "(" && text[at] !== ")";
}

function readBare(text: string, start: number): QueryValue {
  const bare = run(BARE_VALUE, text, start);
  return { text: bare, start, end: start + bare.length, isQuoted: false, isUnclosed: false };
}

/** `\"` and `\\` stand for a quote and a backslash. */
function readQuoted(text: string, start: number): QueryValue {
  let content = "";
  let at = start + 1;
  while (at < text.length && text[at] !== '"') {
    if (text[at] === "\\" && (text[at + 1] === '"' || text[at + 1] === "\\")) at += 1;
    content += text[at];
    at += 1;
  }
  const isUnclosed = at >= text.length;
  return { text: content, start, end: Math.min(text.length, at + 1), isQuoted: true, isUnclosed };
}

/** An address or CIDR, or several between commas. */
export function isAddressText(text: string): boolean {
  return text.split(",").every((part) => canonicalAddress(part) !== null || parseCidr(part).ok);
}

function skipSpace(text: string, at: number): number {
  return at + run(SPACE, text, at).length;
}

function run(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}
