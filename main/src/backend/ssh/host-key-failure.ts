/** A connection that ended at the machine's key, with what a person needs to decide. Nothing was sent to it. */
import type { ShownHostKey } from "@wardline/api/wardline/console/v1/fleet";
import { Failure, type FailureDetails } from "@wardline/domain/errors";

export class HostKeyFailure extends Failure {
  readonly shown: ShownHostKey;

  constructor(details: FailureDetails, shown: ShownHostKey) {
    super(details);
    this.shown = shown;
  }
}
