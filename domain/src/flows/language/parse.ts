/** Text to query. docs/flows.md has the grammar. */
import type { Diagnostic } from "../../policy/diagnostic.ts";
import type { FlowQuery, QueryNode } from "../query.ts";
import { sayContradictions } from "./contradictions.ts";
import { Problems, type Span } from "./diagnostics.ts";
import { type Token, tokenize } from "./lexer.ts";
import { combine, negate } from "./normal.ts";
import { knownField, onlyValue, readTerm, readWord, type Term } from "./terms.ts";
import { readMoment } from "./times.ts";
import { sayWordMeaning } from "./word-hints.ts";

export const MAX_QUERY_LENGTH = 2_000;
export const MAX_QUERY_DEPTH = 20;
export const MAX_QUERY_VALUES = 200;

export interface ParsedFlowQuery {
  /** `null` when a diagnostic is an error. */
  readonly query: FlowQuery | null;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads a query; never throws. Every diagnostic is on line 1 of a file without a name.
 * @param now the moment that `since:-2h` counts from
 */
export function parseFlowQuery(text: string, now: { readonly nowMs: number }): ParsedFlowQuery {
  const problems = new Problems();
  if (text.length > MAX_QUERY_LENGTH) {
    const message = `A query has at most ${MAX_QUERY_LENGTH.toLocaleString("en")} characters; this one has ${text.length.toLocaleString("en")}.`;
    problems.add("WL601", { start: MAX_QUERY_LENGTH, end: text.length }, message);
    return { query: null, diagnostics: problems.list };
  }
  const query = new QueryReader(text, now.nowMs, problems).read();
  return { query: problems.hasErrors ? null : query, diagnostics: problems.list };
}

/** What a part of the query says. `null` = nothing (a window of time, or an error that was said). */
type Part = QueryNode | null;

class QueryReader {
  readonly #text: string;
  readonly #nowMs: number;
  readonly #problems: Problems;
  readonly #tokens: readonly Token[];
  #at = 0;
  #valueCount = 0;
  #sinceMs: number | null = null;
  #untilMs: number | null = null;

  constructor(text: string, nowMs: number, problems: Problems) {
    this.#text = text;
    this.#nowMs = nowMs;
    this.#problems = problems;
    this.#tokens = tokenize(text);
  }

  read(): FlowQuery {
    const parts: Part[] = [];
    for (;;) {
      parts.push(this.#readAlternatives(0));
      const token = this.#peek();
      if (token.kind === "end") break;
      this.#problems.add("WL606", token, "This parenthesis closes nothing.", { title: "Leave it out", text: "" });
      this.#at += 1;
    }
    return { where: combine("and", parts) ?? { kind: "all" }, sinceMs: this.#sinceMs, untilMs: this.#untilMs };
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", start: this.#text.length, end: this.#text.length };
  }

  #readAlternatives(depth: number): Part {
    const alternatives: Part[] = [this.#readAll(depth)];
    for (let token = this.#peek(); token.kind === "or"; token = this.#peek()) {
      const isFirst = alternatives.length === 1;
      this.#at += 1;
      const right = this.#readAll(depth);
      if ((isFirst && alternatives[0] === null) || right === null) this.#sayMissing(token, "OR");
      alternatives.push(right);
    }
    return combine("or", alternatives);
  }

  #readAll(depth: number): Part {
    const parts: Part[] = [];
    for (let token = this.#peek(); token.kind !== "end" && token.kind !== "close" && token.kind !== "or"; ) {
      if (token.kind === "and") {
        this.#at += 1;
        const next = this.#peek().kind;
        if (parts.length === 0 || next === "end" || next === "close" || next === "or" || next === "and") {
          this.#sayMissing(token, "AND");
        }
      } else {
        parts.push(this.#readOne(depth));
      }
      token = this.#peek();
    }
    sayContradictions(parts, this.#spans, this.#problems);
    return combine("and", parts);
  }

  readonly #spans = new Map<QueryNode, Span>();

  #readOne(depth: number): Part {
    const start = this.#peek().start;
    let isNegated = false;
    for (let token = this.#peek(); token.kind === "not"; token = this.#peek()) {
      this.#at += 1;
      isNegated = !isNegated;
      const next = this.#peek();
      const isApart = token.text !== "NOT" && next.start > token.end;
      if (isApart || next.kind === "end" || next.kind === "close" || next.kind === "or" || next.kind === "and") {
        this.#problems.add(
          "WL607",
          token,
          `${token.text} stands directly before what it excludes: -port:53 or NOT port:53.`,
        );
        if (next.kind !== "word" && next.kind !== "term" && next.kind !== "open") return null;
      }
    }
    const part = this.#readPrimary(depth, isNegated);
    const node = part && isNegated ? negate(part) : part;
    if (node) this.#spans.set(node, { start, end: this.#tokens[this.#at - 1]?.end ?? start });
    return node;
  }

  #readPrimary(depth: number, isNegated: boolean): Part {
    const token = this.#peek();
    this.#at += 1;
    switch (token.kind) {
      case "open":
        return this.#readGroup(token, depth + 1);
      case "word":
        this.#count(1, token);
        if (token.value.isUnclosed) this.#sayUnclosed(token.value);
        else if (!token.value.isQuoted) sayWordMeaning(token.value, this.#peek(), this.#text, this.#problems);
        return readWord(token.value, this.#problems);
      case "term":
        return this.#readTerm(token, depth, isNegated);
      default:
        return null;
    }
  }

  #readGroup(open: Span, depth: number): Part {
    if (depth > MAX_QUERY_DEPTH) {
      this.#problems.add("WL601", open, `Parentheses go ${MAX_QUERY_DEPTH} deep.`);
      this.#at = this.#tokens.length;
      return null;
    }
    if (this.#peek().kind === "close") {
      this.#problems.add(
        "WL607",
        { start: open.start, end: this.#peek().end },
        "There is nothing between the parentheses.",
      );
      this.#at += 1;
      return null;
    }
    const inner = this.#readAlternatives(depth);
    if (this.#peek().kind === "close") this.#at += 1;
    else if (!this.#problems.hasErrors) this.#problems.add("WL606", open, "This parenthesis is not closed.");
    return inner;
  }

  #readTerm(term: Term, depth: number, isNegated: boolean): Part {
    this.#count(term.values.length, term);
    const unclosed = term.values.find((value) => value.isUnclosed);
    if (unclosed) this.#sayUnclosed(unclosed);
    const field = knownField(term, this.#text, this.#problems);
    if (field?.kind === "window") this.#readWindow(term, field.name, depth > 0 || isNegated);
    return field && readTerm(term, field, this.#problems);
  }

  #readWindow(term: Term, name: "since" | "until", isMisplaced: boolean): void {
    if (isMisplaced) {
      const message = `${name} counts for the whole query: write it outside of parentheses and do not exclude it.`;
      this.#problems.add("WL608", term, message);
      return;
    }
    if (term.operator !== ":" && term.operator !== "=") {
      this.#problems.add("WL605", term.operatorSpan, `${name} takes a moment: ${name}:-2h`, {
        title: "Write :",
        text: ":",
      });
      return;
    }
    const value = onlyValue(term, name, this.#problems);
    if (!value) return;
    const ms = readMoment(value.text, this.#nowMs);
    if (ms === null) {
      const message = `${JSON.stringify(value.text.slice(0, 60))} is not a moment. Write -2h, 2026-11-20, 2026-11-20T10:00 (UTC), today or yesterday.`;
      this.#problems.add("WL604", value, message);
      return;
    }
    if ((name === "since" ? this.#sinceMs : this.#untilMs) !== null) {
      this.#problems.add("WL609", term, `${name} is there twice.`, { title: "Leave it out", text: "" });
      return;
    }
    if (name === "since") this.#sinceMs = ms;
    else this.#untilMs = ms;
    if (this.#sinceMs !== null && this.#untilMs !== null && this.#untilMs <= this.#sinceMs) {
      this.#problems.add("WL609", term, "The window of time ends before it begins.");
    }
  }

  #count(values: number, span: Span): void {
    const before = this.#valueCount;
    this.#valueCount += values;
    if (before <= MAX_QUERY_VALUES && this.#valueCount > MAX_QUERY_VALUES) {
      this.#problems.add("WL601", span, `A query has at most ${MAX_QUERY_VALUES} values. Use ranges, CIDRs or *.`);
    }
  }

  #sayMissing(span: Span, operator: string): void {
    this.#problems.add(
      "WL607",
      span,
      `${operator} needs a condition on both sides; to look for the word, put it in quotes.`,
    );
  }

  #sayUnclosed(span: Span): void {
    this.#problems.add("WL606", { start: span.start, end: span.start + 1 }, "This quote is not closed.");
  }
}
