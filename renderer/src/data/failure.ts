import { Code, ConnectError } from "@connectrpc/connect";
import {
  ErrorCode,
  type ErrorDetail,
  ErrorDetailSchema,
  type Diagnostic as WireDiagnostic,
} from "@wardline/api/wardline/v1/error";

/** A failure as a person reads it: what happened and why, what to do next, and the code to search for. */
export interface ShownFailure {
  /** Name of the code: `AGENT_UNREACHABLE`. `BACKEND_UNREACHABLE` is the one that only the renderer can know. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly diagnostics: readonly WireDiagnostic[];
}

export function failureFromDetail(detail: ErrorDetail): ShownFailure {
  return {
    code: ErrorCode[detail.code] ?? `CODE_${detail.code}`,
    message: detail.message,
    hint: detail.hint,
    retryable: detail.retryable,
    diagnostics: detail.diagnostics,
  };
}

const BACKEND_UNREACHABLE: ShownFailure = {
  code: "BACKEND_UNREACHABLE",
  message: "The console's backend does not answer. What you see is the last known state; the hosts keep enforcing.",
  hint: "It is tried again by itself. If it stays like this, start Wardline again.",
  retryable: true,
  diagnostics: [],
};

const UNAUTHENTICATED: ShownFailure = {
  code: "UNAUTHENTICATED",
  message: "This page has no valid session with the console's backend, for example because Wardline was started again.",
  hint: "Open the address that `wardline start` printed, or run `wardline start` once more.",
  retryable: false,
  diagnostics: [],
};

/** Whether an error means that the answer never came (and the request may be sent again later). */
export function isConnectionLoss(error: unknown): boolean {
  return shownFailure(error).code === "BACKEND_UNREACHABLE";
}

/** Any thrown value as a failure. A detail of ours wins; a transport error is named; the rest is an internal error. */
export function shownFailure(error: unknown): ShownFailure {
  const connectError = ConnectError.from(error);
  const detail = connectError.findDetails(ErrorDetailSchema)[0];
  if (detail) return failureFromDetail(detail);
  if (connectError.code === Code.Unauthenticated) return UNAUTHENTICATED;
  const isTransport =
    connectError.code === Code.Unavailable ||
    (connectError.code === Code.Unknown && /fetch|network|load failed|aborted/i.test(connectError.rawMessage));
  if (isTransport) return BACKEND_UNREACHABLE;
  return {
    code: `INTERNAL (${Code[connectError.code] ?? connectError.code})`,
    message: `The console's backend answered in a way that the window does not understand: ${connectError.rawMessage}`,
    hint: "Try again. If it happens twice it is a defect; the log of the backend has the details.",
    retryable: true,
    diagnostics: [],
  };
}

/** The closed-list code inside an error, when it carries one. */
export function errorCodeOf(error: unknown): ErrorCode {
  return ConnectError.from(error).findDetails(ErrorDetailSchema)[0]?.code ?? ErrorCode.UNSPECIFIED;
}
