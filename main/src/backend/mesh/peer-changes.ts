/** What people ask of one host: peers, decisions on healing, its settings. Checked here first, and judged by the host. */
import { create } from "@bufbuild/protobuf";
import * as agent from "@wardline/api/wardline/agent/v1/mesh";
import * as wire from "@wardline/api/wardline/console/v1/mesh";
import { HealingAction, HealingMode, type HealingRun, type HealingSettings } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { interfaceNameProblem, MAX_PEER_URI_BYTES, parsePeerUri } from "@wardline/domain/mesh";
import { hasInvisible } from "@wardline/domain/text";
import { noAnswer } from "../agent/dial-within.ts";
import { type HostRegistry, hostNameOf } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { boundedReason } from "../rpc/guard.ts";
import { boundAnswer, boundRun } from "./bounded-observation.ts";
import type { HostMeshes } from "./host-meshes.ts";
import { callMesh } from "./mesh-follower.ts";

/** Where the leader is another host: time for the way there, the store, and an election in between. */
const WRITE_TIMEOUT_MS = 40_000;
const LONGEST_HOLD_S = 600n;
const LONGEST_COOLDOWN_S = 86_400n;
const MOST_ACTIONS = 1_000;

export interface PeerChangesPorts {
  readonly registry: HostRegistry;
  readonly hosts: HostMeshes;
  readonly clock: Clock;
}

export class PeerChanges {
  readonly #ports: PeerChangesPorts;

  constructor(ports: PeerChangesPorts) {
    this.#ports = ports;
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND, and of the host */
  async add({ hostId, request }: wire.AddMeshPeerRequest): Promise<wire.AddMeshPeerResponse> {
    const host = this.#ports.registry.byId(hostId);
    const asked = peerRequest(request);
    const parsed = parsePeerUri(asked.uri);
    if (!parsed.ok) throw invalid(parsed.problem, "Like tls://192.0.2.1:4443.");
    const response = await callMesh(host, (client) => client.addPeer(asked, { timeoutMs: WRITE_TIMEOUT_MS }));
    boundAnswer(agent.AddPeerResponseSchema, response);
    return create(wire.AddMeshPeerResponseSchema, { response });
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND, and of the host: WOULD_LOCK_OUT where it would be cut off */
  async remove({ hostId, request }: wire.RemoveMeshPeerRequest): Promise<wire.RemoveMeshPeerResponse> {
    const host = this.#ports.registry.byId(hostId);
    const asked = { ...peerRequest(request), allowCutOff: request?.allowCutOff ?? false };
    const response = await callMesh(host, (client) => client.removePeer(asked, { timeoutMs: WRITE_TIMEOUT_MS }));
    boundAnswer(agent.RemovePeerResponseSchema, response);
    return create(wire.RemoveMeshPeerResponseSchema, { response });
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND, and of the host */
  async decide({ hostId, request }: wire.DecideMeshHealingRequest): Promise<wire.DecideMeshHealingResponse> {
    const { registry, hosts, clock } = this.#ports;
    const host = registry.byId(hostId);
    if (!request || request.runId === "") throw invalid("The run is missing.", "wardline mesh heal list");
    if (request.runId.length > 200 || hasInvisible(request.runId)) throw invalid("That is no id of a run.");
    const { runId, decision, candidate } = request;
    if (decision !== agent.HealingDecision.APPROVE && decision !== agent.HealingDecision.STOP)
      throw invalid("The decision is missing: approve or stop.");
    const asked = {
      ...{ runId, decision, reason: boundedReason(request.reason) },
      ...(candidate === undefined ? {} : { candidate }),
    };
    const { run } = await callMesh(host, (client) => client.decideHealing(asked, { timeoutMs: WRITE_TIMEOUT_MS }));
    const bounded: HealingRun | null = run ? boundRun(run, clock.nowMs()) : null;
    // An answer about another run would be shown as if it had been decided on.
    if (bounded?.id !== runId) throw noAnswer(hostNameOf(host));
    hosts.takeRun(hostId, bounded);
    return create(wire.DecideMeshHealingResponseSchema, { run: bounded });
  }

  /** In a cluster for all members. @throws Failure INVALID_ARGUMENT, NOT_FOUND, and of the host */
  async configure({ hostId, settings }: wire.ConfigureMeshHealingRequest): Promise<wire.ConfigureMeshHealingResponse> {
    const host = this.#ports.registry.byId(hostId);
    requireSettings(settings);
    const answer = await callMesh(host, (client) =>
      client.configureHealing({ settings }, { timeoutMs: WRITE_TIMEOUT_MS }),
    );
    boundAnswer(agent.ConfigureHealingResponseSchema, answer);
    return create(wire.ConfigureMeshHealingResponseSchema, answer.settings ? { settings: answer.settings } : {});
  }

  /** Forgets what worked, on the host and in its cluster. @throws Failure NOT_FOUND, and of the host */
  async resetKnowledge({
    hostId,
  }: wire.ResetMeshHealingKnowledgeRequest): Promise<wire.ResetMeshHealingKnowledgeResponse> {
    const host = this.#ports.registry.byId(hostId);
    const answer = await callMesh(host, (client) => client.resetHealingKnowledge({}, { timeoutMs: WRITE_TIMEOUT_MS }));
    boundAnswer(agent.ResetHealingKnowledgeResponseSchema, answer);
    return create(wire.ResetMeshHealingKnowledgeResponseSchema, answer.at ? { at: answer.at } : {});
  }
}

/** A peer that is there may have a form that none can be added in: it is only looked for. */
function peerRequest(request: agent.AddPeerRequest | agent.RemovePeerRequest | undefined) {
  if (!request || request.uri === "") throw invalid("The URI of the peer is missing.", "Like tls://192.0.2.1:4443.");
  const { provider, uri, interfaceName, dryRun } = request;
  if (Buffer.byteLength(uri) > MAX_PEER_URI_BYTES || hasInvisible(uri) || /\s/.test(uri))
    throw invalid("That is no URI of a peer.", "Like tls://192.0.2.1:4443.");
  const problem = interfaceNameProblem(interfaceName);
  if (problem !== "") throw invalid(problem);
  return { provider, uri, interfaceName, dryRun, reason: boundedReason(request.reason) };
}

function requireSettings(settings: HealingSettings | undefined): asserts settings is HealingSettings {
  if (!settings) throw invalid("The settings are missing.");
  const { mode, askBefore, hold, cooldown, actionsPerHour } = settings;
  if (!(mode >= HealingMode.OBSERVE && mode <= HealingMode.ACT))
    throw invalid("The mode is missing: observe, suggest or act.");
  if (askBefore.some((action) => !(action >= HealingAction.RESTART_DAEMON && action <= HealingAction.REMOVE_PEER)))
    throw invalid("There is no such action.");
  if ((hold?.seconds ?? 0n) < 0n || (hold?.seconds ?? 0n) > LONGEST_HOLD_S)
    throw invalid("A symptom has to be gone for at most 10 minutes.");
  if ((cooldown?.seconds ?? 0n) < 0n || (cooldown?.seconds ?? 0n) > LONGEST_COOLDOWN_S)
    throw invalid("Between two actions lies at most a day.");
  if (actionsPerHour > MOST_ACTIONS) throw invalid(`At most ${MOST_ACTIONS} actions an hour can be allowed.`);
}

function invalid(message: string, hint = ""): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
