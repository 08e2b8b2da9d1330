/** Removes flows that fell silent, so that their end is reported and their room is free. */

import { lookupAndDeleteElement, readBatches } from "../../linux/bpf/libbpf.ts";
import type { FlowEvent } from "../enforcer.ts";
import { idleLimitSeconds, secondsAt, silentEnd } from "./flowEntry.ts";
import { FLOW, FLOW_FLAG, FLOW_KEY } from "./layout.ts";

/** The datapath itself stops honouring an entry at its limit; the sweep comes later, so that the two never race. */
const MARGIN_SECONDS = 2;
const INTERVAL_MS = 5_000;
/** Each costs a system call: so many keep the event loop for some 20 ms, and the rest waits for the next turn. */
const MAX_REMOVED_AT_ONCE = 2_000;
const NEXT_TURN_MS = 50;

/** Now, on the clock that entries are stamped with, and on the one that events carry. */
export interface SweepClocks {
  readonly monotonicNs: bigint;
  readonly bootNs: bigint;
}

/** Keys of idle flows, at most `limit`. */
function findIdle(flowsFd: number, nowSeconds: number, limit: number): Buffer[] {
  const idle: Buffer[] = [];
  for (const batch of readBatches(flowsFd, { keySize: FLOW_KEY.size, valueSize: FLOW.size, cursorSize: 4 })) {
    for (let position = 0; position < batch.count; position++) {
      const key = position * FLOW_KEY.size;
      const flow = position * FLOW.size;
      const flags = batch.values.readUInt32LE(flow + FLOW.flags);
      const idleSeconds = idleLimitSeconds(batch.keys.readUInt8(key + FLOW_KEY.protocol), flags) + MARGIN_SECONDS;
      if (nowSeconds - secondsAt(batch.values, flow + FLOW.lastSeenNs) <= idleSeconds) continue;
      idle.push(Buffer.from(batch.keys.subarray(key, key + FLOW_KEY.size)));
      if (idle.length === limit) return idle;
    }
  }
  return idle;
}

export interface Sweep {
  /** The end of each flow that was not reported yet. */
  readonly ends: readonly FlowEvent[];
  /** Whether the limit was reached: more may be idle. */
  readonly isFull: boolean;
}

/** Deletes idle flows, at most `limit`. */
export function sweepFlows(
  flowsFd: number,
  { monotonicNs, bootNs }: SweepClocks,
  generationOf: (epoch: number) => number,
  limit = MAX_REMOVED_AT_ONCE,
): Sweep {
  const idle = findIdle(flowsFd, Number(monotonicNs) / 1e9, limit);
  const flow = Buffer.alloc(FLOW.size);
  const ends = idle.flatMap((key) => {
    if (!lookupAndDeleteElement(flowsFd, key, flow)) return [];
    const reported = (flow.readUInt32LE(FLOW.flags) & FLOW_FLAG.ended) !== 0;
    const generation = generationOf(flow.readUInt32LE(FLOW.epoch));
    return reported ? [] : [silentEnd({ keys: key, key: 0, values: flow, value: 0 }, bootNs, generation)];
  });
  return { ends, isFull: idle.length === limit };
}

/** Sweeps every five seconds, and on at once while there is more to remove than one turn takes. */
export class FlowSweeper {
  readonly #sweep: () => Sweep;
  readonly #publish: (ends: readonly FlowEvent[]) => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(sweep: () => Sweep, publish: (ends: readonly FlowEvent[]) => void) {
    this.#sweep = sweep;
    this.#publish = publish;
    this.#schedule(INTERVAL_MS);
  }

  run(): void {
    const { ends, isFull } = this.#sweep();
    this.#schedule(isFull ? NEXT_TURN_MS : INTERVAL_MS);
    this.#publish(ends);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    this.close();
    this.#timer = setTimeout(() => this.run(), delayMs);
    this.#timer.unref();
  }
}
