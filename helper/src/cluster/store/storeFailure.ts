import { ErrorCode, Failure, type FailureDetails } from "@wardline/domain/errors";

/** What every failure of a store is. */
export class StoreFailure extends Failure {
  /** A write that failed may be in the store all the same: look before it is tried again. `false` = surely not. */
  readonly mayHaveHappened: boolean;

  constructor(details: FailureDetails & { readonly mayHaveHappened?: boolean }, options?: ErrorOptions) {
    super(details, options);
    this.name = "StoreFailure";
    this.mayHaveHappened = details.mayHaveHappened ?? false;
  }
}

export function invalid(message: string): StoreFailure {
  return new StoreFailure({ code: ErrorCode.INVALID_ARGUMENT, message });
}

export function canceled(mayHaveHappened = false): StoreFailure {
  return new StoreFailure({ code: ErrorCode.CANCELED, message: "The call was given up.", mayHaveHappened });
}

export function compacted(message: string, options?: ErrorOptions): StoreFailure {
  const hint = "Take a snapshot and watch from there.";
  return new StoreFailure({ code: ErrorCode.COMPACTED, message, hint }, options);
}
