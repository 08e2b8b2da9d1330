/** A rolled-up flow as pure logic looks at it: `wardline.v1.FlowRecord` with plain numbers and words. */
import type { Direction, Verdict } from "../policy/model.ts";

export interface FlowRecord {
  /** Name of the host that saw it. */
  readonly host: string;
  readonly windowStartMs: number;
  readonly windowMs: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** From the point of view of the host. */
  readonly direction: Direction;
  /** IP protocol number. */
  readonly protocol: number;
  /** The originator: the end that opened the connection. Canonical text. */
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  /** `type << 8 | code` for ICMP. */
  readonly destinationPort: number;
  /** Empty when unknown. */
  readonly sourceName: string;
  readonly destinationName: string;
  /** From DNS answers that the host saw, for its remote end; empty when unknown. */
  readonly observedName: string;
  readonly verdict: Verdict;
  readonly enforced: Verdict;
  /** Policies that decided, and in a word why; empty when the generation is unknown. */
  readonly policyKeys: readonly string[];
  readonly decisionSummary: string;
  readonly subjectKey: string;
  readonly cgroupPath: string;
  /** Empty fields and pid 0 when unknown or several. */
  readonly process: FlowRecordProcess;
  readonly started: number;
  readonly ended: number;
  readonly deniedPackets: number;
  readonly packets: number;
  readonly originatorBytes: number;
  readonly responderBytes: number;
  /** How many different flows were put together because there were too many; 0 = it is one. */
  readonly foldedFlows: number;
}

export interface FlowRecordProcess {
  readonly pid: number;
  readonly userId: number;
  readonly userName: string;
  /** The kernel's name, at most 15 bytes. */
  readonly command: string;
  readonly executable: string;
}

/** The end that is not the host. */
export function remoteAddressOf({ direction, sourceAddress, destinationAddress }: FlowRecord): string {
  return direction === "ingress" ? sourceAddress : destinationAddress;
}

/** Bytes that left the host, and bytes that came to it. */
export function bytesOf(record: FlowRecord): { readonly sent: number; readonly received: number } {
  const { direction, originatorBytes, responderBytes } = record;
  return direction === "egress"
    ? { sent: originatorBytes, received: responderBytes }
    : { sent: responderBytes, received: originatorBytes };
}
