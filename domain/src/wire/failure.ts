import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorCode, type ErrorDetail, ErrorDetailSchema } from "@wardline/api/wardline/v1/error";
import { Failure } from "../errors/index.ts";
import { fromWireDiagnostic, fromWireSourceRange, toWireDiagnostic, toWireSourceRange } from "./diagnostic.ts";

/** gRPC status for callers that know nothing of our codes (grpcurl, proxies). Everything absent is `Code.Internal`. */
const STATUS: Partial<Record<ErrorCode, Code>> = {
  [ErrorCode.INVALID_ARGUMENT]: Code.InvalidArgument,
  [ErrorCode.TOO_LARGE]: Code.ResourceExhausted,
  [ErrorCode.POLICY_INVALID]: Code.InvalidArgument,
  [ErrorCode.POLICY_UNSUPPORTED]: Code.FailedPrecondition,
  [ErrorCode.CONFIRMATION_PENDING]: Code.FailedPrecondition,
  [ErrorCode.NOTHING_PENDING]: Code.FailedPrecondition,
  [ErrorCode.GENERATION_CONFLICT]: Code.Aborted,
  [ErrorCode.REVISION_CONFLICT]: Code.Aborted,
  [ErrorCode.PLAN_STALE]: Code.Aborted,
  [ErrorCode.NOT_FOUND]: Code.NotFound,
  [ErrorCode.PERMISSION_DENIED]: Code.PermissionDenied,
  [ErrorCode.UNAUTHENTICATED]: Code.Unauthenticated,
  [ErrorCode.AGENT_UNREACHABLE]: Code.Unavailable,
  [ErrorCode.VERSION_MISMATCH]: Code.FailedPrecondition,
  [ErrorCode.DISK_FULL]: Code.ResourceExhausted,
  [ErrorCode.OBSERVE_ONLY]: Code.FailedPrecondition,
  [ErrorCode.WOULD_LOCK_OUT]: Code.FailedPrecondition,
  [ErrorCode.DEADLINE_EXCEEDED]: Code.DeadlineExceeded,
  [ErrorCode.NOT_TEXT]: Code.InvalidArgument,
  [ErrorCode.ALREADY_EXISTS]: Code.AlreadyExists,
  [ErrorCode.POLICY_TESTS_FAILED]: Code.FailedPrecondition,
  [ErrorCode.HOST_UNREACHABLE]: Code.Unavailable,
  [ErrorCode.HOST_KEY_UNKNOWN]: Code.FailedPrecondition,
  [ErrorCode.HOST_KEY_CHANGED]: Code.FailedPrecondition,
  [ErrorCode.SSH_AUTHENTICATION_FAILED]: Code.Unavailable,
  [ErrorCode.AGENT_MISSING]: Code.Unavailable,
  [ErrorCode.READ_ONLY]: Code.PermissionDenied,
  [ErrorCode.HOST_UNSUPPORTED]: Code.FailedPrecondition,
  [ErrorCode.MANIFEST_INVALID]: Code.FailedPrecondition,
  [ErrorCode.CANCELED]: Code.Canceled,
  [ErrorCode.CONFIRMATION_REQUIRED]: Code.FailedPrecondition,
  [ErrorCode.STORE_UNAVAILABLE]: Code.Unavailable,
  [ErrorCode.NOT_LEADER]: Code.Aborted,
  [ErrorCode.VERSION_CONFLICT]: Code.Aborted,
  [ErrorCode.NOT_A_MEMBER]: Code.FailedPrecondition,
  [ErrorCode.TOKEN_INVALID]: Code.Unauthenticated,
  [ErrorCode.IDENTITY_REFUSED]: Code.Unauthenticated,
  [ErrorCode.FOLLOWS_CLUSTER]: Code.FailedPrecondition,
  [ErrorCode.COMPACTED]: Code.OutOfRange,
};

export function failureToDetail(failure: Failure): ErrorDetail {
  const detail = create(ErrorDetailSchema, {
    code: failure.code,
    message: failure.message,
    hint: failure.hint,
    retryable: failure.retryable,
    host: failure.host,
    diagnostics: failure.diagnostics.map(toWireDiagnostic),
  });
  if (failure.source) detail.source = toWireSourceRange(failure.source);
  return detail;
}

export function detailToFailure(detail: ErrorDetail): Failure {
  return new Failure({
    code: detail.code,
    message: detail.message,
    hint: detail.hint,
    retryable: detail.retryable,
    host: detail.host,
    source: detail.source ? fromWireSourceRange(detail.source) : null,
    diagnostics: detail.diagnostics.map(fromWireDiagnostic),
  });
}

export function failureToConnectError(failure: Failure): ConnectError {
  return new ConnectError(failure.message, STATUS[failure.code] ?? Code.Internal, undefined, [
    { desc: ErrorDetailSchema, value: failureToDetail(failure) },
  ]);
}

/** The failure inside an error from the wire, or `null` when it carries none (a bug, or a foreign server). */
export function failureFromConnectError(error: unknown): Failure | null {
  if (!(error instanceof ConnectError)) return null;
  const detail = error.findDetails(ErrorDetailSchema)[0];
  return detail ? detailToFailure(detail) : null;
}
