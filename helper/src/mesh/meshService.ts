/** wardline.agent.v1.MeshService: every field checked, every mutating call audited. No decisions of its own. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { durationMs, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/agent/v1/mesh";
import { HealingAction, HealingMode, type HealingSettings, MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { MAX_PEER_URI_BYTES, shownUri } from "@wardline/domain/mesh";
import type { AuditSubject, AuditTrail } from "../audit/audited.ts";
import type { Accept } from "../generations/controllerTypes.ts";
import { type Guard, roleName } from "../server/guard.ts";
import { METHOD_RULES, methodName } from "../server/methods.ts";
import { digestOf } from "../server/requests.ts";
import type { MeshStreams } from "./meshStreams.ts";
import type { PeerEditor } from "./peerEditor.ts";
import { readPeerEdit } from "./peerRequest.ts";
import type { HealingAccess, MeshAsker, MeshView } from "./ports.ts";

export interface MeshServicePorts {
  readonly guard: Guard;
  readonly trail: AuditTrail;
  readonly mesh: MeshView;
  readonly peers: PeerEditor;
  readonly healing: HealingAccess;
  readonly streams: MeshStreams;
  readonly hostName: string;
  readonly wallMs: () => number;
}

const MAX_RUNS = 200;
const MAX_ID_LENGTH = 200;
const MAX_REASON_LENGTH = 500;
const MAX_CANDIDATE = 100;
const MAX_HOLD_MS = 600_000;
const MAX_COOLDOWN_MS = 86_400_000;
const MAX_ACTIONS_PER_HOUR = 1_000;

export class MeshRpcs {
  readonly #ports: MeshServicePorts;

  constructor(ports: MeshServicePorts) {
    this.#ports = ports;
  }

  routes(): ServiceImpl<typeof wire.MeshService> {
    const { guard, streams } = this.#ports;
    return {
      getMesh: () => this.#get(),
      watchMesh: (_request, { signal }) => guard.stream("WatchMesh", streams.watch(signal)),
      addPeer: (request, context) => this.#addPeer(request, context),
      removePeer: (request, context) => this.#removePeer(request, context),
      decideHealing: (request, context) => this.#decide(request, context),
      configureHealing: (request, context) => this.#configure(request, context),
      resetHealingKnowledge: (request, context) => this.#reset(request, context),
    };
  }

  #get(): wire.GetMeshResponse {
    const { mesh, healing } = this.#ports;
    return create(wire.GetMeshResponseSchema, {
      observation: mesh.observation(),
      runs: healing.runs().slice(0, MAX_RUNS),
      settings: healing.settings(),
      knowledge: [...healing.knowledge()],
      coordinator: healing.coordinator(),
      healingProblem: healing.problem(),
    });
  }

  #addPeer(request: wire.AddPeerRequest, context: HandlerContext): Promise<wire.AddPeerResponse> {
    return this.#audited(wire.AddPeerRequestSchema, request, context, peerDetail(request), async (_asker, accept) => {
      const edit = readPeerEdit(request);
      const { effects, peer } = await this.#ports.peers.add(edit, unlessDry(request, accept), context.signal);
      return create(wire.AddPeerResponseSchema, { effects: [...effects], ...(peer ? { peer } : {}) });
    });
  }

  #removePeer(request: wire.RemovePeerRequest, context: HandlerContext): Promise<wire.RemovePeerResponse> {
    const detail = `${peerDetail(request)}${request.allowCutOff ? ", even where that cuts off" : ""}`;
    return this.#audited(wire.RemovePeerRequestSchema, request, context, detail, async (_asker, accept) => {
      const edit = { ...readPeerEdit(request), allowCutOff: request.allowCutOff };
      const effects = await this.#ports.peers.remove(edit, unlessDry(request, accept), context.signal);
      return create(wire.RemovePeerResponseSchema, { effects: [...effects] });
    });
  }

  #decide(request: wire.DecideHealingRequest, context: HandlerContext): Promise<wire.DecideHealingResponse> {
    const { runId, decision, candidate, reason } = request;
    const word = decision === wire.HealingDecision.APPROVE ? "approve" : "stop";
    const detail = `${word} ${runId.slice(0, MAX_ID_LENGTH)}, reason: ${reason.slice(0, MAX_REASON_LENGTH)}`;
    return this.#audited(wire.DecideHealingRequestSchema, request, context, detail, async (asker, accept) => {
      if (runId === "" || runId.length > MAX_ID_LENGTH) throw invalid("That is no id of a healing run.");
      if (decision !== wire.HealingDecision.APPROVE && decision !== wire.HealingDecision.STOP) {
        throw invalid("Say what is decided: approve or stop.");
      }
      if ((candidate ?? 0) > MAX_CANDIDATE) throw invalid("There is no such candidate.");
      checkReason(reason);
      const order = { runId, decision, candidate: candidate ?? null, reason };
      const run = await this.#ports.healing.decide(order, asker, accept);
      return create(wire.DecideHealingResponseSchema, { run });
    });
  }

  #configure(request: wire.ConfigureHealingRequest, context: HandlerContext): Promise<wire.ConfigureHealingResponse> {
    const { settings } = request;
    const detail = settings ? settingsDetail(settings) : "no settings";
    return this.#audited(wire.ConfigureHealingRequestSchema, request, context, detail, async (asker, accept) => {
      if (settings === undefined) throw invalid("The settings are missing.");
      checkSettings(settings);
      const now = await this.#ports.healing.configure(settings, asker, accept);
      return create(wire.ConfigureHealingResponseSchema, { settings: now });
    });
  }

  #reset(
    request: wire.ResetHealingKnowledgeRequest,
    context: HandlerContext,
  ): Promise<wire.ResetHealingKnowledgeResponse> {
    const { healing, wallMs } = this.#ports;
    return this.#audited(wire.ResetHealingKnowledgeRequestSchema, request, context, "", async (asker, accept) => {
      await healing.resetKnowledge(asker, accept);
      const seconds = BigInt(Math.floor(wallMs() / 1000));
      return create(wire.ResetHealingKnowledgeResponseSchema, { at: create(TimestampSchema, { seconds }) });
    });
  }

  /** Who, what, and how it ended. `run` throws where it refuses, and calls `accept` before its first effect. */
  #audited<Desc extends DescMessage, T>(
    schema: Desc,
    request: MessageShape<Desc>,
    context: HandlerContext,
    detail: string,
    run: (asker: MeshAsker, accept: Accept) => Promise<T>,
  ): Promise<T> {
    const { guard, trail, hostName } = this.#ports;
    const { actor, role } = guard.identify(context);
    const action = METHOD_RULES.get(methodName(context.method))?.audit ?? context.method.name;
    const subject: AuditSubject = { actor, role: roleName(role), action, argumentDigest: digestOf(schema, request) };
    return trail.around(subject, detail, (accept) => run({ actor: `${actor} on ${hostName}`, role }, accept));
  }
}

/** A dry run has no effect, and so no entry that says it began. */
function unlessDry({ dryRun }: { readonly dryRun: boolean }, accept: Accept): Accept {
  return dryRun ? async () => {} : accept;
}

function peerDetail(request: wire.AddPeerRequest | wire.RemovePeerRequest): string {
  const { provider, uri, interfaceName, dryRun, reason } = request;
  const shown = shownUri(uri.slice(0, MAX_PEER_URI_BYTES));
  const name = (MeshProvider[provider] ?? String(provider)).toLowerCase();
  const through = interfaceName === "" ? "" : ` through ${interfaceName.slice(0, 15)}`;
  return `${name} ${shown}${through}${dryRun ? ", dry run" : ""}, reason: ${reason.slice(0, MAX_REASON_LENGTH)}`;
}

function settingsDetail({ mode, askBefore, actionsPerHour }: HealingSettings): string {
  const word = (HealingMode[mode] ?? String(mode)).toLowerCase();
  const asked = askBefore.slice(0, 20).map((action) => (HealingAction[action] ?? String(action)).toLowerCase());
  return `${word}, ask before: ${asked.join(", ") || "nothing"}, actions in an hour: ${actionsPerHour || "as usual"}`;
}

function checkSettings({ mode, askBefore, hold, cooldown, actionsPerHour }: HealingSettings): void {
  const modes = [HealingMode.OBSERVE, HealingMode.SUGGEST, HealingMode.ACT];
  if (!modes.includes(mode)) throw invalid("Say how faults are dealt with: observe, suggest or act.");
  if (askBefore.length > 20) throw invalid("More actions are named than there are.");
  if (askBefore.some((action) => action === 0 || HealingAction[action] === undefined)) {
    throw invalid("An action is named that there is not.");
  }
  checkSpan("hold time", hold ? durationMs(hold) : 0, MAX_HOLD_MS);
  checkSpan("cooldown", cooldown ? durationMs(cooldown) : 0, MAX_COOLDOWN_MS);
  if (actionsPerHour > MAX_ACTIONS_PER_HOUR) {
    throw invalid(`At most ${MAX_ACTIONS_PER_HOUR} actions in an hour can be allowed, not ${actionsPerHour}.`);
  }
}

function checkSpan(name: string, ms: number, mostMs: number): void {
  if (ms < 0 || ms > mostMs) throw invalid(`The ${name} has to be 0 to ${mostMs / 1000} s.`);
}

function checkReason(reason: string): void {
  if (reason.length > MAX_REASON_LENGTH) throw invalid(`The reason is longer than ${MAX_REASON_LENGTH} characters.`);
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
