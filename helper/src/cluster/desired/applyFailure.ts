/** What a host makes of a set that it could not put in force. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

/** `refused`: no second try of this set. `later`: something stands in the way that goes by itself. `odd`: tried again, slowly. */
export type Verdict = "refused" | "later" | "odd";

/** The same set fails in the same way each time. */
const OF_THE_SET = new Set([
  ErrorCode.POLICY_INVALID,
  ErrorCode.POLICY_UNSUPPORTED,
  ErrorCode.TOO_LARGE,
  ErrorCode.OBSERVE_ONLY,
  ErrorCode.VERSION_MISMATCH,
  ErrorCode.WOULD_LOCK_OUT,
  ErrorCode.INVALID_ARGUMENT,
]);

const OF_THE_MOMENT = new Set([
  ErrorCode.CONFIRMATION_PENDING,
  ErrorCode.NOTHING_PENDING,
  ErrorCode.GENERATION_CONFLICT,
  ErrorCode.DISK_FULL,
  ErrorCode.STORE_UNAVAILABLE,
  ErrorCode.DEADLINE_EXCEEDED,
  ErrorCode.CANCELED,
]);

export function judge(failure: Failure): Verdict {
  if (OF_THE_SET.has(failure.code)) return "refused";
  return failure.retryable || OF_THE_MOMENT.has(failure.code) ? "later" : "odd";
}

export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Failure({ code: ErrorCode.INTERNAL, message }, { cause: error });
}

export function lockedOut(setNumber: bigint): Failure {
  return new Failure({
    code: ErrorCode.WOULD_LOCK_OUT,
    message: `Under set ${setNumber} this host cannot reach the cluster's store. It returned to what it enforced before.`,
    hint: "Let the host reach the store and its peers, and write the policies again.",
  });
}

export function noProof(setNumber: bigint): Failure {
  return new Failure({
    code: ErrorCode.STORE_UNAVAILABLE,
    message: `The store could not be reached after set ${setNumber} was put in force, nor after it was taken back. It is tried again.`,
    retryable: true,
  });
}

export function leftByPerson(setNumber: bigint): Failure {
  return new Failure({
    code: ErrorCode.CANCELED,
    message: `Somebody on this host left set ${setNumber}. It stays so until the cluster has a newer set.`,
    hint: "Write the policies again, or roll the cluster back.",
  });
}

export function notConfirmed(setNumber: bigint): Failure {
  return new Failure({
    code: ErrorCode.NOTHING_PENDING,
    message: `Set ${setNumber} was not confirmed while this host waited; it returned to what it enforced before.`,
  });
}
