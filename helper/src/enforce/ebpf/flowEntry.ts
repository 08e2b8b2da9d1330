/** Entries of the flow table, as flows and as ends of flows. */
import { PROTOCOL } from "@wardline/domain/policy";
import type { FlowEvent, FlowProgress } from "../enforcer.ts";
import { FLOW, FLOW_FLAG, FLOW_KEY, TIMEOUT_SECONDS } from "./layout.ts";
import { readAddress } from "./recordTexts.ts";

/** An entry in the memory of a batch. */
export interface FlowEntry {
  readonly keys: Buffer;
  readonly key: number;
  readonly values: Buffer;
  readonly value: number;
}

type FlowIdentity = Omit<FlowEvent, "kind" | "process" | "bootNs" | "enforced">;

/** The same rule as `idle_limit_ns` in the programs. */
export function idleLimitSeconds(protocol: number, flags: number): number {
  if ((flags & FLOW_FLAG.ended) !== 0) return TIMEOUT_SECONDS.ended;
  const answered = (flags & FLOW_FLAG.answered) !== 0;
  if (protocol === PROTOCOL.tcp || protocol === PROTOCOL.sctp) {
    if ((flags & (FLOW_FLAG.finIngress | FLOW_FLAG.finEgress)) !== 0) return TIMEOUT_SECONDS.tcpClosing;
    return answered ? TIMEOUT_SECONDS.tcpEstablished : TIMEOUT_SECONDS.tcpOpening;
  }
  if (protocol === PROTOCOL.udp) return answered ? TIMEOUT_SECONDS.udpAnswered : TIMEOUT_SECONDS.udpOpening;
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) return TIMEOUT_SECONDS.icmp;
  return TIMEOUT_SECONDS.other;
}

/** Who, where to, by which decision, and what it has carried. A flow in the table is let through, whatever its verdict. */
export function readFlow({ keys, key, values, value }: FlowEntry, generation: number): FlowIdentity {
  const view = new DataView(keys.buffer, keys.byteOffset, keys.length);
  const egress = values.readUInt8(value + FLOW.direction) === 1;
  const flags = values.readUInt32LE(value + FLOW.flags);
  const protocol = keys.readUInt8(key + FLOW_KEY.protocol);
  const isIcmp = protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6;
  const local = readAddress(view, key + FLOW_KEY.local);
  const remote = readAddress(view, key + FLOW_KEY.remote);
  const openerPort = keys.readUInt16LE(key + (egress ? FLOW_KEY.localPort : FLOW_KEY.remotePort));
  const originatorBytes = values.readBigUInt64LE(value + FLOW.originatorBytes);
  const responderBytes = values.readBigUInt64LE(value + FLOW.responderBytes);
  return {
    hook: (flags & FLOW_FLAG.forwarded) !== 0 ? "edge" : "socket",
    generation,
    decision: values.readUInt32LE(value + FLOW.decision),
    verdict: (flags & FLOW_FLAG.denied) !== 0 ? "deny" : "allow",
    direction: egress ? "egress" : "ingress",
    protocol,
    sourceAddress: egress ? local : remote,
    sourcePort: isIcmp ? 0 : openerPort,
    destinationAddress: egress ? remote : local,
    destinationPort: values.readUInt16LE(value + FLOW.policyPort),
    set: values.readUInt32LE(value + FLOW.set),
    cgroupId: values.readBigUInt64LE(value + FLOW.cgroupId),
    packets: values.readBigUInt64LE(value + FLOW.packets),
    bytes: originatorBytes + responderBytes,
    originatorBytes,
    responderBytes,
  };
}

/** The end of a flow that fell silent. */
export function silentEnd(entry: FlowEntry, bootNs: bigint, generation: number): FlowEvent {
  return { kind: "end", process: null, bootNs, ...readFlow(entry, generation), enforced: "allow" };
}

export function readProgress(entry: FlowEntry, lastSeenBootNs: bigint, generation: number): FlowProgress {
  return { ...readFlow(entry, generation), enforced: "allow", lastSeenBootNs };
}

/** Seconds as a number: a whole table is read at once, and large integers would be most of its cost. */
export function secondsAt(values: Buffer, offset: number): number {
  return (values.readUInt32LE(offset + 4) * 2 ** 32 + values.readUInt32LE(offset)) / 1e9;
}
