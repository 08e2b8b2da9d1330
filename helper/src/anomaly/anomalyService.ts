/** wardline.agent.v1.AnomalyService: every field checked, every mutating call audited. No decisions of its own. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/agent/v1/anomaly";
import { FeedbackKind } from "@wardline/api/wardline/v1/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { fromWireSettings, toWireSettings } from "@wardline/domain/wire";
import type { AuditSubject, AuditTrail } from "../audit/audited.ts";
import type { Accept } from "../generations/controllerTypes.ts";
import { type Guard, roleName } from "../server/guard.ts";
import { METHOD_RULES, methodName } from "../server/methods.ts";
import { digestOf } from "../server/requests.ts";
import type { AnomalyHost } from "./anomalyHost.ts";
import type { FindingStreams } from "./findingStreams.ts";

export interface AnomalyServicePorts {
  readonly guard: Guard;
  readonly trail: AuditTrail;
  readonly anomaly: Pick<
    AnomalyHost,
    "list" | "finding" | "loadedModel" | "model" | "train" | "feedback" | "configure" | "onChange"
  >;
  readonly streams: FindingStreams;
}

const USUAL_PAGE = 100;
const MAX_PAGE = 1_000;
const MAX_ID_LENGTH = 200;
const MAX_REASON_LENGTH = 500;
const MAX_DAYS = 366;
const MAX_DISABLED = 100;

export class AnomalyRpcs {
  readonly #ports: AnomalyServicePorts;

  constructor(ports: AnomalyServicePorts) {
    this.#ports = ports;
  }

  routes(): ServiceImpl<typeof wire.AnomalyService> {
    const { guard, streams } = this.#ports;
    return {
      listFindings: (request) => this.#list(request),
      watchFindings: (_request, { signal }) => guard.stream("WatchFindings", streams.watch(signal)),
      getFinding: (request) => this.#get(request),
      getModel: () => this.#getModel(),
      train: (request, context) => this.#train(request, context),
      giveFeedback: (request, context) => this.#giveFeedback(request, context),
      configure: (request, context) => this.#configure(request, context),
    };
  }

  async #list({ limit, afterId }: wire.ListFindingsRequest): Promise<wire.ListFindingsResponse> {
    if (limit > MAX_PAGE) throw invalid(`At most ${MAX_PAGE} findings can be asked for at once, not ${limit}.`);
    const { findings, total } = await this.#ports.anomaly.list(limit || USUAL_PAGE, readId(afterId, true));
    return create(wire.ListFindingsResponseSchema, { findings: [...findings], total: BigInt(total) });
  }

  async #get({ id }: wire.GetFindingRequest): Promise<wire.GetFindingResponse> {
    return create(wire.GetFindingResponseSchema, { finding: await this.#ports.anomaly.finding(readId(id)) });
  }

  async #getModel(): Promise<wire.GetModelResponse> {
    const { status, settings } = await this.#ports.anomaly.loadedModel();
    return create(wire.GetModelResponseSchema, { model: status, settings: toWireSettings(settings) });
  }

  #train(request: wire.TrainRequest, context: HandlerContext): Promise<wire.TrainResponse> {
    const { days, leaveOutFindings } = request;
    const detail = `${days === 0 ? "all of the journal" : `${days} days`}${leaveOutFindings ? ", without findings" : ""}`;
    return this.#audited(wire.TrainRequestSchema, request, context, detail, async (_actor, accept) => {
      if (days > MAX_DAYS) throw invalid(`At most ${MAX_DAYS} days can be learned from, not ${days}.`);
      await accept();
      await this.#ports.anomaly.train({ days, leaveOutFindings });
      return create(wire.TrainResponseSchema, { model: this.#ports.anomaly.model().status });
    });
  }

  #giveFeedback(request: wire.GiveFeedbackRequest, context: HandlerContext): Promise<wire.GiveFeedbackResponse> {
    const { findingId, kind, reason } = request;
    const word = (FeedbackKind[kind] ?? String(kind)).toLowerCase();
    const detail = `${word}: ${findingId.slice(0, MAX_ID_LENGTH)}, reason: ${reason.slice(0, MAX_REASON_LENGTH)}`;
    return this.#audited(wire.GiveFeedbackRequestSchema, request, context, detail, async (actor, accept) => {
      if (![FeedbackKind.NORMAL, FeedbackKind.CONFIRMED, FeedbackKind.UNDO].includes(kind)) {
        throw invalid("Say what the finding is: normal, confirmed, or undo what was said.");
      }
      if (reason.length > MAX_REASON_LENGTH)
        throw invalid(`The reason is longer than ${MAX_REASON_LENGTH} characters.`);
      // There before anything is written about it.
      await this.#ports.anomaly.finding(readId(findingId));
      await accept();
      const finding = await this.#ports.anomaly.feedback(findingId, { kind, actor, reason });
      return create(wire.GiveFeedbackResponseSchema, { finding });
    });
  }

  #configure(request: wire.ConfigureRequest, context: HandlerContext): Promise<wire.ConfigureResponse> {
    const { targetFalseAlarmsPerDay: target = 0, learningHours = 0, disabled = [] } = request.settings ?? {};
    const detail = `${target} false alarms a day, ${learningHours} hours of learning, ${disabled.length} detectors off`;
    return this.#audited(wire.ConfigureRequestSchema, request, context, detail, async (_actor, accept) => {
      if (request.settings === undefined) throw invalid("The settings are missing.");
      if (disabled.length > MAX_DISABLED) throw invalid("More detectors are named than there are.");
      const settings = fromWireSettings(request.settings);
      await accept();
      await this.#ports.anomaly.configure(settings);
      return create(wire.ConfigureResponseSchema, { model: this.#ports.anomaly.model().status });
    });
  }

  /** Who, what, and how it ended. `run` throws where it refuses, and calls `accept` before its first effect. */
  #audited<Desc extends DescMessage, T>(
    schema: Desc,
    request: MessageShape<Desc>,
    context: HandlerContext,
    detail: string,
    run: (actor: string, accept: Accept) => Promise<T>,
  ): Promise<T> {
    const { guard, trail } = this.#ports;
    const { actor, role } = guard.identify(context);
    const action = METHOD_RULES.get(methodName(context.method))?.audit ?? context.method.name;
    const subject: AuditSubject = { actor, role: roleName(role), action, argumentDigest: digestOf(schema, request) };
    return trail.around(subject, detail, (accept) => run(actor, accept));
  }
}

function readId(id: string, mayBeEmpty = false): string {
  if (id === "" && !mayBeEmpty) throw invalid("The id of the finding is missing.");
  if (id.length > MAX_ID_LENGTH) throw invalid("That is no id of a finding.");
  return id;
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
