/** The three things that change what a host enforces, each with its receipt: apply, confirm, roll back. */
import { fromBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ApplyTimings } from "@wardline/api/wardline/agent/v1/agent";
import { type Generation, GenerationSchema, type PendingConfirmation } from "@wardline/api/wardline/v1/host";
import type { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import type { AgentClient } from "../agent/dialer.ts";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { ReceiptsTable } from "../store/receipts-table.ts";
import type { PolicyText } from "./desired-state.ts";
import { type ReceiptKeeper, SENDING_LIMIT_MS } from "./receipts.ts";

const APPLY_TIMEOUT_MS = SENDING_LIMIT_MS - 10_000;
const CALL_TIMEOUT_MS = 10_000;

export interface HostChangesPorts {
  readonly receipts: ReceiptsTable;
  readonly keeper: ReceiptKeeper;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly userName: string;
}

export interface ChangeRequest {
  readonly files: readonly PolicyText[];
  readonly mode: EnforcementMode;
  readonly programDigest: string;
  readonly stateDigest: string;
  readonly baseGeneration: bigint;
  readonly confirmWithinMs: number;
  readonly reason: string;
  readonly versionId: string;
  /** 80 s unless given. */
  readonly timeoutMs?: number;
}

export type ApplyOutcome =
  | { readonly kind: "pending"; readonly pending: PendingConfirmation; readonly timings: ApplyTimings | null }
  | { readonly kind: "failed"; readonly failure: Failure }
  /** It was sent and no answer came: the host may have taken it. */
  | { readonly kind: "unknown"; readonly failure: Failure };

export class HostChanges {
  readonly #ports: HostChangesPorts;

  constructor(ports: HostChangesPorts) {
    this.#ports = ports;
  }

  /** @throws Failure when the receipt cannot be written: then nothing was sent */
  async apply(host: ManagedHost, request: ChangeRequest): Promise<ApplyOutcome> {
    const { receipts, clock, userName: author } = this.#ports;
    const { files, mode, programDigest, stateDigest, baseGeneration, confirmWithinMs, reason, versionId } = request;
    const receiptId = receipts.open(
      { hostId: host.id, versionId, stateDigest, programDigest, author, reason },
      clock.nowMs(),
    );
    let sent = false;
    try {
      const client = await host.connection.client();
      sent = true;
      const confirmWithin = durationFromMs(confirmWithinMs);
      const { pending, timings } = await client.apply(
        {
          state: { files: [...files] },
          mode,
          expectedProgramDigest: programDigest,
          baseGeneration,
          confirmWithin,
          reason,
        },
        { timeoutMs: Math.min(APPLY_TIMEOUT_MS, request.timeoutMs ?? APPLY_TIMEOUT_MS) },
      );
      if (!pending) throw new Error("the agent answered an apply without a pending confirmation");
      this.#tryWrite(host, () => this.#ports.keeper.setPending(receiptId, pending));
      return { kind: "pending", pending, timings: timings ?? null };
    } catch (error) {
      const failure = sent ? applyFailure(error, hostNameOf(host)) : agentFailure(error, hostNameOf(host));
      const isUnknown = sent && isUnanswered(failure);
      // Without an answer nobody knows yet: the status of the host will tell, see ReceiptKeeper.
      if (!isUnknown) this.#tryWrite(host, () => this.#ports.keeper.fail(receiptId, failure));
      this.#ports.logger.warn({ host: host.id, code: failure.code, problem: failure.message }, "apply failed");
      return { kind: isUnknown ? "unknown" : "failed", failure };
    }
  }

  /** Keeps a pending generation, over a connection opened now: it proves that the host can still be reached. @throws Failure */
  confirm(host: ManagedHost, generation: bigint): Promise<Generation | undefined> {
    const programDigest = this.#pendingDigest(host, generation);
    return host.connection.withFreshClient((client) => this.confirmOver(client, host, generation, programDigest));
  }

  /** The same over a connection that the caller has opened since the flip. */
  async confirmOver(client: AgentClient, host: ManagedHost, generation: bigint, programDigest: string) {
    const answer = await client.confirm({ generation, programDigest }, { timeoutMs: CALL_TIMEOUT_MS });
    this.#tryWrite(host, () => this.#endReceipt(host, generation, "confirmed"));
    return answer.generation;
  }

  /** Returns to the generation before, at once: the pending one, or one that was confirmed. @throws Failure */
  async rollback(host: ManagedHost, generation: bigint, reason: string): Promise<Generation | undefined> {
    const answer = await host.connection.call((client) =>
      client.rollback({ generation, reason }, { timeoutMs: CALL_TIMEOUT_MS }),
    );
    this.#tryWrite(host, () => {
      this.#endReceipt(host, generation, "rolled-back");
      this.#ports.receipts.markRolledBack(host.id, Number(generation), this.#ports.clock.nowMs());
    });
    return answer.generation;
  }

  /** The host has changed already: a full disk here must not hide that from the person, who has to act in time. */
  #tryWrite(host: ManagedHost, write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#ports.logger.error({ host: host.id, code: error.code, problem: error.message }, "receipt not written");
    }
  }

  #pendingDigest(host: ManagedHost, generation: bigint): string {
    const receipt = this.#ports.receipts.openOf(host.id).find((open) => BigInt(open.generation) === generation);
    // The agent's own digest: it has put in the addresses of domain names, which the plan does not know.
    if (receipt?.generationWire) return fromBinary(GenerationSchema, receipt.generationWire).programDigest;
    if (receipt) return receipt.programDigest;
    const pending = host.connection.state.status?.pending?.generation;
    if (pending?.number === generation) return pending.programDigest;
    throw new Failure({
      code: pending ? ErrorCode.GENERATION_CONFLICT : ErrorCode.NOTHING_PENDING,
      message: pending
        ? `${hostNameOf(host)} waits for confirmation of generation ${pending.number}, not of ${generation}.`
        : `Nothing waits for confirmation on ${hostNameOf(host)}.`,
      hint: pending
        ? "Somebody else has applied: look at what is pending."
        : "It was confirmed or rolled back already.",
      host: hostNameOf(host),
    });
  }

  #endReceipt(host: ManagedHost, generation: bigint, outcome: "confirmed" | "rolled-back"): void {
    for (const receipt of this.#ports.receipts.openOf(host.id)) {
      if (BigInt(receipt.generation) === generation) {
        this.#ports.receipts.end(receipt.id, outcome, this.#ports.clock.nowMs());
      }
    }
  }
}

export function isUnanswered({ code }: Failure): boolean {
  return code === ErrorCode.AGENT_UNREACHABLE || code === ErrorCode.DEADLINE_EXCEEDED;
}

function applyFailure(error: unknown, hostName: string): Failure {
  const failure = agentFailure(error, hostName);
  if (!isUnanswered(failure)) return failure;
  return new Failure(
    {
      code: failure.code,
      message: `${failure.message} Whether ${hostName} took the change is not known yet.`,
      hint: "If it did, it returns by itself when nobody confirms. The history will show how it ended.",
      host: hostName,
      retryable: true,
    },
    { cause: error },
  );
}
