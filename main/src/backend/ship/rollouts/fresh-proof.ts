/**
 * A connection that was opened after the flip and answered. It is held until all hosts of the stage have one, and the
 * host is confirmed over it: one login proves that the host can be reached and keeps the change.
 */
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentClient } from "../../agent/dialer.ts";
import { hostNameOf, type ManagedHost } from "../../hosts/managed-host.ts";

type Use = ((client: AgentClient) => Promise<void>) | null;

export class FreshProof {
  readonly status: HostStatus;
  readonly #decide: (use: Use) => void;
  readonly #ended: Promise<void>;

  private constructor(status: HostStatus, decide: (use: Use) => void, ended: Promise<void>) {
    this.status = status;
    this.#decide = decide;
    this.#ended = ended;
  }

  /** @throws Failure when the host cannot be reached anew within the time */
  static async open(host: ManagedHost, limitMs: number): Promise<FreshProof> {
    const timeoutMs = Math.ceil(limitMs);
    const decision = Promise.withResolvers<Use>();
    const first = Promise.withResolvers<HostStatus>();
    const ended = host.connection.withFreshClient(async (client) => {
      const { status } = await client.getStatus({}, { timeoutMs });
      if (!status) throw new Failure({ code: ErrorCode.INTERNAL, message: "The host answered without its status." });
      first.resolve(status);
      await (await decision.promise)?.(client);
    });
    // Whoever waits for `first` or uses the proof hears of it; nobody else does.
    ended.catch((error: unknown) => first.reject(error));
    const timer = setTimeout(() => {
      first.reject(tooSlow(host, timeoutMs));
      decision.resolve(null);
    }, timeoutMs);
    try {
      return new FreshProof(await first.promise, decision.resolve, ended);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Once. Closes the connection afterwards. @throws what `use` throws, and Failure when the connection was lost */
  async use<Result>(body: (client: AgentClient) => Promise<Result>): Promise<Result> {
    const outcome = Promise.withResolvers<Result>();
    this.#decide(async (client) => outcome.resolve(await body(client)));
    this.#ended.catch(outcome.reject);
    return outcome.promise;
  }

  abandon(): void {
    this.#decide(null);
  }
}

function tooSlow(host: ManagedHost, timeoutMs: number): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: `${hostNameOf(host)} did not answer over a new connection within ${(timeoutMs / 1000).toFixed(1)} s.`,
    host: hostNameOf(host),
    retryable: true,
  });
}
