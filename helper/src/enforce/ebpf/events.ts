/** Drains the rings on a timer and turns records into flow events. */
import { RingBuffer } from "../../linux/bpf/ringBuffer.ts";
import type { FlowEvent, FlowEventKind, FlowHook } from "../enforcer.ts";
import { EVENT } from "./layout.ts";
import { readAddress, readProcess } from "./recordTexts.ts";
import type { PinnedTree } from "./tree.ts";

const DRAIN_INTERVAL_MS = 80;
/** Bounds the time that one drain keeps the event loop; what is left waits in the ring, and a full ring counts losses. */
const MAX_EVENTS_PER_DRAIN = 20_000;
const KINDS: readonly (FlowEventKind | undefined)[] = [undefined, "start", "end", "deny"];

const HOOKS: readonly FlowHook[] = ["socket", "connect", "edge"];

/** `null` for a record of another size or kind, which only a foreign program could have written. */
export function decodeEvent(
  view: DataView,
  offset: number,
  length: number,
  generationOf: (epoch: number) => number,
): FlowEvent | null {
  const kind = KINDS[view.getUint8(offset + EVENT.kind)];
  if (length !== EVENT.size || kind === undefined) return null;
  const originatorBytes = view.getBigUint64(offset + EVENT.originatorBytes, true);
  const responderBytes = view.getBigUint64(offset + EVENT.responderBytes, true);
  return {
    kind,
    hook: HOOKS[view.getUint8(offset + EVENT.hook)] ?? "socket",
    process: readProcess(view, offset + EVENT.owner),
    bootNs: view.getBigUint64(offset + EVENT.bootNs, true),
    generation: generationOf(view.getUint32(offset + EVENT.epoch, true)),
    decision: view.getUint32(offset + EVENT.decision, true),
    verdict: view.getUint8(offset + EVENT.verdict) === 1 ? "deny" : "allow",
    enforced: view.getUint8(offset + EVENT.enforced) === 1 ? "deny" : "allow",
    direction: view.getUint8(offset + EVENT.direction) === 1 ? "egress" : "ingress",
    protocol: view.getUint8(offset + EVENT.protocol),
    sourceAddress: readAddress(view, offset + EVENT.source),
    sourcePort: view.getUint16(offset + EVENT.sourcePort, true),
    destinationAddress: readAddress(view, offset + EVENT.destination),
    destinationPort: view.getUint16(offset + EVENT.destinationPort, true),
    set: view.getUint32(offset + EVENT.set, true),
    cgroupId: view.getBigUint64(offset + EVENT.cgroupId, true),
    packets: view.getBigUint64(offset + EVENT.packets, true),
    bytes: originatorBytes + responderBytes,
    originatorBytes,
    responderBytes,
  };
}

export type EventListener = (events: readonly FlowEvent[]) => void;

export class EventDrain {
  readonly #rings: readonly RingBuffer[];
  readonly #generationOf: (epoch: number) => number;
  readonly #listeners = new Set<EventListener>();
  readonly #timer: NodeJS.Timeout;

  constructor(tree: PinnedTree, generationOf: (epoch: number) => number) {
    // Denies first: they are few and matter most.
    this.#rings = [new RingBuffer(tree.maps.wl_deny_ring), new RingBuffer(tree.maps.wl_flow_ring)];
    this.#generationOf = generationOf;
    this.#timer = setInterval(() => this.drain(), DRAIN_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Nothing is taken from the rings while nobody listens, so that a restart does not lose what waits there. */
  listen(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Hands events that the agent itself made (ended by idleness) to the listeners. */
  publish(events: readonly FlowEvent[]): void {
    if (events.length > 0) for (const listener of this.#listeners) listener(events);
  }

  drain(): void {
    if (this.#listeners.size === 0) return;
    const events: FlowEvent[] = [];
    for (const ring of this.#rings)
      ring.drain((view, offset, length) => {
        const event = decodeEvent(view, offset, length, this.#generationOf);
        if (event !== null) events.push(event);
      }, MAX_EVENTS_PER_DRAIN);
    // Two rings were read one after the other; readers expect time order.
    events.sort((left, right) => (left.bootNs < right.bootNs ? -1 : left.bootNs > right.bootNs ? 1 : 0));
    this.publish(events);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
    for (const ring of this.#rings) ring.close();
  }
}
