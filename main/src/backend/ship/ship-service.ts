import { create } from "@bufbuild/protobuf";
import { type Duration, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { EnvironmentColor } from "@wardline/api/wardline/console/v1/hosts";
import * as wire from "@wardline/api/wardline/console/v1/ship";
import type { Generation } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import type { ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import { boundedReason, boundedTicket, type Guard, pageSize } from "../rpc/guard.ts";
import type { ReceiptsTable } from "../store/receipts-table.ts";
import { HostChanges } from "./host-changes.ts";
import { type PlannedHost, Planner, type PlannerPorts, type StoredPlan } from "./planner.ts";
import { reasonWithOverride } from "./policy-tests.ts";
import { ReceiptKeeper, toWireReceipt } from "./receipts.ts";

export const USUAL_CONFIRM_MS = 60_000;
const SHORTEST_CONFIRM_MS = 5_000;
const LONGEST_CONFIRM_MS = 3_600_000;
const MAX_RECEIPTS = 1000;

export interface ShipServicePorts extends PlannerPorts {
  readonly receipts: ReceiptsTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly userName: string;
}

export class ShipServiceImpl {
  readonly keeper: ReceiptKeeper;
  readonly planner: Planner;
  readonly changes: HostChanges;
  readonly #ports: ShipServicePorts;

  constructor(ports: ShipServicePorts) {
    this.#ports = ports;
    this.planner = new Planner(ports);
    this.keeper = new ReceiptKeeper(ports);
    this.changes = new HostChanges({ ...ports, keeper: this.keeper });
  }

  routes(guard: Guard): ServiceImpl<typeof wire.ShipService> {
    return {
      plan: guard.unary((request: wire.PlanRequest) => this.planner.plan(request.hostIds, request.versionId)),
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
   * Sends the plan of one host, and waits for nobody's confirmation. One message when it is sent and one with how it ended.
   * An apply that was sent goes on when the reader of this stream leaves.
   * @throws Failure PLAN_STALE, POLICY_TESTS_FAILED, INVALID_ARGUMENT, CONFIRMATION_REQUIRED: nothing was sent
   */
  async *apply(request: wire.ApplyRequest): AsyncGenerator<wire.ApplyResponse> {
    const confirmWithinMs = confirmationTime(request.confirmWithin);
    requireMode(request.mode);
    const plan = this.planner.take(request.planId);
    requireOneHost(plan);
    const reason = reasonWithOverride(request.reason, request.overrideFailedTestsReason, plan.failedTestCount);
    const event = { kind: "applied", ticket: boundedTicket(request.ticket) } as const;
    const version = this.#ports.workspace.recordVersion(this.#ports.userName, reason || "Applied", event);
    for (const planned of plan.hosts) {
      yield create(wire.ApplyResponseSchema, { hostId: planned.host.id, step: wire.ApplyStep.SENDING });
      yield await this.#applyTo(planned, plan, { ...request, reason }, confirmWithinMs, version.id);
    }
  }

  /** Keeps a pending generation, over a connection opened now: it proves that the host can still be reached. */
  async confirm(request: wire.ConfirmRequest) {
    const host = this.#ports.registry.byId(request.hostId);
    const generation = await this.changes.confirm(host, request.generation);
    return create(wire.ConfirmResponseSchema, withGeneration(generation));
  }

  /** Returns to the generation before, at once: the pending one, or one that was confirmed. */
  async rollback(request: wire.RollbackRequest) {
    const host = this.#ports.registry.byId(request.hostId);
    const reason = boundedReason(request.reason);
    const generation = await this.changes.rollback(host, request.generation, reason);
    this.#keepDraft(`Rolled back generation ${request.generation}${reason === "" ? "" : `: ${reason}`}`);
    return create(wire.RollbackResponseSchema, withGeneration(generation));
  }

  /** What the workspace held when the host went back, unless a version has it. The host comes first: a full disk here is no reason to fail. */
  #keepDraft(reason: string): void {
    const { workspace, userName, logger } = this.#ports;
    try {
      workspace.recordBefore(userName, reason);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      logger.error({ code: error.code, problem: error.message }, "the draft was not kept as a version");
    }
  }

  async #applyTo(
    { host, programDigest, stateDigest, baseGeneration }: PlannedHost,
    plan: StoredPlan,
    { mode, reason }: wire.ApplyRequest,
    confirmWithinMs: number,
    versionId: string,
  ): Promise<wire.ApplyResponse> {
    const { files } = plan.state;
    const planned = { files, mode, programDigest, stateDigest, baseGeneration };
    const outcome = await this.changes.apply(host, { ...planned, confirmWithinMs, reason, versionId });
    if (outcome.kind !== "pending") {
      const error = failureToDetail(outcome.failure);
      return create(wire.ApplyResponseSchema, { hostId: host.id, step: wire.ApplyStep.FAILED, error });
    }
    const { pending, timings } = outcome;
    const done = create(wire.ApplyResponseSchema, { hostId: host.id, step: wire.ApplyStep.PENDING, pending });
    if (timings) done.timings = timings;
    return done;
  }
}

/** Anything else is rolled out: in stages, watched, and with the words that it needs. */
function requireOneHost(plan: StoredPlan): void {
  const isSimple = plan.hosts.length === 1 && plan.hosts.every(({ host }) => !isRed(host));
  if (isSimple) return;
  throw new Failure({
    code: ErrorCode.CONFIRMATION_REQUIRED,
    message: `This plan changes ${plan.hosts.length === 1 ? "a host of a red environment" : `${plan.hosts.length} hosts`}: it is rolled out and not just applied. Nothing was sent.`,
    hint: "Start a roll-out of the plan: wardline policy apply --hosts",
  });
}

export function isRed(host: ManagedHost): boolean {
  return host.record.environment?.color === EnvironmentColor.RED;
}

function withGeneration(generation: Generation | undefined) {
  return generation ? { generation } : {};
}

/** @throws Failure INVALID_ARGUMENT */
export function requireMode(mode: EnforcementMode): void {
  if (mode === EnforcementMode.OBSERVE || mode === EnforcementMode.ENFORCE) return;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "The request does not say whether to observe or to enforce.",
  });
}

/** In milliseconds. @throws Failure INVALID_ARGUMENT */
export function confirmationTime(given: Duration | undefined): number {
  const timeMs = durationMs(given ?? durationFromMs(USUAL_CONFIRM_MS));
  if (timeMs >= SHORTEST_CONFIRM_MS && timeMs <= LONGEST_CONFIRM_MS) return timeMs;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `The time to confirm is ${timeMs / 1000} s; it can be 5 s to 1 h.`,
    hint: "Choose a time that is enough to try what matters.",
  });
}
