import { create, fromBinary } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/ship";
import { type Generation, GenerationSchema } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { agentFailure } from "../agent/agent-failure.ts";
import { type HostRegistry, hostNameOf, type ManagedHost } from "../hosts/managed-host.ts";
import type { Workspace } from "../policies/workspace.ts";
import type { Clock, Logger } from "../ports.ts";
import { boundedReason, type Guard, pageSize } from "../rpc/guard.ts";
import type { ReceiptsTable } from "../store/receipts-table.ts";
import { type PlannedHost, Planner, type PlannerPorts, type StoredPlan } from "./planner.ts";
import { reasonWithOverride } from "./policy-tests.ts";
import { ReceiptKeeper, SENDING_LIMIT_MS, toWireReceipt } from "./receipts.ts";

const USUAL_CONFIRM_MS = 60_000;
const SHORTEST_CONFIRM_MS = 5_000;
const LONGEST_CONFIRM_MS = 3_600_000;
const APPLY_TIMEOUT_MS = SENDING_LIMIT_MS - 10_000;
const CALL_TIMEOUT_MS = 10_000;
const MAX_RECEIPTS = 1000;

export interface ShipServicePorts extends PlannerPorts {
  readonly registry: HostRegistry;
  readonly workspace: Workspace;
  readonly receipts: ReceiptsTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly userName: string;
}

export class ShipServiceImpl {
  readonly keeper: ReceiptKeeper;
  readonly #ports: ShipServicePorts;
  readonly #planner: Planner;

  constructor(ports: ShipServicePorts) {
    this.#ports = ports;
    this.#planner = new Planner(ports);
    this.keeper = new ReceiptKeeper(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.ShipService> {
    return {
      plan: guard.unary((request: wire.PlanRequest) => this.#planner.plan(request.hostIds)),
      apply: guard.stream((request: wire.ApplyRequest) => this.apply(request)),
      confirm: guard.unary((request: wire.ConfirmRequest) => this.confirm(request)),
      rollback: guard.unary((request: wire.RollbackRequest) => this.rollback(request)),
      listReceipts: guard.unary((request: wire.ListReceiptsRequest) => {
        const receipts = this.#ports.receipts.list(pageSize(request.limit, 100, MAX_RECEIPTS));
        return create(wire.ListReceiptsResponseSchema, { receipts: receipts.map(toWireReceipt) });
      }),
    };
  }

  /**
   * Sends a plan to its hosts. One message when it is sent and one with how it ended, for each host; a host that fails
   * does not stop the others. An apply that was sent goes on when the reader of this stream leaves.
   * @throws Failure PLAN_STALE, POLICY_TESTS_FAILED, INVALID_ARGUMENT: nothing was sent
   */
  async *apply(request: wire.ApplyRequest): AsyncGenerator<wire.ApplyResponse> {
    const confirmWithinMs = confirmationTime(request.confirmWithin);
    if (request.mode === EnforcementMode.UNSPECIFIED) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "The request does not say whether to observe or to enforce.",
      });
    }
    const plan = this.#planner.take(request.planId);
    const reason = reasonWithOverride(request.reason, request.overrideFailedTestsReason, plan.failedTestCount);
    const version = this.#ports.workspace.recordVersion(this.#ports.userName, reason || "Applied");
    for (const planned of plan.hosts) {
      yield create(wire.ApplyResponseSchema, { hostId: planned.host.id, step: wire.ApplyStep.SENDING });
      yield await this.#applyTo(planned, plan, { ...request, reason }, confirmWithinMs, version.id);
    }
  }

  /** Keeps a pending generation, over a connection opened now: it proves that the host can still be reached. */
  async confirm(request: wire.ConfirmRequest) {
    const host = this.#ports.registry.byId(request.hostId);
    const programDigest = this.#pendingDigest(host, request.generation);
    const answer = await host.connection.withFreshClient((client) =>
      client.confirm({ generation: request.generation, programDigest }, { timeoutMs: CALL_TIMEOUT_MS }),
    );
    this.#tryWrite(host, () => this.#endReceipt(host, request.generation, "confirmed"));
    return create(wire.ConfirmResponseSchema, withGeneration(answer.generation));
  }

  /** Returns to the generation before, at once: the pending one, or one that was confirmed. */
  async rollback(request: wire.RollbackRequest) {
    const host = this.#ports.registry.byId(request.hostId);
    const reason = boundedReason(request.reason);
    const answer = await host.connection.call((client) =>
      client.rollback({ generation: request.generation, reason }, { timeoutMs: CALL_TIMEOUT_MS }),
    );
    this.#tryWrite(host, () => {
      this.#endReceipt(host, request.generation, "rolled-back");
      this.#ports.receipts.markRolledBack(host.id, Number(request.generation), this.#ports.clock.nowMs());
    });
    return create(wire.RollbackResponseSchema, withGeneration(answer.generation));
  }

  async #applyTo(
    planned: PlannedHost,
    plan: StoredPlan,
    request: wire.ApplyRequest,
    confirmWithinMs: number,
    versionId: string,
  ): Promise<wire.ApplyResponse> {
    const { host, programDigest, stateDigest, baseGeneration } = planned;
    const { receipts, clock, userName: author } = this.#ports;
    const receiptId = receipts.open(
      { hostId: host.id, versionId, stateDigest, programDigest, author, reason: request.reason },
      clock.nowMs(),
    );
    let sent = false;
    try {
      const client = await host.connection.client();
      sent = true;
      const answer = await client.apply(
        {
          state: { files: [...plan.files] },
          mode: request.mode,
          expectedProgramDigest: programDigest,
          baseGeneration,
          confirmWithin: durationFromMs(confirmWithinMs),
          reason: request.reason,
        },
        { timeoutMs: APPLY_TIMEOUT_MS },
      );
      if (!answer.pending) throw new Error("the agent answered an apply without a pending confirmation");
      const { pending, timings } = answer;
      this.#tryWrite(host, () => this.keeper.setPending(receiptId, pending));
      const done = create(wire.ApplyResponseSchema, { hostId: host.id, step: wire.ApplyStep.PENDING, pending });
      if (timings) done.timings = timings;
      return done;
    } catch (error) {
      const failure = sent ? applyFailure(error, hostNameOf(host)) : agentFailure(error, hostNameOf(host));
      // Without an answer nobody knows yet: the status of the host will tell, see ReceiptKeeper.
      if (!sent || !isUnanswered(failure)) this.#tryWrite(host, () => this.keeper.fail(receiptId, failure));
      this.#ports.logger.warn({ host: host.id, code: failure.code, problem: failure.message }, "apply failed");
      return create(wire.ApplyResponseSchema, {
        hostId: host.id,
        step: wire.ApplyStep.FAILED,
        error: failureToDetail(failure),
      });
    }
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

function withGeneration(generation: Generation | undefined) {
  return generation ? { generation } : {};
}

function confirmationTime(given: Duration | undefined): number {
  const timeMs = given ? Number(given.seconds) * 1000 + given.nanos / 1e6 : USUAL_CONFIRM_MS;
  if (timeMs >= SHORTEST_CONFIRM_MS && timeMs <= LONGEST_CONFIRM_MS) return timeMs;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `The time to confirm is ${timeMs / 1000} s; it can be 5 s to 1 h.`,
    hint: "Choose a time that is enough to try what matters.",
  });
}

function isUnanswered(failure: Failure): boolean {
  return failure.code === ErrorCode.AGENT_UNREACHABLE || failure.code === ErrorCode.DEADLINE_EXCEEDED;
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
