import type { FlowEvent, FlowProgress } from "../enforce/enforcer.ts";

/** A denied connection from `alpha` to `shop/web` of the fake inventory. */
export function flowEvent(over: Partial<FlowEvent> = {}): FlowEvent {
  return {
    kind: "deny",
    hook: "socket",
    process: null,
    bootNs: 1n,
    generation: 1,
    decision: 0,
    verdict: "deny",
    enforced: "deny",
    direction: "egress",
    protocol: 6,
    sourceAddress: "10.0.0.1",
    sourcePort: 40_000,
    destinationAddress: "10.0.0.2",
    destinationPort: 443,
    set: 0,
    cgroupId: 0n,
    packets: 1n,
    bytes: 60n,
    originatorBytes: 60n,
    responderBytes: 0n,
    ...over,
  };
}

/** What the connection of {@link flowEvent} has carried so far, were it allowed. */
export function flowProgress(over: Partial<FlowProgress> = {}): FlowProgress {
  const { kind: _kind, process: _process, bootNs, ...flow } = flowEvent({ verdict: "allow", enforced: "allow" });
  return { ...flow, lastSeenBootNs: bootNs, ...over };
}
