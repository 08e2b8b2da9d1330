/** Why a change of the desired set is refused, in the words that a person reads. Nothing was written then. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { DesiredHead, DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Diagnostic } from "@wardline/domain/policy";

/** Of a caller, in a message: short, and nothing in it that a terminal would obey. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

export function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}

export function tooLarge(message: string): Failure {
  return new Failure({ code: ErrorCode.TOO_LARGE, message, hint: "Split it and write the parts one after the other." });
}

export function notFound(what: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.NOT_FOUND, message: what, hint });
}

export function notLeader(leader: string | null): Failure {
  return new Failure({
    code: ErrorCode.NOT_LEADER,
    message: leader === null ? "Nobody leads the cluster at the moment." : `This host does not lead; ${leader} does.`,
    hint: leader === null ? "Try again in a few seconds." : `Write on ${leader}.`,
    retryable: leader === null,
  });
}

export function versionConflict(key: string, base: bigint, newest: DocumentVersion | undefined): Failure {
  const hint = "Read the newest version, bring both changes together and write again.";
  const of = (version: bigint) => (version === 0n ? "as a new document" : `from version ${version}`);
  if (!newest) {
    const message = `${key} does not exist, and the change was made ${of(base)}.`;
    return new Failure({ code: ErrorCode.VERSION_CONFLICT, message, hint });
  }
  const { version, author, deleted, writtenAt } = newest;
  const when = writtenAt ? ` at ${timestampDate(writtenAt).toISOString()}` : "";
  const what = deleted ? "deleted" : "changed";
  const message = `${key} was ${what} by ${author || "somebody"}${when}: version ${version} is the newest, and the change was made ${of(base)}.`;
  return new Failure({ code: ErrorCode.VERSION_CONFLICT, message, hint });
}

export function policyErrors(diagnostics: readonly Diagnostic[]): Failure {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const documents = [...new Set(errors.map(({ source }) => source.file))];
  const named = documents.slice(0, 5).join(", ") + (documents.length > 5 ? " and more" : "");
  return new Failure({
    code: ErrorCode.POLICY_INVALID,
    message: `The set would have ${errors.length} ${errors.length === 1 ? "error" : "errors"}, in ${named}. Nothing was written.`,
    hint: "Correct the places that are marked and write again.",
    source: errors[0]?.source ?? null,
    diagnostics,
  });
}

export function setPending({ setNumber, author }: DesiredHead): Failure {
  return new Failure({
    code: ErrorCode.CONFIRMATION_PENDING,
    message: `Set ${setNumber} of ${author || "somebody"} waits for confirmation.`,
    hint: "Confirm it or take it back first.",
    retryable: true,
  });
}

export function nothingPending(message: string): Failure {
  const hint = "Look which set is the newest and what became of the one that is meant.";
  return new Failure({ code: ErrorCode.NOTHING_PENDING, message, hint });
}

export function otherSet(message: string): Failure {
  return new Failure({ code: ErrorCode.VERSION_CONFLICT, message, hint: "Look at the newest set and decide anew." });
}

export function requestReused(id: string): Failure {
  return new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `The request ${shown(id)} was made before with another content.`,
    hint: "Give each write an id of its own.",
  });
}

/** The store did not say whether it took the write. */
export function outcomeUnknown(cause: unknown, canRepeat: boolean): Failure {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Failure(
    {
      code: ErrorCode.STORE_UNAVAILABLE,
      message: `The store did not answer, so the set may have been written or not: ${reason}`,
      hint: canRepeat ? "Repeat the write with the same request id." : "Look at the newest set before writing again.",
      retryable: canRepeat,
    },
    { cause },
  );
}
