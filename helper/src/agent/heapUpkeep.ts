/**
 * Makes the heap small again when a burst is over. V8 collects when something is allocated: an agent that rests afterwards
 * keeps the pages of everything that the burst has left, for hours, and they are several times what is in use.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const MIB = 1024 * 1024;
/**
 * Grown by less than this since the last time, or by less than this part, it is not worth the pause: 25 ms of processor time for
 * a heap of 8 MiB in use, 75 ms for 46 MiB, 210 ms for 154 MiB (measured; several collections, and code has to be made ready anew).
 */
const WORTH_BYTES = 8 * MIB;
const WORTH_PART = 0.25;
/** Of its time a thread that rests is busy at most so much. */
const RESTING_BELOW = 0.05;

export interface HeapPorts {
  /** In pages that are there, used or not. */
  readonly heapBytes: () => number;
  /** Processor time of this thread since it was last asked for, as a part of that time; 0 to 1. */
  readonly busyPart: () => number;
  /** Collects all garbage and gives its pages back. Meanwhile nothing else happens in this thread. */
  readonly collect: () => void;
}

export class HeapUpkeep {
  readonly #ports: HeapPorts;
  #smallBytes = 0;

  constructor(ports: HeapPorts = threadHeap()) {
    this.#ports = ports;
  }

  /** Call regularly: what is seen is the time since the last call. */
  look(): void {
    const { heapBytes, busyPart, collect } = this.#ports;
    const isResting = busyPart() < RESTING_BELOW;
    const worthBytes = Math.max(WORTH_BYTES, this.#smallBytes * WORTH_PART);
    if (!isResting || heapBytes() < this.#smallBytes + worthBytes) return;
    collect();
    this.#smallBytes = heapBytes();
  }
}

/** The heap of the thread that calls. */
function threadHeap(): HeapPorts {
  // Not how long the loop was at work: on a host that is short of processors that says nothing.
  let before = threadTimes();
  return {
    heapBytes: () => getHeapStatistics().total_physical_size,
    busyPart: () => {
      const now = threadTimes();
      const part = (now.processorUs - before.processorUs) / Math.max(1, now.steadyUs - before.steadyUs);
      before = now;
      return part;
    },
    collect: collectGarbage,
  };
}

function threadTimes() {
  const { user, system } = process.threadCpuUsage();
  return { processorUs: user + system, steadyUs: performance.now() * 1000 };
}

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

/** V8 has it for memory that is short, which is the only kind of collection that makes a heap small. */
export function collectGarbage(): void {
  // Seen only by contexts that are made from now on.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  collect({ type: "major", flavor: "last-resort" });
}
