/** What the pf backend refuses, in words. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

export function confirmationPending(): Failure {
  return new Failure({
    code: ErrorCode.CONFIRMATION_PENDING,
    message: "The last change waits for its confirmation; the rules before it are needed to return to.",
    hint: "Confirm it or roll it back first.",
    retryable: true,
  });
}

export function notPrepared(generation: number): Failure {
  return new Failure({
    code: ErrorCode.GENERATION_CONFLICT,
    message: `Generation ${generation} is no longer prepared. Nothing was changed.`,
    hint: "Apply again.",
    retryable: true,
  });
}

export function notObeyed(problems: readonly string[]): Failure {
  return new Failure({
    code: ErrorCode.KERNEL_REFUSED,
    message: `pf would not obey the rules. ${problems.join(" ")}`,
    hint: "Look at the main rules with pfctl -s rules.",
    retryable: true,
  });
}

export function tooLate(): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: "The time to confirm is over; the host has returned to the generation before.",
  });
}

export function nothingEarlier(): Failure {
  return new Failure({ code: ErrorCode.NOTHING_PENDING, message: "There is no earlier generation to return to." });
}

export function textUnknown(generation: number): Failure {
  return new Failure({
    code: ErrorCode.NOTHING_PENDING,
    message: `The emergency covers generation ${generation}, whose rules were lost with the agent's record.`,
    hint: "Apply the policies again.",
  });
}

export function noWayBack(generation: number): Failure {
  return new Failure({
    code: ErrorCode.KERNEL_REFUSED,
    message: `There would be no way back: the rules of generation ${generation}, which pf holds, were lost with the agent's record. Nothing was changed.`,
    hint: "Release the host, then apply.",
  });
}

export function notReleased(problems: readonly string[]): Failure {
  return new Failure({
    code: ErrorCode.KERNEL_REFUSED,
    message: `Not everything of Wardline was removed from pf: ${problems.join("; ")}`,
    hint: "Release again, or remove the rest by hand.",
    retryable: true,
  });
}
