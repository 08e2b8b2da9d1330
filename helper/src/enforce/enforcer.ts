/**
 * The one interface behind which a host enforces: `ebpf`, `nftables`, `pf`, `observe`.
 *
 * Two slots hold two programs of rules; one word says which is active. A backend that cannot honour a program refuses it
 * in `prepare` by name; nothing is approximated or downgraded in silence.
 */
import type { Direction, HostProgram, ProtocolNumber, Verdict } from "@wardline/domain/policy";

export type BackendName = "ebpf" | "nftables" | "pf" | "observe";
export type EnforcementMode = "observe" | "enforce";

export interface ProbedCapability {
  readonly name: string;
  readonly available: boolean;
  readonly detail: string;
}

/**
 * The emergency brake, above all policy: `open` lets everything pass, `closed` lets only the builtin decisions pass
 * (loopback, neighbour discovery, path MTU). Survives the agent; ends only by an explicit `none`.
 */
export type Emergency = "none" | "open" | "closed";

/** What the datapath is doing now, read from the datapath itself and not from memory. */
export interface DatapathState {
  readonly attached: boolean;
  /** 0 = nothing was ever activated. */
  readonly generation: number;
  readonly mode: EnforcementMode;
  /** Digest of the program in the active slot; empty when there is none. */
  readonly programDigest: string;
  /** Generation and digest in the other slot, which `revert` returns to; 0 and empty when there is none. */
  readonly previousGeneration: number;
  readonly previousProgramDigest: string;
  readonly previousMode: EnforcementMode;
  /** Boot-clock time in ms at which the datapath itself falls back to the other slot; `null` = no deadline. */
  readonly deadlineBootMs: number | null;
  /** True when that deadline has passed and the other slot therefore decides. */
  readonly expired: boolean;
  readonly emergency: Emergency;
}

/** A program that is loaded in the inactive slot, read back and self-tested. */
export interface PreparedProgram {
  readonly generation: number;
  readonly program: HostProgram;
  readonly timings: { readonly fillUs: number; readonly selfTestUs: number };
}

export interface ActivateOptions {
  readonly mode: EnforcementMode;
  /** The datapath falls back to the other slot by itself after this time, even when the agent is dead. `null` = never. */
  readonly fallbackAfterMs: number | null;
}

export type FlowEventKind = "start" | "end" | "deny";

/**
 * Where the datapath met the packet: `socket` (cgroup_skb, the authority), `connect` (refused before a packet was made),
 * `edge` (a packet without a socket here: closed port, inbound ICMP, forwarded).
 */
export type FlowHook = "socket" | "connect" | "edge";

/** Who opened, bound or connected the socket, as the kernel knew it at that moment. */
export interface FlowProcess {
  /** Process (thread group) id in the initial PID namespace. */
  readonly pid: number;
  readonly userId: number;
  /** The kernel's name of the process: at most 15 bytes. */
  readonly command: string;
}

export interface FlowEvent {
  readonly kind: FlowEventKind;
  readonly hook: FlowHook;
  /** `null` where the kernel does not say: no socket, a socket older than the agent, an end event. */
  readonly process: FlowProcess | null;
  /** Nanoseconds on the boot clock (CLOCK_BOOTTIME). */
  readonly bootNs: bigint;
  readonly generation: number;
  /** Index into the decisions of that generation's program. */
  readonly decision: number;
  readonly verdict: Verdict;
  /** What was done with the packet; differs from `verdict` in observe mode. */
  readonly enforced: Verdict;
  /** Direction of the connection as this host sees it. */
  readonly direction: Direction;
  readonly protocol: ProtocolNumber;
  /** The end that opened the connection. Canonical text. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  /** `type << 8 | code` for ICMP. */
  readonly destinationPort: number;
  readonly set: number;
  readonly cgroupId: bigint;
  readonly packets: bigint;
  /** With IP headers, as all bytes here. Always the sum of the two that follow. */
  readonly bytes: bigint;
  /** Sent by the end that opened the connection. */
  readonly originatorBytes: bigint;
  readonly responderBytes: bigint;
}

/**
 * A flow that lives, and what it has carried since it was opened: the identity and the counts that its end event will have.
 * A reading may lag behind the packets, never lead; see `flowProgress`.
 */
export interface FlowProgress extends Omit<FlowEvent, "kind" | "process" | "bootNs"> {
  /** When the datapath last heard of it, on the boot clock. */
  readonly lastSeenBootNs: bigint;
}

/** The answer of a backend that follows no flows. */
export async function* noFlowProgress(): AsyncIterable<readonly FlowProgress[]> {}

/** Events that were not delivered, by cause, since the programs were loaded. Delivered plus all of these = made. */
export interface EventLosses {
  /** Both rings. */
  readonly ringFull: bigint;
  readonly rateLimited: bigint;
  /** Flows that got their verdict but no entry in the flow table: reported, but not followed. No event was lost. */
  readonly notFollowed: bigint;
}

export interface DecisionCounter {
  readonly decision: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  /** 0 when never hit. */
  readonly lastSeenBootNs: bigint;
}

/** What one slot has counted since it was filled. */
export interface SlotCounters {
  /** Names the storage that counts. Counters under another name began at zero; those under the same one went on. */
  readonly storage: string;
  readonly generation: number;
  readonly programDigest: string;
  readonly counters: readonly DecisionCounter[];
}

/** The interface through which packets of the overlay come and go. */
export interface OverlayInterface {
  readonly name: string;
  readonly index: number;
}

export interface Enforcer {
  readonly name: BackendName;
  /** One sentence each: what this backend cannot do. */
  readonly limits: readonly string[];

  /** Adopts what an earlier process left pinned, or loads and attaches. Never changes a verdict of an adopted state. */
  open(): Promise<DatapathState>;
  state(): DatapathState;
  /** Fills the inactive slot, reads it back, self-tests it. No verdict changes. Throws `Failure`. */
  prepare(program: HostProgram, generation: number): Promise<PreparedProgram>;
  /** The flip: one word. Returns how long it took in microseconds. */
  activate(prepared: PreparedProgram, options: ActivateOptions): number;
  /** Keeps the active slot: clears the datapath's own deadline. */
  confirm(): void;
  /** Returns to the other slot in its former mode. */
  revert(): DatapathState;
  /** Pulls or lets go of the emergency brake, at once. Touches no slot. Throws `Failure` when the backend cannot. */
  setEmergency(emergency: Emergency): void;
  /**
   * Names the overlay's interface; `null` = there is none. A packet from 200::/7 on any other interface is forged, one to
   * it goes astray: both are denied as `spoofedOverlay` before any policy is asked. Takes effect at once and survives the
   * agent. Absent = the backend cannot tell: `limits` says so. Throws `Failure`.
   */
  setOverlay?(overlay: OverlayInterface | null): void;
  /** What of the interface is held in the datapath, also from an agent before this one; `null` = none. */
  heldOverlay?(): Partial<OverlayInterface> | null;
  /**
   * Names the program of a generation that `open` adopted from an earlier process, so that its workloads are followed
   * again. Ignored when no slot holds that generation and digest. Changes no verdict.
   */
  recall(program: HostProgram, generation: number): void;
  /** Counters of the active program, builtins included. Totals since that program became active. */
  readCounters(): readonly DecisionCounter[];
  /**
   * Counters of every slot that holds an activated program. A backend without slots leaves it out: then `readCounters` is
   * all there is, and what it counted since the last look is lost when a program is replaced.
   */
  slotCounters?(): readonly SlotCounters[];
  /**
   * Called with the last counters of a slot, right before they are lost (the slot is filled anew, or everything is
   * released); from then on `slotCounters` leaves them out. Must not throw. Returns the disposer.
   */
  onCountersEnd?(listener: (last: SlotCounters) => void): () => void;
  /** Events as they are drained (at most every 100 ms). Returns the disposer. */
  onEvents(listener: (events: readonly FlowEvent[]) => void): () => void;
  losses(): EventLosses;
  /**
   * Flows that live and of which the datapath heard since that time of the boot clock (0 = all), in batches between which
   * others get their turn. A flow that changes during the reading may be left out or come twice; its end event has its final
   * counts. The reading ends early when the enforcer is closed. Empty where the backend follows no flows: `limits` says so.
   */
  flowProgress(seenSinceBootNs: bigint): AsyncIterable<readonly FlowProgress[]>;
  /**
   * Names of the interfaces on which packets without a socket are decided too, or denied sources dropped early, each with
   * how (`eth0 (tcx)`). Absent = the backend has no such hook.
   */
  edgeInterfaces?(): readonly string[];
  /** Sentences about what this backend does not do as it was asked to; for the status. */
  problems?(): readonly string[];
  /** Detaches and removes everything. The host enforces nothing afterwards. */
  release(): Promise<void>;
  /** Ends this process's hold and leaves enforcement in place. */
  close(): Promise<void>;
}
