/** One document's text to its value: by the quick reader when it can, by the library when it must, within the limits. */
import type { ReadLimits } from "./limits.ts";
import type { YamlNode } from "./node.ts";
import { parseFully, reportTooDeep } from "./parse.ts";
import { TOO_DEEP } from "./quick/cursor.ts";
import { type QuickReading, readQuickly } from "./quick/read.ts";
import type { Reporter } from "./reporter.ts";
import type { DocumentText } from "./split.ts";

export interface YamlReading {
  /** More than one only for a stream that cannot be split. */
  readonly roots: readonly YamlNode[];
  readonly documentCount: number;
  /** Lexical tokens that the full parser took; 0 when the quick reader was enough. */
  readonly fullParserTokens: number;
  /** True when the full parser was needed and not allowed. */
  readonly isRefused: boolean;
}

/**
 * Reads the text of one document, or of a whole stream when `isStream`, and reports what is wrong with it. Never throws.
 * Given `maxFullParserTokens` and the rest, the result depends on the text only.
 */
export function readYaml(
  { text, stream, offset }: DocumentText,
  report: Reporter,
  limits: ReadLimits,
  maxFullParserTokens: number,
  isStream: boolean,
): YamlReading {
  const quick: QuickReading = isStream
    ? { kind: "declined", offset: 0, reason: "directives or end markers" }
    : readQuickly(stream, limits, offset, offset + text.length);
  if (quick.kind === "read") {
    const roots = quick.root ? [quick.root] : [];
    return { roots, documentCount: quick.hasDocument ? 1 : 0, fullParserTokens: 0, isRefused: false };
  }
  const full = parseFully(text, report, limits, maxFullParserTokens);
  if (full.isComplete) {
    return {
      roots: full.roots,
      documentCount: full.documentCount,
      fullParserTokens: full.tokenCount,
      isRefused: false,
    };
  }
  const refused = { roots: [], documentCount: 1, fullParserTokens: full.tokenCount, isRefused: true };
  if (quick.reason === TOO_DEEP) {
    reportTooDeep(report, limits, quick.offset);
    return refused;
  }
  const place = { start: quick.offset, end: quick.offset };
  const message = `Here stands something that only the full YAML parser reads: ${quick.reason}. It is given at most ${limits.maxFullParserTokensPerFile} tokens of a file, and the document would be over that; it is not read.`;
  report.report("WL119", place, message);
  return refused;
}
