/** Removes flows that fell silent, so that their end is reported and their room is free. */

import { PROTOCOL } from "@wardline/domain/policy";
import { lookupAndDeleteElement, readBatches } from "../../linux/bpf/libbpf.ts";
import type { FlowEvent } from "../enforcer.ts";
import { readAddress } from "./events.ts";
import { FLOW, FLOW_FLAG, FLOW_KEY, RESULT_DENY, TIMEOUT_SECONDS } from "./layout.ts";

const SECOND_NS = 1_000_000_000n;
/** The datapath itself stops honouring an entry at its limit; the sweep comes later, so that the two never race. */
const MARGIN_SECONDS = 2;

/** The same rule as `idle_limit_ns` in bpf/src/flows.h. */
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

function endEvent(key: Buffer, flow: Buffer, nowNs: bigint, generationOf: (epoch: number) => number): FlowEvent {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  const egress = flow.readUInt8(FLOW.direction) === 1;
  const protocol = key.readUInt8(FLOW_KEY.protocol);
  const isIcmp = protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6;
  const local = readAddress(view, FLOW_KEY.local);
  const remote = readAddress(view, FLOW_KEY.remote);
  const openerPort = key.readUInt16LE(egress ? FLOW_KEY.localPort : FLOW_KEY.remotePort);
  return {
    kind: "end",
    hook: (flow.readUInt32LE(FLOW.flags) & FLOW_FLAG.forwarded) !== 0 ? "edge" : "socket",
    process: null,
    bootNs: nowNs,
    generation: generationOf(flow.readUInt32LE(FLOW.epoch)),
    decision: flow.readUInt32LE(FLOW.decision),
    verdict: (flow.readUInt32LE(FLOW.flags) & RESULT_DENY) !== 0 ? "deny" : "allow",
    enforced: "allow",
    direction: egress ? "egress" : "ingress",
    protocol,
    sourceAddress: egress ? local : remote,
    sourcePort: isIcmp ? 0 : openerPort,
    destinationAddress: egress ? remote : local,
    destinationPort: flow.readUInt16LE(FLOW.policyPort),
    set: flow.readUInt32LE(FLOW.set),
    cgroupId: flow.readBigUInt64LE(FLOW.cgroupId),
    packets: flow.readBigUInt64LE(FLOW.packets),
    bytes: flow.readBigUInt64LE(FLOW.bytes),
  };
}

/** Deletes idle flows and returns the end of each one that was not reported yet. */
export function sweepFlows(
  flowsFd: number,
  /** Now, on the clock that entries are stamped with, and on the one that events carry. */
  { monotonicNs, bootNs }: { readonly monotonicNs: bigint; readonly bootNs: bigint },
  generationOf: (epoch: number) => number,
): readonly FlowEvent[] {
  const idle: Buffer[] = [];
  for (const batch of readBatches(flowsFd, { keySize: FLOW_KEY.size, valueSize: FLOW.size, cursorSize: 4 })) {
    for (let position = 0; position < batch.count; position++) {
      const key = position * FLOW_KEY.size;
      const flow = position * FLOW.size;
      const flags = batch.values.readUInt32LE(flow + FLOW.flags);
      const limit = idleLimitSeconds(batch.keys.readUInt8(key + FLOW_KEY.protocol), flags) + MARGIN_SECONDS;
      const silentNs = monotonicNs - batch.values.readBigUInt64LE(flow + FLOW.lastSeenNs);
      if (silentNs > BigInt(limit) * SECOND_NS) idle.push(Buffer.from(batch.keys.subarray(key, key + FLOW_KEY.size)));
    }
  }
  const flow = Buffer.alloc(FLOW.size);
  return idle.flatMap((key) => {
    if (!lookupAndDeleteElement(flowsFd, key, flow)) return [];
    const reported = (flow.readUInt32LE(FLOW.flags) & FLOW_FLAG.ended) !== 0;
    return reported ? [] : [endEvent(key, flow, bootNs, generationOf)];
  });
}
