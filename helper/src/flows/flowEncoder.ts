/**
 * Flows as the bytes of their messages. At twenty thousand events a second, making message objects and encoding them field
 * by field through the description of their type is half of the agent's work; what they say repeats from flow to flow.
 * `toWireFlow` stays the description of what is written here, and a test holds the two together.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchFlowsResponseSchema } from "@wardline/api/wardline/agent/v1/agent";
import { FlowProcessSchema, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { DecisionSchema } from "@wardline/api/wardline/v1/policy";
import type { Direction } from "@wardline/domain/policy";
import { toWireDecision, toWireDirection, toWireVerdict } from "@wardline/domain/wire";
import type { FlowProcess } from "../enforce/enforcer.ts";
import type { GenerationContext } from "../generations/contexts.ts";
import { type FlowSurroundings, HOOKS, type KeptFlow, KINDS, namesOf } from "./flowMessage.ts";
import { WIRE_TYPE, WireWriter } from "./wireWriter.ts";

const FLOW = FlowSchema.field;
const PROCESS = FlowProcessSchema.field;
const FLOWS_FIELD = WatchFlowsResponseSchema.field.flows.number;
/** Its number is below 16, so that its tag is one byte. */
const FLOWS_TAG_BYTES = 1;
const SECONDS_FIELD = 1;
const NANOS_FIELD = 2;

/** A field of a message that its own type does not decode: how protobuf-es carries bytes through. */
export interface EncodedField {
  readonly no: number;
  readonly wireType: number;
  readonly data: Uint8Array;
}

/** Encoded decisions of one generation, by index and direction. */
class DecisionBytes {
  readonly #context: GenerationContext;
  readonly #known = new Map<number, Uint8Array | null>();

  constructor(context: GenerationContext) {
    this.#context = context;
  }

  get(index: number, direction: Direction): Uint8Array | null {
    const key = index * 2 + Number(direction === "egress");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const decision = this.#context.program.decisions[index];
    const encoded = decision ? toBinary(DecisionSchema, toWireDecision(decision, direction)) : null;
    this.#known.set(key, encoded);
    return encoded;
  }
}

export class FlowEncoder {
  readonly #writer = new WireWriter();
  readonly #decisions = new WeakMap<GenerationContext, DecisionBytes>();

  /** The `flows` of a `WatchFlowsResponse`, for its `$unknown`; nothing when there are none. */
  encode(flows: readonly KeptFlow[], surroundings: FlowSurroundings): EncodedField[] {
    if (flows.length === 0) return [];
    this.#writer.reset();
    for (const flow of flows) this.#writer.message(FLOWS_FIELD, () => this.#write(flow, surroundings));
    // The library writes the first tag by itself.
    const data = this.#writer.finish().subarray(FLOWS_TAG_BYTES);
    return [{ no: FLOWS_FIELD, wireType: WIRE_TYPE.lengthDelimited, data }];
  }

  #write(kept: KeptFlow, surroundings: FlowSurroundings): void {
    const writer = this.#writer;
    const { event } = kept;
    const context = surroundings.contextOf(event.generation);
    const subjectKey = context?.program.sets[event.set]?.endpointKey ?? "";
    const { sourceName, destinationName } = namesOf(event, context, subjectKey);
    writer.bigint(FLOW.id.number, kept.id);
    writer.text(FLOW.host.number, surroundings.hostName);
    this.#time(surroundings.wallMsOf(event.bootNs));
    writer.number(FLOW.kind.number, KINDS[event.kind]);
    writer.number(FLOW.direction.number, toWireDirection(event.direction));
    writer.number(FLOW.protocol.number, event.protocol);
    writer.text(FLOW.sourceAddress.number, event.sourceAddress);
    writer.number(FLOW.sourcePort.number, event.sourcePort);
    writer.text(FLOW.destinationAddress.number, event.destinationAddress);
    writer.number(FLOW.destinationPort.number, event.destinationPort);
    writer.text(FLOW.sourceName.number, sourceName);
    writer.text(FLOW.destinationName.number, destinationName);
    writer.number(FLOW.verdict.number, toWireVerdict(event.verdict));
    writer.number(FLOW.enforced.number, toWireVerdict(event.enforced));
    const decision = context ? this.#decisionsOf(context).get(event.decision, event.direction) : null;
    if (decision) writer.encoded(FLOW.decision.number, decision);
    writer.number(FLOW.generation.number, event.generation);
    writer.text(FLOW.subjectKey.number, subjectKey);
    writer.text(FLOW.cgroupPath.number, kept.cgroupPath);
    writer.bigint(FLOW.packets.number, event.packets);
    writer.bigint(FLOW.bytes.number, event.bytes);
    if (event.process) this.#process(event.process, kept.executable, surroundings);
    writer.number(FLOW.hook.number, HOOKS[event.hook]);
    writer.bigint(FLOW.originatorBytes.number, event.originatorBytes);
    writer.bigint(FLOW.responderBytes.number, event.responderBytes);
  }

  #time(wallMs: number): void {
    const seconds = Math.max(0, Math.floor(wallMs / 1000));
    this.#writer.message(FLOW.time.number, () => {
      this.#writer.number(SECONDS_FIELD, seconds);
      this.#writer.number(NANOS_FIELD, Math.max(0, Math.floor((wallMs - seconds * 1000) * 1e6)));
    });
  }

  #process({ pid, userId, command }: FlowProcess, executable: string, { userNameOf }: FlowSurroundings): void {
    const writer = this.#writer;
    writer.message(FLOW.process.number, () => {
      writer.number(PROCESS.pid.number, pid);
      writer.number(PROCESS.userId.number, userId);
      writer.text(PROCESS.userName.number, userNameOf(userId));
      writer.text(PROCESS.command.number, command);
      writer.text(PROCESS.executable.number, executable);
    });
  }

  #decisionsOf(context: GenerationContext): DecisionBytes {
    const known = this.#decisions.get(context) ?? new DecisionBytes(context);
    this.#decisions.set(context, known);
    return known;
  }
}

/** A response with flows that are encoded already. */
export function flowsResponse(sequence: bigint, flows: readonly EncodedField[]) {
  const response = create(WatchFlowsResponseSchema, { sequence });
  response.$unknown = [...flows];
  return response;
}
