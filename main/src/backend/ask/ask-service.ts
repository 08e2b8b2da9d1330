/** Questions in plain words: read here, answered by the engine, about the draft or about what a host enforces. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/console/v1/ask";
import type { Generation } from "@wardline/api/wardline/v1/host";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type AskedFlow, type ChangeSpan, MAX_QUESTION_LENGTH } from "@wardline/domain/policy/ask";
import { completeOnWire, findRulesOnWire } from "@wardline/domain/policy/ask/wire";
import { fromWireDecision } from "@wardline/domain/wire";
import { type HeldThread, ThreadPool } from "../async/thread-pool.ts";
import { hostNameOf, LOCAL_HOST_ID, labelOf, type ManagedHost } from "../hosts/managed-host.ts";
import { type Guard, pageSize } from "../rpc/guard.ts";
import type { FlowsTable } from "../store/flows-table.ts";
import type { ReceiptsTable } from "../store/receipts-table.ts";
import type { StoredVersion } from "../store/versions-table.ts";
import type { AnswerAnswer, AnswerRequest, ReadAnswer, ReadRequest, WorldRequest } from "./ask-protocol.ts";
import { type AskedWorld, AskedWorlds, type AskedWorldsPorts } from "./asked-worlds.ts";

const USUAL_ROWS = 100;
const MOST_ROWS = 1_000;
const USUAL_RULES = 20;
const MOST_RULES = 200;
/** Waiting for a host and for a thread included; what takes longer is refused. */
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
  /** A world of `null` = before the first version. */
  readonly before?: { readonly asked: AskedWorld | null; readonly basis: wire.AnswerBasis };
}

export class AskServiceImpl {
  readonly #ports: AskServicePorts;
  readonly #worlds: AskedWorlds;
  readonly #threads = new ThreadPool({ file: new URL("./ask-thread.ts", import.meta.url), what: "questions" });

  constructor(ports: AskServicePorts) {
    this.#ports = ports;
    this.#worlds = new AskedWorlds(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.AskService> {
    return {
      ask: guard.unary((request: wire.AskRequest, signal) => this.ask(request, signal)),
      complete: guard.unary((request: wire.CompleteRequest) => this.complete(request)),
      findRules: guard.unary((request: wire.FindRulesRequest) => this.findRules(request)),
    };
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  /**
   * @throws Failure INVALID_ARGUMENT, NOT_FOUND, POLICY_INVALID, DEADLINE_EXCEEDED, TOO_LARGE (too many questions at once, or
   * too much memory), and why a host cannot be reached
   */
  async ask(request: wire.AskRequest, signal: AbortSignal): Promise<wire.AskResponse> {
    requireBoundedText(request.text);
    const limit = pageSize(request.limit, USUAL_ROWS, MOST_ROWS);
    // Names are those of the state that is asked about, so it is needed first.
    const isEnforced = request.basis === wire.AskBasis.ENFORCED;
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(tooSlow()), this.#ports.deadlineMs ?? DEADLINE_MS);
    const until = AbortSignal.any([signal, end.signal]);
    try {
      const first = isEnforced ? await this.#enforced(request.hostId, until) : this.#draft();
      return await this.#threads.use(until, async (thread) => {
        const names = first.asked;
        const { text } = request;
        const read = await callWith(thread, "read", [names], ([own]) => ({ text, names: own }) satisfies ReadRequest);
        if (read.kind === "response") return responseOf(read.bytes);
        if (read.kind !== "question") throw new Error(`a thread for questions answered ${read.kind}`);
        const ground = await this.#ground(read.needs, first, request.hostId, until);
        const counters = read.needs.kind === "never-hit" ? countersOf(this.#host(request.hostId)) : null;
        const flow = read.needs.kind === "why-flow" ? this.#flow(read.needs.flowId) : null;
        const worlds = [names, ground.asked, ...(ground.before?.asked ? [ground.before.asked] : [])] as const;
        const answer = await callWith(
          thread,
          "answer",
          worlds,
          ([ownNames, world, before = null]) =>
            ({
              ...{ text, names: ownNames, world, limit, counters, flow },
              basis: toBinary(wire.AnswerBasisSchema, ground.basis),
              before:
                (ground.before && {
                  world: before,
                  basis: toBinary(wire.AnswerBasisSchema, ground.before.basis),
                }) ||
                null,
            }) satisfies AnswerRequest,
        );
        if (answer.kind !== "response") throw new Error(`a thread for questions answered ${answer.kind}`);
        const response = responseOf(answer.bytes);
        if (response.outcome.case === "answer") {
          response.outcome.value.answeredAt = timestampFromMs(this.#ports.clock.nowMs());
        }
        return response;
      });
    } finally {
      clearTimeout(timer);
    }
  }

  complete({ text, cursor }: wire.CompleteRequest): wire.CompleteResponse {
    requireBoundedText(text);
    return completeOnWire(text, cursor, this.#worlds.vocabulary());
  }

  /** @throws Failure INVALID_ARGUMENT */
  findRules({ text, limit }: wire.FindRulesRequest): wire.FindRulesResponse {
    requireBoundedText(text);
    const most = pageSize(limit, USUAL_RULES, MOST_RULES);
    return findRulesOnWire(this.#ports.workspace.snapshot().reading.world, text, most);
  }

  #ground(needs: Needs, first: Ground, hostId: string, until: AbortSignal): Ground | Promise<Ground> {
    if (needs.kind === "changed") return this.#change(needs.span, hostId, until);
    // Only a host counts what its rules decide.
    if (needs.kind === "never-hit" && first.basis.kind !== wire.AskBasis.ENFORCED) return this.#enforced(hostId, until);
    return first;
  }

  #draft(): Ground {
    const asked = this.#worlds.draft();
    const { files } = this.#ports.workspace.snapshot();
    const sinceMs = files.reduce((latest, { modifiedAtMs }) => Math.max(latest, modifiedAtMs), 0);
    return { asked, basis: basisOf(asked, { kind: wire.AskBasis.DRAFT, sinceMs }) };
  }

  async #enforced(hostId: string, until: AbortSignal): Promise<Ground> {
    const host = this.#host(hostId);
    const { generation, ...asked } = await unlessAborted(this.#worlds.enforced(host), until);
    return { asked, basis: hostBasis(asked, host, generation) };
  }

  #host(hostId: string): ManagedHost {
    return hostId === "" ? this.#ports.registry.local : this.#ports.registry.byIdOrName(hostId);
  }

  async #change(span: ChangeSpan, hostId: string, until: AbortSignal): Promise<Ground> {
    if (span.kind === "draft") return { ...this.#draft(), before: await this.#enforced(hostId, until) };
    const [after, before] = span.kind === "version" ? this.#versions(span.number) : this.#lastChange(hostId);
    const asked = this.#worlds.version(after.id);
    const old = before ? this.#worlds.version(before.id) : null;
    return {
      asked,
      basis: versionBasis(asked, after),
      before: {
        // Before the first version nothing was decided for anybody.
        asked: old,
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

  #flow(flowId: bigint): AskedFlow {
    const id = Number(flowId);
    const flow =
      Number.isSafeInteger(id) && id > 0 ? this.#ports.flows.between(undefined, id - 1, id, 1)[0] : undefined;
    if (!flow?.decision) {
      throw new Failure({
        code: ErrorCode.NOT_FOUND,
        message: `There is no flow ${flowId} on this console: it was never seen, or it is older than what is kept.`,
        hint: "The number of a flow is in its details.",
      });
    }
    return {
      id: flowId,
      fromAddress: flow.sourceAddress,
      toAddress: flow.destinationAddress,
      protocol: flow.protocol,
      port: flow.destinationPort,
      decision: fromWireDecision(flow.decision),
      direction: flow.direction === Direction.EGRESS ? "egress" : "ingress",
      enforced: flow.enforced === Verdict.ALLOW ? "allow" : "deny",
      host: flow.host,
      subjectKey: flow.subjectKey,
    };
  }
}

type Needs = Extract<ReadAnswer, { kind: "question" }>["needs"];

/** Calls with the worlds as the thread may know them; with their text when it does not. */
async function callWith<Method extends "read" | "answer", const Worlds extends readonly AskedWorld[]>(
  thread: HeldThread,
  method: Method,
  worlds: Worlds,
  argument: (requests: { [Index in keyof Worlds]: WorldRequest }) => object,
): Promise<Method extends "read" ? ReadAnswer : AnswerAnswer> {
  type Answer = Method extends "read" ? ReadAnswer : AnswerAnswer;
  const send = (missing: readonly string[]) => {
    const requests = worlds.map(({ request, files }) => ({
      ...request,
      files: missing.includes(request.digest) ? files().map(({ path, text }) => ({ path, text })) : null,
    }));
    return thread.call(method, argument(requests as { [Index in keyof Worlds]: WorldRequest })) as Promise<Answer>;
  };
  const answer = await send([]);
  return answer.kind === "missing" ? send(answer.digests) : answer;
}

/** What is asked of a host goes on without us; it has a deadline of its own. */
async function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener("abort", stop));
}

function responseOf(bytes: Uint8Array): wire.AskResponse {
  return fromBinary(wire.AskResponseSchema, bytes);
}

function tooSlow(): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: "The answer takes too long to work out.",
    hint: "Ask about fewer: one host, one label, one port.",
  });
}

function countersOf(host: ManagedHost): readonly (readonly [string, bigint])[] {
  const { status } = host.connection.state;
  if (status) return status.counters.map(({ decisionId, packets }) => [decisionId, packets]);
  throw new Failure({
    code: ErrorCode.AGENT_UNREACHABLE,
    message: `${labelOf(host)} has not said what its rules have met.`,
    hint: "Ask again when the host is connected.",
    retryable: true,
    host: labelOf(host),
  });
}

function basisOf({ request }: AskedWorld, fields: { kind: wire.AskBasis; sinceMs: number }): wire.AnswerBasis {
  const basis = create(wire.AnswerBasisSchema, { kind: fields.kind, stateDigest: request.digest });
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
