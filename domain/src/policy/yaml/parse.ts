import { Composer, type CST, Lexer, Parser } from "yaml";
import { convertDocument } from "./convert.ts";
import type { ReadLimits } from "./limits.ts";
import type { YamlNode } from "./node.ts";
import type { Reporter } from "./reporter.ts";
import { reportSyntaxErrors } from "./syntax-errors.ts";

const COMPOSE_OPTIONS = {
  schema: "core",
  version: "1.2",
  merge: false,
  resolveKnownTags: false,
  // The library compares every key with every other; ours is one pass (convert.ts).
  uniqueKeys: false,
  logLevel: "silent",
} as const;

export interface FullParsing {
  /** The values of the documents; those with a syntax error and empty ones are left out. */
  readonly roots: readonly YamlNode[];
  readonly documentCount: number;
  /** Lexical tokens that were read, escapes counted too. */
  readonly tokenCount: number;
  /** False when there were more tokens than allowed: then nothing of the text counts. */
  readonly isComplete: boolean;
}

/**
 * Reads YAML or JSON with the library, which knows all of it, and reports what is wrong. Never throws; the work is bounded
 * by the limits and by `maxTokens`. The text has no characters that {@link reportBadCharacters} replaces.
 */
export function parseFully(text: string, report: Reporter, limits: ReadLimits, maxTokens: number): FullParsing {
  const tokens = readTokens(text, maxTokens);
  const { tokenCount } = tokens;
  if (!tokens.list) return { roots: [], documentCount: 0, tokenCount, isComplete: false };
  const composer = new Composer(COMPOSE_OPTIONS);
  const roots: YamlNode[] = [];
  const take = (documents: ReturnType<Composer["next"]>): void => {
    for (const document of documents) {
      if (reportSyntaxErrors(document.errors, report)) continue;
      const root = convertDocument(document, report, limits);
      if (root) roots.push(root);
    }
  };
  let documentCount = 0;
  for (const token of tokens.list) {
    if (token.type === "directive") reportDirective(token, report);
    if (token.type === "document") {
      documentCount += 1;
      if (documentCount > limits.maxDocumentsPerFile) {
        reportTooManyDocuments(report, limits, token.offset);
        break;
      }
      const tooDeep = findTooDeep(token, limits.maxDepth);
      if (tooDeep) {
        reportTooDeep(report, limits, tooDeep.offset);
        continue;
      }
    }
    take(composer.next(token));
  }
  take(composer.end());
  // Errors outside any document, such as text after `...`.
  reportSyntaxErrors(composer.streamInfo().errors, report);
  return { roots, documentCount, tokenCount, isComplete: true };
}

/** The stream's documents and directives as concrete syntax; no list when there are too many tokens. */
function readTokens(
  text: string,
  maxTokens: number,
): { readonly list: CST.Token[] | null; readonly tokenCount: number } {
  const parser = new Parser();
  const list: CST.Token[] = [];
  let tokenCount = 0;
  for (const lexeme of new Lexer().lex(text)) {
    tokenCount += 1 + countEscapes(lexeme);
    if (tokenCount > maxTokens) return { list: null, tokenCount };
    for (const token of parser.next(lexeme)) list.push(token);
  }
  for (const token of parser.end()) list.push(token);
  return { list, tokenCount };
}

/** Each escape in a text may be an error of its own. */
function countEscapes(lexeme: string): number {
  if (!lexeme.startsWith('"')) return 0;
  let count = 0;
  for (let at = lexeme.indexOf("\\"); at >= 0; at = lexeme.indexOf("\\", at + 2)) count += 1;
  return count;
}

export function reportTooManyDocuments(report: Reporter, limits: ReadLimits, offset: number): void {
  const message = `The file has more than ${limits.maxDocumentsPerFile} documents; nothing from here on is read.`;
  report.report("WL111", { start: offset, end: offset + 3 }, message);
}

export function reportTooDeep(report: Reporter, limits: ReadLimits, offset: number): void {
  const message = `Values are nested more than ${limits.maxDepth} levels deep; the document is not read.`;
  report.report("WL108", { start: offset, end: offset + 1 }, message);
}

/** Directives change how the rest is read (YAML 1.1 reads `no` as false), so only the harmless one is allowed. */
function reportDirective(token: CST.Directive, report: Reporter): void {
  if (/^%YAML\s+1\.2\s*$/.test(token.source)) return;
  const span = { start: token.offset, end: token.offset + token.source.length };
  report.report("WL112", span, `The directive ${token.source.trim().slice(0, 40)} is not supported; remove the line.`);
}

/** The first token that is nested deeper than allowed. Iterative: the input decides how deep it goes. */
function findTooDeep(root: CST.Document, maxDepth: number): CST.Token | null {
  const stack: { token: CST.Token; depth: number }[] = [];
  const push = (token: CST.Token | null | undefined, depth: number) => {
    if (token && ("items" in token || token.type === "document")) stack.push({ token, depth });
  };
  push(root.value, 1);
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { token, depth } = next;
    if (depth > maxDepth) return token;
    if (!("items" in token)) continue;
    for (const item of token.items) {
      push(item.key ?? null, depth + 1);
      push(item.value, depth + 1);
    }
  }
  return null;
}
