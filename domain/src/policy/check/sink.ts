import type { Diagnostic, DiagnosticFix } from "../diagnostic.ts";
import type { SourceRange } from "../model.ts";
import { DIAGNOSTICS, type DiagnosticCode } from "./registry.ts";

export function makeDiagnostic(
  code: DiagnosticCode,
  source: SourceRange,
  message: string,
  fix: DiagnosticFix | null = null,
): Diagnostic {
  return { code, severity: DIAGNOSTICS[code].severity, message, source, fix };
}

export function replaceFix(title: string, range: SourceRange, newText: string): DiagnosticFix {
  return { title, edits: [{ range, newText }] };
}

/** Collects the diagnostics of one reading: each once, at most so many. */
export class DiagnosticSink {
  readonly #list: Diagnostic[] = [];
  /** Made with the first problem: most sinks are of one document, and most documents have none. */
  #seen: Set<string> | null = null;
  readonly #limit: number;
  #omittedCount = 0;
  #lastOmitted: Diagnostic | null = null;
  #errorCount = 0;
  #reportCount = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts every error, listed or not. */
  get errorCount(): number {
    return this.#errorCount;
  }

  /** How often something was reported, listed or not: whoever compares two moments knows whether work found anything. */
  get reportCount(): number {
    return this.#reportCount;
  }

  /** True once nothing more is listed: work that only finds more problems may stop. */
  get full(): boolean {
    return this.#omittedCount > 0;
  }

  report(code: DiagnosticCode, source: SourceRange, message: string, fix: DiagnosticFix | null = null): void {
    this.add(makeDiagnostic(code, source, message, fix));
  }

  add(diagnostic: Diagnostic): void {
    this.#reportCount += 1;
    const { code, source, message } = diagnostic;
    // The same place is read again through each alias of it.
    const identity = `${code}\n${source.file}\n${source.line}:${source.column}\n${message}`;
    this.#seen ??= new Set();
    if (!this.full && this.#seen.has(identity)) return;
    if (diagnostic.severity === "error") this.#errorCount += 1;
    if (this.#list.length >= this.#limit) {
      this.#omittedCount += 1;
      this.#lastOmitted = diagnostic;
      return;
    }
    this.#seen.add(identity);
    this.#list.push(diagnostic);
  }

  /** Adds what another sink collected, as if it had been reported here. */
  absorb(other: DiagnosticSink): void {
    const errorsBefore = this.#errorCount;
    for (const diagnostic of other.#list) this.add(diagnostic);
    if (!other.#lastOmitted) return;
    this.#omittedCount += other.#omittedCount;
    this.#lastOmitted = other.#lastOmitted;
    this.#errorCount = errorsBefore + other.#errorCount;
  }

  /** All of them in the order of the files and of their lines, a closing notice last if some are not listed. */
  finish(fileOrder: ReadonlyMap<string, number>): readonly Diagnostic[] {
    const order = (diagnostic: Diagnostic) => fileOrder.get(diagnostic.source.file) ?? -1;
    const sorted = this.#list.toSorted(
      (one, other) =>
        order(one) - order(other) ||
        one.source.line - other.source.line ||
        one.source.column - other.source.column ||
        (one.code < other.code ? -1 : one.code > other.code ? 1 : 0),
    );
    if (!this.#lastOmitted) return sorted;
    const isOne = this.#omittedCount === 1;
    const message = `At least ${this.#omittedCount} more ${isOne ? "problem is" : "problems are"} not listed.`;
    return [...sorted, makeDiagnostic("WL117", this.#lastOmitted.source, message)];
  }
}
