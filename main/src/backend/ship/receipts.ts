/** Follows what becomes of an apply, whoever ends it: this console, another one, or the agent by itself. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Receipt, ReceiptOutcome, ReceiptSchema } from "@wardline/api/wardline/console/v1/ship";
import { ErrorDetailSchema } from "@wardline/api/wardline/v1/error";
import { GenerationSchema, type HostStatus, type PendingConfirmation } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import type { ReceiptsTable, ReceiptOutcome as StoredOutcome, StoredReceipt } from "../store/receipts-table.ts";

/** After this, an apply without an answer is not under way any more, in this process or another. */
export const SENDING_LIMIT_MS = 90_000;

const OUTCOME_TO_WIRE: Record<StoredOutcome, ReceiptOutcome> = {
  sending: ReceiptOutcome.PENDING,
  pending: ReceiptOutcome.PENDING,
  confirmed: ReceiptOutcome.CONFIRMED,
  "rolled-back": ReceiptOutcome.ROLLED_BACK,
  expired: ReceiptOutcome.EXPIRED,
  failed: ReceiptOutcome.FAILED,
};

export interface ReceiptKeeperPorts {
  readonly receipts: ReceiptsTable;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ReceiptKeeper {
  readonly #ports: ReceiptKeeperPorts;

  constructor(ports: ReceiptKeeperPorts) {
    this.#ports = ports;
  }

  /** Settles the open receipts of a host at each status, until the signal aborts. */
  async follow(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const { changes } = host.connection;
    let settled: HostStatus | null = null;
    while (!signal.aborted) {
      const seen = changes.version;
      const { status, lastHeardAtMs } = host.connection.state;
      if (status && status !== settled && lastHeardAtMs > 0) {
        settled = status;
        try {
          this.settle(host, status);
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          this.#ports.logger.warn({ code: error.code, problem: error.message }, "receipts not settled");
        }
      }
      await changes.wait(seen, 60_000, signal);
    }
  }

  settle(host: ManagedHost, status: HostStatus): void {
    for (const receipt of this.#ports.receipts.openOf(host.id)) {
      if (receipt.outcome === "pending") this.#settlePending(receipt, status);
      else this.#settleSending(host, receipt, status);
    }
  }

  /** Notes that the agent has flipped and waits. */
  setPending(receiptId: number, pending: PendingConfirmation): void {
    if (!pending.generation) return;
    const remainingMs = Number(pending.remaining?.seconds ?? 0n) * 1000 + (pending.remaining?.nanos ?? 0) / 1e6;
    this.#ports.receipts.setPending(
      receiptId,
      Number(pending.generation.number),
      toBinary(GenerationSchema, pending.generation),
      this.#ports.clock.nowMs() + remainingMs,
    );
  }

  fail(receiptId: number, failure: Failure): void {
    const wire = toBinary(ErrorDetailSchema, failureToDetail(failure));
    this.#ports.receipts.end(receiptId, "failed", this.#ports.clock.nowMs(), wire);
  }

  #settlePending(receipt: StoredReceipt, status: HostStatus): void {
    const generation = BigInt(receipt.generation);
    if (status.pending?.generation?.number === generation) return;
    // A status that was made before the flip says nothing about it.
    if (!observedAfter(status, receipt)) return;
    const nowMs = this.#ports.clock.nowMs();
    const { enforced } = status;
    // A host that follows an expiry or a domain name by itself goes on to later numbers with the same policies.
    const goesOn = enforced && enforced.number > generation && enforced.stateDigest === receipt.stateDigest;
    if (enforced?.number === generation || goesOn) this.#end(receipt, "confirmed");
    else this.#end(receipt, nowMs >= (receipt.deadlineMs ?? 0) - 500 ? "expired" : "rolled-back");
  }

  #settleSending(host: ManagedHost, receipt: StoredReceipt, status: HostStatus): void {
    const { pending, enforced } = status;
    const ours = pending?.generation;
    if (pending && ours?.stateDigest === receipt.stateDigest) {
      this.setPending(receipt.id, pending);
      return;
    }
    if (this.#ports.clock.nowMs() - receipt.createdAtMs < SENDING_LIMIT_MS) return;
    const appliedAtMs = enforced?.appliedAt ? timestampMs(enforced.appliedAt) : 0;
    if (enforced?.stateDigest === receipt.stateDigest && appliedAtMs >= receipt.createdAtMs) {
      this.#end(receipt, "confirmed");
      return;
    }
    this.fail(
      receipt.id,
      new Failure({
        code: ErrorCode.AGENT_UNREACHABLE,
        message:
          "The agent's answer never arrived. It does not enforce what was sent: it refused it, or has returned from it.",
        hint: "Plan and apply again.",
        host: hostNameOf(host),
        retryable: true,
      }),
    );
  }

  #end(receipt: StoredReceipt, outcome: StoredOutcome): void {
    if (!this.#ports.receipts.end(receipt.id, outcome, this.#ports.clock.nowMs())) return;
    this.#ports.logger.info({ host: receipt.hostId, generation: receipt.generation, outcome }, "apply ended");
  }
}

function observedAfter(status: HostStatus, receipt: StoredReceipt): boolean {
  if (!receipt.generationWire || !status.observedAt) return true;
  const { appliedAt } = fromBinary(GenerationSchema, receipt.generationWire);
  return !appliedAt || timestampMs(status.observedAt) > timestampMs(appliedAt);
}

export function toWireReceipt(receipt: StoredReceipt): Receipt {
  const wire = create(ReceiptSchema, {
    id: BigInt(receipt.id),
    hostId: receipt.hostId,
    versionId: receipt.versionId,
    time: timestampFromMs(receipt.createdAtMs),
    author: receipt.author,
    reason: receipt.reason,
    outcome: OUTCOME_TO_WIRE[receipt.outcome],
  });
  if (receipt.generationWire) wire.generation = fromBinary(GenerationSchema, receipt.generationWire);
  if (receipt.endedAtMs !== null) wire.endedAt = timestampFromMs(receipt.endedAtMs);
  if (receipt.errorWire) wire.error = fromBinary(ErrorDetailSchema, receipt.errorWire);
  return wire;
}
