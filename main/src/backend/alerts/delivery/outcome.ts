/** How an attempt to deliver ended, in the words of the other side. */
import type { AlertMessage } from "@wardline/domain/alerts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { replaceInvisible } from "@wardline/domain/text";

const LONGEST_DETAIL = 400;

export interface Outcome {
  /** `retry` means that another attempt may end otherwise. */
  readonly result: "accepted" | "handed-over" | "failed" | "retry";
  /** `smtp 250 2.0.0 Ok: queued as 4F…`, `HTTP 204 in 41 ms`, or why not. */
  readonly detail: string;
  /** When the other side wants to be asked again; 0 = it did not say. */
  readonly retryAfterMs: number;
  readonly failure: Failure | null;
}

export interface Attempt {
  readonly message: AlertMessage;
  readonly secret: string | null;
  readonly signal: AbortSignal;
  /** One line for each thing that was done, for a person who tries the receiver. */
  readonly say: (step: string) => void;
}

export function accepted(detail: string): Outcome {
  return { result: "accepted", detail: told(detail), retryAfterMs: 0, failure: null };
}

export function handedOver(detail: string): Outcome {
  return { result: "handed-over", detail: told(detail), retryAfterMs: 0, failure: null };
}

/** @param isFinal another attempt would end the same way */
export function failed(detail: string, isFinal: boolean, hint = "", retryAfterMs = 0): Outcome {
  const failure = new Failure({ code: ErrorCode.DELIVERY_FAILED, message: told(detail), hint, retryable: !isFinal });
  return { result: isFinal ? "failed" : "retry", detail: told(detail), retryAfterMs, failure };
}

export function refused(failure: Failure): Outcome {
  return { result: failure.retryable ? "retry" : "failed", detail: told(failure.message), retryAfterMs: 0, failure };
}

/** What strangers say: bounded, on one line, and nothing in it that hides. */
export function told(text: string): string {
  const line = replaceInvisible(text.slice(0, LONGEST_DETAIL * 4), () => " ")
    .replace(/\s+/g, " ")
    .trim();
  return line.length > LONGEST_DETAIL ? `${line.slice(0, LONGEST_DETAIL)}…` : line;
}

/** Servers may repeat in their answers what they were sent. */
export function withoutSecret(text: string, secret: string | null): string {
  if (!secret) return text;
  const forms = [secret, Buffer.from(secret).toString("base64"), Buffer.from(secret).toString("hex")];
  return forms.reduce((rest, form) => rest.replaceAll(form, "…"), text);
}
