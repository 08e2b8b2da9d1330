import { Composer, type CST, Parser } from "yaml";
import { convertDocument } from "./convert.ts";
import type { ReadLimits } from "./limits.ts";
import type { YamlNode } from "./node.ts";
import type { Reporter } from "./reporter.ts";
import { reportBadCharacters, reportSyntaxErrors } from "./syntax-errors.ts";

const COMPOSE_OPTIONS = {
  schema: "core",
  version: "1.2",
  merge: false,
  resolveKnownTags: false,
  // The library compares every key with every other; ours is one pass (convert.ts).
  uniqueKeys: false,
  logLevel: "silent",
} as const;

/**
 * The documents of a YAML or JSON text, in order. Documents with a syntax error are reported and left out, empty ones
 * are left out. Never throws; the work is bounded by the limits.
 */
export function parseYaml(text: string, report: Reporter, limits: ReadLimits): readonly YamlNode[] {
  const clean = reportBadCharacters(text, report);
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
  for (const token of new Parser().parse(clean)) {
    if (token.type === "directive") reportDirective(token, report);
    if (token.type === "document") {
      documentCount += 1;
      if (documentCount > limits.maxDocumentsPerFile) {
        const message = `The file has more than ${limits.maxDocumentsPerFile} documents; nothing from here on is read.`;
        report.report("WL111", { start: token.offset, end: token.offset + 3 }, message);
        break;
      }
      const tooDeep = findTooDeep(token, limits.maxDepth);
      if (tooDeep) {
        const message = `Values are nested more than ${limits.maxDepth} levels deep; the document is not read.`;
        report.report("WL108", { start: tooDeep.offset, end: tooDeep.offset + 1 }, message);
        continue;
      }
    }
    take(composer.next(token));
  }
  take(composer.end());
  // Errors outside any document, such as text after `...`.
  reportSyntaxErrors(composer.streamInfo().errors, report);
  return roots;
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
