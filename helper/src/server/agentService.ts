/** wardline.agent.v1.AgentService: the wire on one side, the agent's parts on the other. No decisions of its own. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/agent/v1/agent";
import { Emergency } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toWireAuditEntry, toWireDiagnostic } from "@wardline/domain/wire";
import type { Clock } from "../agent/clock.ts";
import type { PolicyEngine } from "../agent/policyEngine.ts";
import type { StatusReader } from "../agent/status.ts";
import { API_MAX, API_MIN } from "../agent/version.ts";
import type { AuditSubject, AuditTrail } from "../audit/audited.ts";
import type { AuditLog } from "../audit/auditLog.ts";
import type { GenerationController } from "../generations/controller.ts";
import type { Accept, Caller } from "../generations/controllerTypes.ts";
import { toWireGeneration, toWirePending } from "../generations/generationMessage.ts";
import { withoutNames } from "../generations/switching.ts";
import { acceptInTime, type Guard, roleName } from "./guard.ts";
import { METHOD_RULES, methodName } from "./methods.ts";
import { PEER } from "./peers.ts";
import {
  digestOf,
  readApply,
  readAuditQuery,
  readEmergency,
  readFiles,
  readGeneration,
  readQuarantine,
  readReason,
} from "./requests.ts";
import type { Streams } from "./streams.ts";

export interface ServicePorts {
  readonly guard: Guard;
  readonly trail: AuditTrail;
  readonly audit: AuditLog;
  readonly controller: GenerationController;
  readonly engine: PolicyEngine;
  readonly status: StatusReader;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly hostName: string;
  /** True while the cluster says what this host enforces. */
  readonly followsCluster: () => boolean;
}

/** Rollback, the brake and quarantine stay: they are for the moment in which something is wrong with this one host. */
function refuseApplyByHand(): Failure {
  return new Failure({
    code: ErrorCode.FOLLOWS_CLUSTER,
    message: "This host follows its cluster's policies: what is applied here alone would be replaced by them.",
    hint: "Change them in the cluster (wardline policy sync), or let the host leave it (wardline cluster leave).",
  });
}

function checkApiRange(request: wire.HandshakeRequest): void {
  // A caller that names no range (grpcurl) gets the answer and decides for itself.
  if (request.apiMin === 0 && request.apiMax === 0) return;
  if (request.apiMin <= API_MAX && request.apiMax >= API_MIN) return;
  throw new Failure({
    code: ErrorCode.VERSION_MISMATCH,
    message: `The agent speaks API revisions ${API_MIN} to ${API_MAX}, the caller ${request.apiMin} to ${request.apiMax}.`,
    hint: request.apiMin > API_MAX ? "Update the agent on this host." : "Update the console.",
  });
}

export class AgentRpcs {
  readonly #ports: ServicePorts;

  constructor(ports: ServicePorts) {
    this.#ports = ports;
  }

  routes(): ServiceImpl<typeof wire.AgentService> {
    const { streams, guard } = this.#ports;
    return {
      handshake: (request, context) => this.#handshake(request, context),
      getStatus: () => create(wire.GetStatusResponseSchema, { status: this.#ports.status.read() }),
      watchStatus: (_request, context) => guard.stream("WatchStatus", streams.watchStatus(context.signal)),
      getEnforcedState: () => this.#getEnforcedState(),
      check: (request) => this.#check(request),
      apply: (request, context) => this.#apply(request, context),
      confirm: (request, context) => this.#confirm(request, context),
      rollback: (request, context) => this.#rollback(request, context),
      setEmergency: (request, context) => this.#setEmergency(request, context),
      setQuarantine: (request, context) => this.#setQuarantine(request, context),
      watchFlows: (request, context) => guard.stream("WatchFlows", streams.watchFlows(request.history, context.signal)),
      listAudit: (request) => this.#listAudit(request),
      release: (request, context) => this.#release(request, context),
    };
  }

  #handshake(request: wire.HandshakeRequest, context: HandlerContext): wire.HandshakeResponse {
    checkApiRange(request);
    const { actor, role } = this.#ports.guard.identify(context);
    const { info } = this.#ports.status.read();
    const response = create(wire.HandshakeResponseSchema, {
      agentVersion: info?.agentVersion ?? "",
      agentBuild: info?.agentBuild ?? "",
      apiMin: API_MIN,
      apiMax: API_MAX,
      role,
      actor,
    });
    if (info) response.host = info;
    return response;
  }

  async #getEnforcedState(): Promise<wire.GetEnforcedStateResponse> {
    const generation = toWireGeneration(this.#ports.controller.enforced);
    const files = await this.#ports.controller.enforcedFiles();
    return create(wire.GetEnforcedStateResponseSchema, {
      generation,
      state: { files: files.map(({ path, text }) => ({ path, text })) },
    });
  }

  #check(request: wire.CheckRequest): wire.CheckResponse {
    const { engine, hostName } = this.#ports;
    const files = readFiles(request.state);
    const { world, diagnostics, ok } = engine.read(files);
    const circumstances = withoutNames(this.#ports.clock.wallMs());
    if (ok) engine.dependencies(world, hostName, circumstances.discovered);
    return create(wire.CheckResponseSchema, {
      diagnostics: diagnostics.map(toWireDiagnostic),
      programDigest: ok ? engine.compile(world, hostName, circumstances).digest : "",
      stateDigest: engine.stateDigest(files),
      policyCount: world.policies.length,
      ruleCount: world.policies.reduce((sum, policy) => sum + policy.rules.length, 0),
    });
  }

  #apply(request: wire.ApplyRequest, context: HandlerContext): Promise<wire.ApplyResponse> {
    const detail = `mode ${request.mode}, base ${request.baseGeneration}, reason: ${request.reason.slice(0, 500)}`;
    return this.#audited(wire.ApplyRequestSchema, request, context, detail, async (caller, accept) => {
      if (this.#ports.followsCluster()) throw refuseApplyByHand();
      const { pending, timings } = await this.#ports.controller.apply(readApply(request), caller, accept);
      return create(wire.ApplyResponseSchema, {
        generation: toWireGeneration(pending.generation),
        pending: toWirePending(pending, this.#ports.clock),
        timings,
      });
    });
  }

  #confirm(request: wire.ConfirmRequest, context: HandlerContext): Promise<wire.ConfirmResponse> {
    const detail = `generation ${request.generation}`;
    return this.#audited(wire.ConfirmRequestSchema, request, context, detail, async (caller, accept) => {
      const number = readGeneration(request.generation);
      const record = await this.#ports.controller.confirm(number, request.programDigest, caller, accept);
      return create(wire.ConfirmResponseSchema, { generation: toWireGeneration(record) });
    });
  }

  #rollback(request: wire.RollbackRequest, context: HandlerContext): Promise<wire.RollbackResponse> {
    const detail = `leave generation ${request.generation}, reason: ${request.reason.slice(0, 500)}`;
    return this.#audited(wire.RollbackRequestSchema, request, context, detail, async (_caller, accept) => {
      readReason(request.reason);
      const record = await this.#ports.controller.rollback(readGeneration(request.generation), accept);
      return create(wire.RollbackResponseSchema, { generation: toWireGeneration(record) });
    });
  }

  #setEmergency(request: wire.SetEmergencyRequest, context: HandlerContext): Promise<wire.SetEmergencyResponse> {
    const detail = `${Emergency[request.emergency] ?? request.emergency}, reason: ${request.reason.slice(0, 500)}`;
    return this.#audited(wire.SetEmergencyRequestSchema, request, context, detail, async (caller, accept) => {
      const reason = readReason(request.reason);
      await this.#ports.controller.setEmergency(readEmergency(request.emergency), caller, reason, accept);
      return create(wire.SetEmergencyResponseSchema, { status: this.#ports.status.read() });
    });
  }

  #setQuarantine(request: wire.SetQuarantineRequest, context: HandlerContext): Promise<wire.SetQuarantineResponse> {
    const { subjectKey, lifted, managementCidrs } = request;
    const but = managementCidrs.length === 0 ? "" : ` but for ${managementCidrs.join(" ").slice(0, 500)}`;
    const detail = `${lifted ? "lift " : ""}${subjectKey.slice(0, 300)}${but}, reason: ${request.reason.slice(0, 500)}`;
    return this.#audited(wire.SetQuarantineRequestSchema, request, context, detail, async (caller, accept) => {
      await this.#ports.controller.setQuarantine(readQuarantine(request), caller, accept);
      return create(wire.SetQuarantineResponseSchema, { status: this.#ports.status.read() });
    });
  }

  #release(request: wire.ReleaseRequest, context: HandlerContext): Promise<wire.ReleaseResponse> {
    const detail = `reason: ${request.reason.slice(0, 500)}`;
    return this.#audited(wire.ReleaseRequestSchema, request, context, detail, async (_caller, accept) => {
      readReason(request.reason);
      await this.#ports.controller.release(accept);
      return create(wire.ReleaseResponseSchema);
    });
  }

  async #listAudit(request: wire.ListAuditRequest): Promise<wire.ListAuditResponse> {
    const page = await this.#ports.audit.list(readAuditQuery(request));
    return create(wire.ListAuditResponseSchema, {
      entries: page.entries.map(toWireAuditEntry),
      chainValid: page.chainValid,
      brokenAtSequence: BigInt(page.brokenAtSequence),
      lastSequence: BigInt(page.lastSequence),
      firstSequence: BigInt(page.firstSequence),
    });
  }

  /** Every mutating call goes through here: who, what, and how it ended. */
  #audited<Desc extends DescMessage, T>(
    schema: Desc,
    request: MessageShape<Desc>,
    context: HandlerContext,
    detail: string,
    run: (caller: Caller, accept: Accept) => Promise<T>,
  ): Promise<T> {
    const { actor, role } = this.#ports.guard.identify(context);
    const action = METHOD_RULES.get(methodName(context.method))?.audit ?? context.method.name;
    const argumentDigest = digestOf(schema, request);
    const subject: AuditSubject = { actor, role: roleName(role), action, argumentDigest };
    const caller: Caller = { actor, connectionOrder: context.values.get(PEER).order };
    return this.#ports.trail.around(subject, detail, (accept) => run(caller, acceptInTime(context, accept)));
  }
}
