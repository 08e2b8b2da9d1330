import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentDialer, AgentLink, DialOptions } from "./dialer.ts";

/** Safe mode: an agent is not contacted before a person has asked for it once; from then on as always. */
export class SafeModeDialer implements AgentDialer {
  readonly #inner: AgentDialer;
  #wasAsked = false;

  constructor(inner: AgentDialer) {
    this.#inner = inner;
  }

  get address(): string {
    return this.#inner.address;
  }

  dial(options: DialOptions = {}): Promise<AgentLink> {
    this.#wasAsked ||= options.isInteractive ?? false;
    if (this.#wasAsked) return this.#inner.dial(options);
    return Promise.reject(
      new Failure({
        code: ErrorCode.AGENT_UNREACHABLE,
        message: "Safe mode: this agent has not been contacted.",
        hint: "Connect to the host when you want to, or start without --safe-mode.",
      }),
    );
  }
}
