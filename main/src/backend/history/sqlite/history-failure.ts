/** What a thread could not do, as a person is told. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { ThreadFailure } from "./history-thread.ts";

/** Anything that is not of a thread is returned as it came. */
export function historyFailure(error: unknown, directory: string): unknown {
  if (!(error instanceof ThreadFailure)) return error;
  const { kind, code, message } = error.problem;
  const cause = { cause: error };
  if (isDiskFull(error)) {
    return new Failure(
      {
        code: ErrorCode.DISK_FULL,
        message: `The disk that holds ${directory} is full: flow records are not stored now. Hosts keep theirs meanwhile.`,
        hint: "Free some space, or keep less: wardline flows stats. It goes on by itself.",
        retryable: true,
      },
      cause,
    );
  }
  if (kind === "damaged") {
    return new Failure(
      {
        code: ErrorCode.HISTORY_DAMAGED,
        message: `A file of the history of flows is damaged: ${message}.`,
        hint: "The console that collects flows moves it aside and reads the records again from the hosts that have them.",
        retryable: true,
      },
      cause,
    );
  }
  return new Failure(
    {
      code: ErrorCode.STORE_UNAVAILABLE,
      message: `The history of flows in ${directory} cannot be used: ${code || message}.`,
      hint: "Try again; if it stays, look at the console's log.",
      retryable: true,
    },
    cause,
  );
}

export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof ThreadFailure)) return false;
  return ["SQLITE_FULL", "ENOSPC", "EDQUOT", "SQLITE_IOERR_SHMSIZE"].includes(error.problem.code);
}
