/**
 * Expected failures. They are values with a code from one closed list (`wardline.v1.ErrorCode`); an exception of any
 * other class is a bug.
 */
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import type { Diagnostic } from "../policy/diagnostic.ts";
import type { SourceRange } from "../policy/model.ts";

export { ErrorCode };

export interface FailureDetails {
  readonly code: ErrorCode;
  /** What happened and why, in one or two plain sentences. */
  readonly message: string;
  /** What to do next; empty when there is nothing to do. */
  readonly hint?: string;
  /** Whether the same request can succeed later without a change by the caller. */
  readonly retryable?: boolean;
  readonly host?: string;
  readonly source?: SourceRange | null;
  readonly diagnostics?: readonly Diagnostic[];
}

/** Carries an expected failure through code that cannot return it as a value. */
export class Failure extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly retryable: boolean;
  readonly host: string;
  readonly source: SourceRange | null;
  readonly diagnostics: readonly Diagnostic[];

  constructor(details: FailureDetails, options?: ErrorOptions) {
    super(details.message, options);
    this.name = "Failure";
    this.code = details.code;
    this.hint = details.hint ?? "";
    this.retryable = details.retryable ?? false;
    this.host = details.host ?? "";
    this.source = details.source ?? null;
    this.diagnostics = details.diagnostics ?? [];
  }
}
