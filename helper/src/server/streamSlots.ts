/** How many streams are open on this agent, over all of its services: each holds memory for a reader that may be slow. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

const MAX_STREAMS = 64;

export class StreamSlots {
  #open = 0;

  /** Returns what gives the slot back. Throws `Failure` TOO_LARGE when all are taken. */
  enter(): () => void {
    if (this.#open >= MAX_STREAMS) {
      throw new Failure({
        code: ErrorCode.TOO_LARGE,
        message: `${MAX_STREAMS} streams are open on this agent: that is the limit.`,
        hint: "Close other consoles of this host.",
        retryable: true,
      });
    }
    this.#open += 1;
    let isOpen = true;
    return () => {
      if (isOpen) this.#open -= 1;
      isOpen = false;
    };
  }
}
