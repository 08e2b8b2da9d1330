import { DIAGNOSTICS, type DiagnosticCode } from "../check/registry.ts";
import { type DiagnosticSink, replaceFix } from "../check/sink.ts";
import type { DiagnosticFix } from "../diagnostic.ts";
import type { SourceRange } from "../model.ts";
import type { LineIndex } from "./line-index.ts";
import type { Span } from "./node.ts";

/** Reports problems of one file by offsets. */
export class Reporter {
  readonly #sink: DiagnosticSink;
  readonly #lines: LineIndex;
  #errorCount = 0;

  constructor(sink: DiagnosticSink, lines: LineIndex) {
    this.#sink = sink;
    this.#lines = lines;
  }

  /**
   * How many errors were reported here, those of a place that is read twice included; a reader compares two moments to
   * know whether what it read is whole.
   */
  get errorCount(): number {
    return this.#errorCount;
  }

  get file(): string {
    return this.#lines.file;
  }

  range(span: Span): SourceRange {
    return this.#lines.range(span);
  }

  report(code: DiagnosticCode, span: Span, message: string, fix: DiagnosticFix | null = null): void {
    if (DIAGNOSTICS[code].severity === "error") this.#errorCount += 1;
    this.#sink.report(code, this.range(span), message, fix);
  }

  /** Reports a problem that writing `newText` over the span (or over `fixSpan`) would mend. */
  reportFixable(
    code: DiagnosticCode,
    span: Span,
    message: string,
    title: string,
    newText: string,
    fixSpan = span,
  ): void {
    this.report(code, span, message, replaceFix(title, this.range(fixSpan), newText));
  }

  /** The text between two offsets as it stands in the file. */
  textOf(span: Span): string {
    return this.#lines.text.slice(span.start, span.end);
  }
}
