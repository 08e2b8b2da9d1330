/** Where a write goes: here while this node leads, to the leader from another candidate, nowhere from a plain member. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import {
  type ForwardRequest,
  ForwardRequestSchema,
  type ForwardResponse,
  ForwardResponseSchema,
} from "@wardline/api/wardline/peer/v1/peer";
import { Role } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AuditTrail } from "../../audit/audited.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import { roleName } from "../../server/guard.ts";
import { METHOD_RULES, methodName } from "../../server/methods.ts";
import { digestOf } from "../../server/requests.ts";
import type { HeldTerm, LeadershipView } from "../ports.ts";
import { DETAILS } from "../service/details.ts";
import { invalid } from "../service/fields.ts";
import {
  type Answer,
  type Asker,
  type LeaderActions,
  WRITES,
  type Write,
  type WriteName,
  type WriteRequest,
  type WriteResponse,
} from "../service/writes.ts";
import type { Links } from "./links.ts";

export interface WriteDeskPorts {
  readonly leadership: LeadershipView;
  readonly actions: LeaderActions;
  readonly trail: AuditTrail;
  readonly hostName: string;
  readonly candidate: boolean;
  readonly links: Links | null;
  /** Why the store does not answer, or `null`. */
  readonly storeProblem: () => string | null;
  /** An election takes a moment; who writes meanwhile waits for it rather than asking again. 3 s unless given. */
  readonly waitForLeaderMs?: number;
}

/** The leader of another host as its certificate and record say it. */
export interface ForwardingPeer {
  readonly name: string;
  readonly candidate: boolean;
}

const WAIT_FOR_LEADER_MS = 3_000;
/** Below the deadline of the method itself, so that the caller is told which of the two it was. */
const FORWARD_MARGIN_MS = 2_000;
const MAX_ACTOR_LENGTH = 200;

export class WriteDesk {
  readonly #ports: WriteDeskPorts;

  constructor(ports: WriteDeskPorts) {
    this.#ports = ports;
  }

  /** The request was checked, and the asker's role. Throws `Failure` NOT_LEADER, STORE_UNAVAILABLE, or the write's own. */
  async perform<Name extends WriteName>(
    name: Name,
    request: WriteRequest<Name>,
    asker: Asker,
    accept: Accept,
  ): Promise<WriteResponse<Name>> {
    const leader = await this.#leader();
    const { leadership, hostName, candidate, links } = this.#ports;
    const held = leadership.held();
    if (held) {
      await accept();
      return this.#act(name, request, asker, held);
    }
    if (leader === hostName) throw this.#noLeader();
    if (!candidate || links === null) throw notLeader(leader);
    await accept();
    return this.#forward(name, request, asker, leader, links);
  }

  /**
   * The other end of a forward. What the other candidate's kernel told it about the person is believed, because a candidate
   * could write all of this by itself; that it is a candidate is not. Role, fields and audit are judged here once more.
   */
  async answer(request: ForwardRequest, peer: ForwardingPeer): Promise<ForwardResponse> {
    const { write } = request;
    if (write.case === undefined) throw invalid("Nothing is forwarded.");
    if (!peer.candidate) throw noCandidate(peer.name);
    const asker = readAsker(request, peer);
    return create(ForwardResponseSchema, { answer: await this.#answerTo(write, asker) });
  }

  #answerTo(write: Write, asker: Asker): Promise<Answer> {
    const { method, check } = WRITES[write.case] as (typeof WRITES)["pushNotes"];
    const request = write.value as WriteRequest<"pushNotes">;
    const rule = METHOD_RULES.get(methodName(method));
    const action = rule?.audit ?? method.name;
    const argumentDigest = digestOf(method.input as DescMessage, request as MessageShape<DescMessage>);
    const subject = { actor: asker.actor, role: roleName(asker.role), action, argumentDigest };
    const detail = (DETAILS[write.case] as (typeof DETAILS)["pushNotes"])(request);
    return this.#ports.trail.around(subject, detail, async (accept) => {
      if (rule === undefined || asker.role < rule.role) throw notAllowed(asker, method.name);
      check(request);
      const held = this.#ports.leadership.held();
      if (!held) throw this.#noLeader();
      await accept();
      const value = await this.#act(write.case, write.value, asker, held);
      return { case: write.case, value } as Answer;
    });
  }

  #act<Name extends WriteName>(
    name: Name,
    request: WriteRequest<Name>,
    asker: Asker,
    held: HeldTerm,
  ): Promise<WriteResponse<Name>> {
    return this.#ports.actions[name](request, asker, held);
  }

  async #forward<Name extends WriteName>(
    name: Name,
    value: WriteRequest<Name>,
    asker: Asker,
    leader: string,
    links: Links,
  ): Promise<WriteResponse<Name>> {
    const write = { case: name, value } as unknown as Write;
    // The leader adds by itself from which host this comes: a name from here would count for nothing.
    const actor = asker.actor.replace(/ on [^ ]+$/, "");
    const message = create(ForwardRequestSchema, { actor, role: asker.role, write });
    const deadlineMs = METHOD_RULES.get(methodName(WRITES[name].method))?.deadlineMs ?? 30_000;
    const { answer } = await links.forward(leader, message, deadlineMs - FORWARD_MARGIN_MS);
    if (answer.case === name) return answer.value as WriteResponse<Name>;
    throw new Failure({ code: ErrorCode.INTERNAL, message: `${leader} answered something else than it was asked.` });
  }

  /** The leader's name. Waits a moment for one. Throws STORE_UNAVAILABLE or NOT_LEADER when there is none. */
  async #leader(): Promise<string> {
    const { leadership, hostName, waitForLeaderMs = WAIT_FOR_LEADER_MS } = this.#ports;
    const find = () => (leadership.held() ? hostName : (leadership.leader()?.name ?? null));
    const found = find() ?? (await changed(leadership, find, waitForLeaderMs));
    if (found !== null) return found;
    throw this.#noLeader();
  }

  /** Without the store nobody can lead, and whoever is believed to lead cannot either: that is what has to be told. */
  #noLeader(): Failure {
    const { leadership, storeProblem, hostName } = this.#ports;
    const problem = storeProblem();
    const leader = leadership.leader()?.name ?? null;
    if (problem === null) return notLeader(leader === hostName ? null : leader);
    return new Failure({
      code: ErrorCode.STORE_UNAVAILABLE,
      message: `The cluster's store cannot be written: ${problem}`,
      hint: "What hosts enforce does not change. Try again when the store answers.",
      retryable: true,
    });
  }
}

/** Resolves with what is found after a change, or `null` when the time is over. */
function changed<T>(view: LeadershipView, find: () => T | null, withinMs: number): Promise<T | null> {
  return new Promise((resolve) => {
    const finish = (value: T | null) => {
      clearTimeout(timer);
      unsubscribe();
      resolve(value);
    };
    const timer = setTimeout(() => finish(null), withinMs);
    const unsubscribe = view.onChange(() => {
      const found = find();
      if (found !== null) finish(found);
    });
  });
}

function readAsker({ actor, role }: ForwardRequest, peer: ForwardingPeer): Asker {
  if (actor.length > MAX_ACTOR_LENGTH || !/^[\x20-\x7e]+$/.test(actor)) throw invalid("Who asks is no actor.");
  if (Role[role] === undefined) throw invalid(`There is no role ${role}.`);
  return { actor: `${actor} on ${peer.name}`, role };
}

function notAllowed({ actor, role }: Asker, method: string): Failure {
  return new Failure({
    code: ErrorCode.PERMISSION_DENIED,
    message: `${actor} is ${roleName(role)}; ${method} needs more.`,
  });
}

function noCandidate(name: string): Failure {
  return new Failure({
    code: ErrorCode.PERMISSION_DENIED,
    message: `${name} is a plain member: it hands nothing to the leader.`,
    hint: "Ask at the leader itself.",
  });
}

export function notLeader(leader: string | null): Failure {
  return new Failure({
    code: ErrorCode.NOT_LEADER,
    message: leader === null ? "Nobody leads the cluster at the moment." : `The cluster is led by ${leader}.`,
    hint: leader === null ? "Try again in a few seconds." : `Ask at ${leader}.`,
    retryable: leader === null,
  });
}
