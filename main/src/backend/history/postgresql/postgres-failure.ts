/** What the database could not do, as a person is told. Connection strings and passwords are never part of it. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

const DISK_FULL = "53100";
const CANCELLED = "57014";

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

export function isCancelled(error: unknown): boolean {
  return codeOf(error) === CANCELLED;
}

/** @param where host and database, without user and password */
export function postgresFailure(error: unknown, where: string): unknown {
  if (error instanceof Failure || !(error instanceof Error)) return error;
  const code = codeOf(error);
  if (code === DISK_FULL) {
    return new Failure(
      {
        code: ErrorCode.DISK_FULL,
        message: `The disk of the database ${where} is full: flow records are not stored now. Hosts keep theirs meanwhile.`,
        hint: "Free some space there, or keep less: wardline flows stats. It goes on by itself.",
        retryable: true,
      },
      { cause: error },
    );
  }
  return new Failure(
    {
      code: ErrorCode.STORE_UNAVAILABLE,
      message: `The history of flows in ${where} cannot be used: ${code ? `${code}, ` : ""}${error.message.slice(0, 300)}`,
      hint: "Is the database there, and may this user use it? Hosts keep their records meanwhile.",
      retryable: true,
    },
    { cause: error },
  );
}
