/** Every reason for which a change of generation is refused, in the words that a person reads. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { BackendName } from "../enforce/enforcer.ts";
import type { ApplyRequest } from "./controllerTypes.ts";
import { CONFIRM_WITHIN_MAX_MS, CONFIRM_WITHIN_MIN_MS } from "./limits.ts";
import type { GenerationRecord } from "./records.ts";

export function confirmationPending(generation: number): Failure {
  return new Failure({
    code: ErrorCode.CONFIRMATION_PENDING,
    message: `Generation ${generation} waits for confirmation.`,
    hint: "Confirm it or roll it back first.",
    retryable: true,
  });
}

export function liftWhilePending(generation: number): Failure {
  return new Failure({
    code: ErrorCode.CONFIRMATION_PENDING,
    message: `Generation ${generation} waits for confirmation; a quarantine is lifted by tables that have no place before that.`,
    hint: "Confirm it or roll it back first. (To quarantine somebody does not have to wait.)",
    retryable: true,
  });
}

export function cannotCutOff(): Failure {
  return new Failure({
    code: ErrorCode.OBSERVE_ONLY,
    message: "This host only observes: it has nothing to cut anybody off with. Nothing was changed.",
    hint: "Start the agent as root on Linux 5.15 or newer.",
  });
}

export function nothingPending(): Failure {
  return new Failure({
    code: ErrorCode.NOTHING_PENDING,
    message: "Nothing waits for confirmation: it was confirmed, rolled back, or its time ran out.",
    hint: "Look at the host's status to see which generation is enforced.",
  });
}

export function otherGeneration(actual: number, named: number): Failure {
  return new Failure({
    code: ErrorCode.GENERATION_CONFLICT,
    message: `Generation ${actual} is enforced, not ${named}: somebody else changed it.`,
    hint: "Look at what is enforced now and plan again.",
  });
}

export function otherProgram(): Failure {
  return new Failure({
    code: ErrorCode.PLAN_STALE,
    message: "This host compiles the policies to other tables than the plan shows. Nothing was changed.",
    hint: "Plan again; if this repeats, console and agent are of different versions.",
  });
}

export function oldConnection(): Failure {
  return new Failure({
    code: ErrorCode.PERMISSION_DENIED,
    message: "This connection was opened before the change: that it still works proves nothing about the new policies.",
    hint: "Open a new connection to the host and confirm on that one.",
    retryable: true,
  });
}

export function tooLate(): Failure {
  return new Failure({
    code: ErrorCode.NOTHING_PENDING,
    message: "The time to confirm has run out; the host is returning to the generation before.",
    hint: "Apply again, with more time.",
  });
}

export function nothingEarlier(generation: number): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `The host keeps nothing earlier than generation ${generation}.`,
    hint: "Apply an earlier version of the policies instead.",
  });
}

export function damaged(generation: number, cause: Error): Failure {
  return new Failure(
    {
      code: ErrorCode.INTERNAL,
      message: `The record of generation ${generation} is damaged (${cause.message}).`,
      hint: "Apply the policies again to repair this.",
    },
    { cause },
  );
}

export function observeOnly(): Failure {
  return new Failure({
    code: ErrorCode.OBSERVE_ONLY,
    message: "This host only observes: it has nothing to enforce with, so enforcing policies would be a false promise.",
    hint: "Start the agent as root on Linux 5.15 or newer, or apply in observe mode.",
  });
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

/** Throws what is wrong with an apply before anything is read or compiled. */
export function checkApply(request: ApplyRequest, enforced: number, backend: BackendName): void {
  const { confirmWithinMs, baseGeneration, expectedProgramDigest } = request;
  if (!(confirmWithinMs >= CONFIRM_WITHIN_MIN_MS && confirmWithinMs <= CONFIRM_WITHIN_MAX_MS)) {
    throw invalid("The time to confirm must be between 5 seconds and 1 hour.");
  }
  if (expectedProgramDigest !== null && !/^[0-9a-f]{64}$/.test(expectedProgramDigest)) {
    throw invalid("The digest that the plan showed is missing or malformed: check first, then apply.");
  }
  if (baseGeneration !== null && baseGeneration !== enforced) throw otherGeneration(enforced, baseGeneration);
  if (backend === "observe" && request.mode === "enforce") {
    throw observeOnly();
  }
}

export function checkConfirm(pending: GenerationRecord, generation: number, programDigest: string): void {
  if (pending.number !== generation || pending.programDigest !== programDigest) {
    throw new Failure({
      code: ErrorCode.GENERATION_CONFLICT,
      message: `Generation ${pending.number} waits for confirmation, not the one named.`,
      hint: "Look at what is pending: somebody else may have changed it.",
    });
  }
}

/** The answer to an earlier confirmation may have been lost on its way. */
export function isConfirmedAlready(enforced: GenerationRecord, generation: number, programDigest: string): boolean {
  return generation !== 0 && enforced.number === generation && enforced.programDigest === programDigest;
}
