/** Records by hand, for tests. */
import type { FlowRecord } from "../../flows/record.ts";

export const START_MS = Date.UTC(2026, 8, 7, 9);

/** A connection that was answered, in the window of `atMs`, with what differs. */
export function flowRecord(atMs: number, changes: Partial<FlowRecord> = {}): FlowRecord {
  const windowStartMs = Math.floor(atMs / 10_000) * 10_000;
  return {
    host: "web-1",
    windowStartMs,
    windowMs: 10_000,
    firstSeenMs: atMs,
    lastSeenMs: atMs,
    direction: "egress",
    protocol: 6,
    sourceAddress: "10.0.0.1",
    destinationAddress: "10.0.0.2",
    destinationPort: 443,
    sourceName: "",
    destinationName: "",
    observedName: "",
    verdict: "allow",
    enforced: "allow",
    policyKeys: [],
    decisionSummary: "",
    subjectKey: "host:web-1",
    cgroupPath: "",
    process: { pid: 7, userId: 0, userName: "root", command: "curl", executable: "/usr/bin/curl" },
    started: 1,
    ended: 1,
    deniedPackets: 0,
    packets: 8,
    originatorBytes: 600,
    responderBytes: 900,
    foldedFlows: 0,
    ...changes,
  };
}

/** By window, in order. */
export function inWindows(records: readonly FlowRecord[]): FlowRecord[][] {
  const windows = new Map<number, FlowRecord[]>();
  for (const record of [...records].sort((left, right) => left.windowStartMs - right.windowStartMs)) {
    const window = windows.get(record.windowStartMs) ?? [];
    window.push(record);
    windows.set(record.windowStartMs, window);
  }
  return [...windows.values()];
}
