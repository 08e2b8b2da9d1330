/**
 * What is recorded already of each flow that lives. The datapath says totals since a flow was opened; records have what a
 * window added. Nothing is added twice: not by an end after readings of progress, not after a restart, not when a reset was
 * forged and the connection goes on.
 *
 * Times order events against readings: an event that is not younger than what is known of its flow adds nothing.
 */
import { PROTOCOL } from "@wardline/domain/policy";
import type { FlowEvent, FlowProgress } from "../../enforce/enforcer.ts";

/** Twice the datapath's table, at some 190 bytes each; what has no room is counted when it ends. */
export const MAX_FLOWS = 131_072;
/** Ended ones are remembered for as long as the datapath may still bring them back: its own limit is 10 s. */
const REMEMBER_ENDED_US = 15_000_000;
const MAX_ENDED = 16_384;
/** A flow that so many whole readings did not have is not in the datapath's table any more. */
const GONE_AFTER_PASSES = 3;

/** What of a flow is the same in an event and in a reading. */
export type CountedFlow = Omit<FlowEvent, "kind" | "process" | "bootNs">;

export interface SeenProcess {
  readonly pid: number;
  readonly userId: number;
  readonly command: string;
  readonly executable: string;
}

export class FlowBaseline {
  readonly key: string;
  packets = 0;
  originatorBytes = 0;
  responderBytes = 0;
  /** Microseconds on the boot clock. */
  atUs = 0;
  pass: number;
  isEnded = false;
  isDirty = false;
  isPersisted = false;
  /** Of its start: what goes on is the same process's. Forgotten at a restart. */
  process: SeenProcess | null = null;

  constructor(key: string, pass: number) {
    this.key = key;
    this.pass = pass;
  }
}

/** One flow as it is kept on the disk: key, packets, bytes of originator and responder, time in µs of the boot clock. */
export type BaselineRow = readonly [string, number, number, number, number];

export interface BaselineChanges {
  /** Gone; before `set`. */
  readonly removed: readonly string[];
  readonly set: readonly BaselineRow[];
}

/** What the last call added; the same object each time. */
export interface Added {
  packets: number;
  originatorBytes: number;
  responderBytes: number;
}

export class FlowBaselines {
  readonly added: Added = { packets: 0, originatorBytes: 0, responderBytes: 0 };
  readonly #flows = new Map<string, FlowBaseline>();
  #ended: FlowBaseline[] = [];
  #dirty: FlowBaseline[] = [];
  #removed: string[] = [];
  #pass = 0;
  #isFresh: boolean;

  /** `null` = nothing is known of the past: flows that are older than the first reading begin with it. */
  constructor(restored: Iterable<BaselineRow> | null) {
    this.#isFresh = restored === null;
    for (const [key, packets, originatorBytes, responderBytes, atUs] of restored ?? []) {
      const flow = new FlowBaseline(key, 0);
      Object.assign(flow, { packets, originatorBytes, responderBytes, atUs, isPersisted: true });
      this.#flows.set(key, flow);
    }
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Fills `added` with what a start says. */
  start(event: FlowEvent): FlowBaseline | null {
    this.#addNothing();
    if (isIcmp(event)) return null;
    const key = keyOf(event);
    const atUs = Number(event.bootNs) / 1000;
    const known = this.#flows.get(key);
    // What has no room counts when it ends.
    const flow = known ?? this.#make(key);
    if (flow === null || (known !== undefined && atUs <= known.atUs)) return flow;
    if (!(flow.isEnded && Number(event.packets) > flow.packets)) this.#restart(flow);
    // Otherwise a reset was not one: the connection goes on with the counts that it had.
    flow.isEnded = false;
    this.#advance(flow, event, atUs);
    return flow;
  }

  /** Fills `added` with what the end of a flow says that was not known. */
  end(event: FlowEvent): FlowBaseline | null {
    this.#addNothing();
    if (isIcmp(event)) {
      this.#addAll(event);
      return null;
    }
    const atUs = Number(event.bootNs) / 1000;
    const key = keyOf(event);
    const known = this.#flows.get(key);
    const flow = known ?? this.#make(key);
    if (flow === null) {
      this.#addAll(event);
      return null;
    }
    if (known !== undefined && Number(event.packets) < flow.packets) {
      // An older flow of the same ends: what is known is the younger's.
      if (atUs <= flow.atUs) return flow;
      this.#restart(flow);
    }
    this.#advance(flow, event, atUs);
    if (known === undefined && this.#isFresh) this.#addNothing();
    this.#markEnded(flow);
    return flow;
  }

  /** Fills `added` with what a reading of a living flow says that was not known. */
  progress(reading: FlowProgress, readAtUs: number): FlowBaseline | null {
    this.#addNothing();
    if (isIcmp(reading)) return null;
    const key = keyOf(reading);
    const known = this.#flows.get(key);
    const flow = known ?? this.#make(key);
    if (flow === null) return null;
    flow.pass = this.#pass;
    const packets = Number(reading.packets);
    if (packets === flow.packets) return flow;
    if (flow.isEnded && packets < flow.packets) return flow;
    if (packets < flow.packets) this.#restart(flow);
    flow.isEnded = false;
    this.#advance(flow, reading, readAtUs);
    if (known === undefined && this.#isFresh) this.#addNothing();
    return flow;
  }

  /** Call before a reading of all living flows. */
  beginPass(): void {
    this.#pass += 1;
  }

  /** Call when a reading of all living flows came to its end: what it never has is forgotten. */
  endPass(): void {
    this.#isFresh = false;
    for (const flow of this.#flows.values())
      if (!flow.isEnded && this.#pass - flow.pass >= GONE_AFTER_PASSES) this.#forget(flow);
  }

  /** Forgets flows that ended long enough ago. */
  forgetEnded(nowUs: number): void {
    const limitUs = nowUs - REMEMBER_ENDED_US;
    let count = 0;
    while (count < this.#ended.length && (this.#ended[count]?.atUs ?? 0) < limitUs) count += 1;
    this.#dropEnded(count);
  }

  /** What changed since the last call, for the disk. */
  takeChanges(): BaselineChanges {
    const set: BaselineRow[] = [];
    for (const flow of this.#dirty) {
      flow.isDirty = false;
      if (flow.isEnded || this.#flows.get(flow.key) !== flow) continue;
      flow.isPersisted = true;
      set.push([flow.key, flow.packets, flow.originatorBytes, flow.responderBytes, Math.round(flow.atUs)]);
    }
    const changes = { removed: this.#removed, set };
    this.#dirty = [];
    this.#removed = [];
    return changes;
  }

  #make(key: string): FlowBaseline | null {
    if (this.#flows.size >= MAX_FLOWS) return null;
    const flow = new FlowBaseline(key, this.#pass);
    this.#flows.set(key, flow);
    return flow;
  }

  /** The same ends, another flow: the end of the one before was lost. */
  #restart(flow: FlowBaseline): void {
    flow.packets = 0;
    flow.originatorBytes = 0;
    flow.responderBytes = 0;
    flow.process = null;
  }

  #advance(flow: FlowBaseline, { packets, originatorBytes, responderBytes }: CountedFlow, atUs: number): void {
    const { added } = this;
    added.packets = Math.max(0, Number(packets) - flow.packets);
    added.originatorBytes = Math.max(0, Number(originatorBytes) - flow.originatorBytes);
    added.responderBytes = Math.max(0, Number(responderBytes) - flow.responderBytes);
    flow.packets += added.packets;
    flow.originatorBytes += added.originatorBytes;
    flow.responderBytes += added.responderBytes;
    flow.atUs = Math.max(flow.atUs, atUs);
    flow.pass = this.#pass;
    if (flow.isDirty) return;
    flow.isDirty = true;
    this.#dirty.push(flow);
  }

  #markEnded(flow: FlowBaseline): void {
    if (flow.isPersisted) this.#removed.push(flow.key);
    flow.isPersisted = false;
    if (!flow.isEnded) this.#ended.push(flow);
    flow.isEnded = true;
    if (this.#ended.length > MAX_ENDED * 1.25) this.#dropEnded(this.#ended.length - MAX_ENDED);
  }

  #dropEnded(count: number): void {
    if (count === 0) return;
    for (const flow of this.#ended.slice(0, count)) if (flow.isEnded) this.#forget(flow);
    this.#ended = this.#ended.slice(count);
  }

  #forget(flow: FlowBaseline): void {
    if (flow.isPersisted) this.#removed.push(flow.key);
    flow.isPersisted = false;
    if (this.#flows.get(flow.key) === flow) this.#flows.delete(flow.key);
  }

  #addNothing(): void {
    const { added } = this;
    added.packets = 0;
    added.originatorBytes = 0;
    added.responderBytes = 0;
  }

  #addAll({ packets, originatorBytes, responderBytes }: CountedFlow): void {
    const { added } = this;
    added.packets = Number(packets);
    added.originatorBytes = Number(originatorBytes);
    added.responderBytes = Number(responderBytes);
  }
}

/** Events do not say the identifier of an echo, so several of its flows look the same: they are counted when they end. */
function isIcmp({ protocol }: CountedFlow): boolean {
  return protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6;
}

/** With the direction: both ends of a connection may be on this host. */
function keyOf(flow: CountedFlow): string {
  const { direction, protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } = flow;
  const way = protocol * 2 + (direction === "egress" ? 1 : 0);
  return `${way} ${sourceAddress} ${sourcePort} ${destinationAddress} ${destinationPort}`;
}
