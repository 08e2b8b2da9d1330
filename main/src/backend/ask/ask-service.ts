/** Questions in plain words: read here, answered by the engine, about the draft or about what a host enforces. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/ask";
import type { Generation } from "@wardline/api/wardline/v1/host";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { PolicyWorld } from "@wardline/domain/policy";
import {
  type AskedFlow,
  answerQuestion,
  type HitCounter,
  MAX_QUESTION_LENGTH,
  parseQuestion,
  type Question,
} from "@wardline/domain/policy/ask";
import { completeOnWire, toWireAnswer, toWireParsed } from "@wardline/domain/policy/ask/wire";
import { fromWireDecision } from "@wardline/domain/wire";
import { hostNameOf, LOCAL_HOST_ID, labelOf, type ManagedHost } from "../hosts/managed-host.ts";
import { type Guard, pageSize } from "../rpc/guard.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import type { ReceiptsTable } from "../store/receipts-table.ts";
import type { StoredVersion } from "../store/versions-table.ts";
import { type AskedWorld, AskedWorlds, type AskedWorldsPorts } from "./asked-worlds.ts";

const USUAL_ROWS = 100;
const MOST_ROWS = 1_000;
/** Work on one answer; what is larger is refused instead of keeping everybody else waiting. */
const DEADLINE_MS = 10_000;
const MOST_RECEIPTS = 1_000;
const MOST_VERSIONS = 10_000;

export interface AskServicePorts extends AskedWorldsPorts {
  readonly receipts: ReceiptsTable;
  readonly flows: FlowsTable;
  /** Default 10 s. */
  readonly deadlineMs?: number;
}

/** What a question is answered from. */
interface Ground {
  readonly asked: AskedWorld;
  readonly basis: wire.AnswerBasis;
  readonly before?: { readonly world: PolicyWorld; readonly basis: wire.AnswerBasis };
}

export class AskServiceImpl {
  readonly #ports: AskServicePorts;
  readonly #worlds: AskedWorlds;

  constructor(ports: AskServicePorts) {
    this.#ports = ports;
    this.#worlds = new AskedWorlds(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.AskService> {
    return {
      ask: guard.unary((request: wire.AskRequest, signal) => this.ask(request, signal)),
      complete: guard.unary((request: wire.CompleteRequest) => this.complete(request)),
    };
  }

  /** @throws Failure INVALID_ARGUMENT, NOT_FOUND, POLICY_INVALID, DEADLINE_EXCEEDED, and why a host cannot be reached */
  async ask(request: wire.AskRequest, signal: AbortSignal): Promise<wire.AskResponse> {
    requireBoundedText(request.text);
    const limit = pageSize(request.limit, USUAL_ROWS, MOST_ROWS);
    const read = await this.#read(request);
    if ("outcome" in read) return read;
    const { question, ground } = read;
    const checkpoint = this.#checkpoint(signal);
    const { world } = ground.asked;
    const { before } = ground;
    const answer = answerQuestion(question, {
      world,
      limit,
      checkpoint,
      ...(before ? { change: () => ({ before: before.world, after: world }) } : {}),
      counters: () => countersOf(this.#host(request.hostId)),
      flow: () => this.#flow(question),
    });
    const frame = { inventory: world.inventory, basis: ground.basis, before: before?.basis ?? null };
    const message = toWireAnswer(answer, frame);
    message.answeredAt = timestampFromMs(this.#ports.clock.nowMs());
    return create(wire.AskResponseSchema, { outcome: { case: "answer", value: message } });
  }

  complete({ text, cursor }: wire.CompleteRequest): wire.CompleteResponse {
    requireBoundedText(text);
    return completeOnWire(text, cursor, this.#worlds.vocabulary());
  }

  /** The question with what it is answered from; or what is asked back. */
  async #read(request: wire.AskRequest): Promise<wire.AskResponse | { question: Question; ground: Ground }> {
    // Names are those of the state that is asked about, so it is needed first.
    const isEnforced = request.basis === wire.AskBasis.ENFORCED;
    const first = isEnforced ? await this.#enforced(request.hostId) : null;
    const vocabulary = first?.asked.vocabulary ?? this.#worlds.vocabulary();
    const parsed = parseQuestion(request.text, vocabulary);
    if (parsed.kind !== "question") return toWireParsed(parsed);
    const { question } = parsed;
    if (question.kind === "changed") return { question, ground: await this.#change(question, request.hostId) };
    if (first) return { question, ground: first };
    // Only a host counts what its rules decide.
    if (question.kind === "never-hit") return { question, ground: await this.#enforced(request.hostId) };
    return { question, ground: this.#draft() };
  }

  #draft(): Ground {
    const asked = this.#worlds.draft();
    const { files } = this.#ports.workspace.snapshot();
    const sinceMs = files.reduce((latest, { modifiedAtMs }) => Math.max(latest, modifiedAtMs), 0);
    return { asked, basis: basisOf(asked, { kind: wire.AskBasis.DRAFT, sinceMs }) };
  }

  async #enforced(hostId: string): Promise<Ground> {
    const host = this.#host(hostId);
    const { generation, ...asked } = await this.#worlds.enforced(host);
    return { asked, basis: hostBasis(asked, host, generation) };
  }

  #host(hostId: string): ManagedHost {
    return hostId === "" ? this.#ports.registry.local : this.#ports.registry.byIdOrName(hostId);
  }

  async #change({ span }: Extract<Question, { kind: "changed" }>, hostId: string): Promise<Ground> {
    if (span.kind === "draft") {
      const before = await this.#enforced(hostId);
      return { ...this.#draft(), before: { world: before.asked.world, basis: before.basis } };
    }
    const [after, before] = span.kind === "version" ? this.#versions(span.number) : this.#lastChange(hostId);
    const asked = this.#worlds.version(after.id);
    const old = before ? this.#worlds.version(before.id) : null;
    return {
      asked,
      basis: versionBasis(asked, after),
      before: {
        // Before the first version nothing was decided for anybody.
        world: old?.world ?? { ...asked.world, policies: [] },
        basis:
          old && before ? versionBasis(old, before) : create(wire.AnswerBasisSchema, { kind: wire.AskBasis.VERSION }),
      },
    };
  }

  #versions(number: number): [after: StoredVersion, before: StoredVersion | null] {
    const all = this.#ports.versions.list(MOST_VERSIONS);
    const place = all.findIndex((version) => version.number === number);
    const after = all[place];
    if (!after) {
      const newest = all[0];
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: `There is no version ${number} on this console.`,
        hint: newest ? `The newest is version ${newest.number}.` : "There is none yet: one is made at each apply.",
      });
    }
    return [after, all[place + 1] ?? null];
  }

  /** What was confirmed last on a host, and what was before it there. */
  #lastChange(hostId: string): [after: StoredVersion, before: StoredVersion | null] {
    const wanted = hostId === "" ? null : this.#host(hostId).id;
    const confirmed = this.#ports.receipts.list(MOST_RECEIPTS).filter(({ outcome }) => outcome === "confirmed");
    const last = confirmed.find((receipt) => wanted === null || receipt.hostId === wanted);
    if (!last) {
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: "Nothing was applied and confirmed from this console yet, so there is no last change.",
        hint: "Ask what the draft would open.",
      });
    }
    const before = confirmed.find(
      ({ hostId: id, versionId, id: number }) => id === last.hostId && number < last.id && versionId !== last.versionId,
    );
    return [this.#ports.versions.get(last.versionId), before ? this.#ports.versions.get(before.versionId) : null];
  }

  #flow(question: Question): AskedFlow {
    if (question.kind !== "why-flow") throw new Error("only such a question is about a flow");
    const id = Number(question.flowId);
    const flow =
      Number.isSafeInteger(id) && id > 0 ? this.#ports.flows.between(undefined, id - 1, id, 1)[0] : undefined;
    if (!flow?.decision) {
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: `There is no flow ${question.flowId} on this console: it was never seen, or it is older than what is kept.`,
        hint: "The number of a flow is in its details.",
      });
    }
    return {
      id: question.flowId,
      fromAddress: flow.sourceAddress,
      toAddress: flow.destinationAddress,
      protocol: flow.protocol,
      port: flow.destinationPort,
      decision: fromWireDecision(flow.decision),
      direction: flow.direction === Direction.EGRESS ? "egress" : "ingress",
      enforced: flow.enforced === Verdict.ALLOW ? "allow" : "deny",
      host: flow.host,
    };
  }

  #checkpoint(signal: AbortSignal): () => void {
    const { clock, deadlineMs = DEADLINE_MS } = this.#ports;
    const endsAtMs = clock.nowMs() + deadlineMs;
    return () => {
      signal.throwIfAborted();
      if (clock.nowMs() <= endsAtMs) return;
      throw new Failure({
        code: ErrorCode.DEADLINE_EXCEEDED,
        message: "The answer takes too long to work out.",
        hint: "Ask about fewer: one host, one label, one port.",
      });
    };
  }
}

function countersOf(host: ManagedHost): ReadonlyMap<string, HitCounter> {
  const { status } = host.connection.state;
  if (status) return new Map(status.counters.map(({ decisionId, packets }) => [decisionId, { packets }]));
  throw new Failure({
    code: ErrorCode.AGENT_UNREACHABLE,
    message: `${labelOf(host)} has not said what its rules have met.`,
    hint: "Ask again when the host is connected.",
    retryable: true,
    host: labelOf(host),
  });
}

function basisOf(
  { world, stateDigest }: AskedWorld,
  fields: { kind: wire.AskBasis; sinceMs: number },
): wire.AnswerBasis {
  const basis = create(wire.AnswerBasisSchema, { kind: fields.kind, stateDigest, policyCount: world.policies.length });
  if (fields.sinceMs > 0) basis.since = timestampFromMs(fields.sinceMs);
  return basis;
}

function hostBasis(asked: AskedWorld, host: ManagedHost, generation: Generation | null): wire.AnswerBasis {
  const basis = basisOf(asked, { kind: wire.AskBasis.ENFORCED, sinceMs: 0 });
  basis.hostId = host.id === LOCAL_HOST_ID ? LOCAL_HOST_ID : host.id;
  basis.hostName = host.record.alias || hostNameOf(host);
  basis.generation = generation?.number ?? 0n;
  if (generation?.appliedAt) basis.since = generation.appliedAt;
  return basis;
}

function versionBasis(asked: AskedWorld, version: StoredVersion): wire.AnswerBasis {
  const basis = basisOf(asked, { kind: wire.AskBasis.VERSION, sinceMs: version.createdAtMs });
  basis.generation = BigInt(version.number);
  return basis;
}

function requireBoundedText(text: string): void {
  if (text.length <= MAX_QUESTION_LENGTH) return;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `A question may have ${MAX_QUESTION_LENGTH} characters; this has ${text.length}.`,
  });
}
