/** A decided flow as the wire carries it. */

import { create } from "@bufbuild/protobuf";
import {
  type Flow,
  FlowProcessSchema,
  FlowSchema,
  FlowHook as WireHook,
  FlowEventKind as WireKind,
} from "@wardline/api/wardline/v1/flow";
import { toWireDecision, toWireDirection, toWireVerdict } from "@wardline/domain/wire";
import { toTimestamp } from "../agent/clock.ts";
import type { FlowEvent, FlowEventKind, FlowHook } from "../enforce/enforcer.ts";
import type { GenerationContext } from "../generations/contexts.ts";

export const KINDS: Record<FlowEventKind, WireKind> = { start: WireKind.START, end: WireKind.END, deny: WireKind.DENY };
export const HOOKS: Record<FlowHook, WireHook> = {
  socket: WireHook.SOCKET,
  connect: WireHook.CONNECT,
  edge: WireHook.EDGE,
};

export interface KeptFlow {
  readonly id: bigint;
  readonly event: FlowEvent;
  /** Empty when unknown. */
  readonly cgroupPath: string;
  /** Path of the program; empty when unknown. */
  readonly executable: string;
}

export interface FlowSurroundings {
  readonly hostName: string;
  readonly contextOf: (generation: number) => GenerationContext | undefined;
  readonly wallMsOf: (bootNs: bigint) => number;
  /** Empty for a user that the host does not know. */
  readonly userNameOf: (userId: number) => string;
}

/** The subject's own end has the subject's name; the other end has the name of its address. */
export function namesOf(
  event: Pick<FlowEvent, "direction" | "sourceAddress" | "destinationAddress">,
  context: GenerationContext | undefined,
  subjectKey: string,
) {
  const subject = context?.nameByKey.get(subjectKey);
  const source = context?.nameByAddress.get(event.sourceAddress) ?? "";
  const destination = context?.nameByAddress.get(event.destinationAddress) ?? "";
  return event.direction === "egress"
    ? { sourceName: subject ?? source, destinationName: destination }
    : { sourceName: source, destinationName: subject ?? destination };
}

/** What `FlowEncoder` writes, as a message: the readable form, which tests hold the encoder to. */
export function toWireFlow(kept: KeptFlow, surroundings: FlowSurroundings): Flow {
  const { event } = kept;
  const context = surroundings.contextOf(event.generation);
  const subjectKey = context?.program.sets[event.set]?.endpointKey ?? "";
  const decision = context?.program.decisions[event.decision];
  const flow = create(FlowSchema, {
    id: kept.id,
    host: surroundings.hostName,
    time: toTimestamp(surroundings.wallMsOf(event.bootNs)),
    kind: KINDS[event.kind],
    hook: HOOKS[event.hook],
    direction: toWireDirection(event.direction),
    protocol: event.protocol,
    sourceAddress: event.sourceAddress,
    sourcePort: event.sourcePort,
    destinationAddress: event.destinationAddress,
    destinationPort: event.destinationPort,
    ...namesOf(event, context, subjectKey),
    verdict: toWireVerdict(event.verdict),
    enforced: toWireVerdict(event.enforced),
    generation: BigInt(event.generation),
    subjectKey,
    cgroupPath: kept.cgroupPath,
    packets: event.packets,
    bytes: event.bytes,
    originatorBytes: event.originatorBytes,
    responderBytes: event.responderBytes,
  });
  if (decision) flow.decision = toWireDecision(decision, event.direction);
  if (event.process) {
    const { pid, userId, command } = event.process;
    const userName = surroundings.userNameOf(userId);
    flow.process = create(FlowProcessSchema, { pid, userId, userName, command, executable: kept.executable });
  }
  return flow;
}
