/** How long the event loop was kept busy at a time. Only for tests. */
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface Turns<Result> {
  readonly result: Result;
  /** Most processor time of this thread between two timers: what a machine with others to serve does not distort. */
  readonly longestMs: number;
  /** Delay of timers, as somebody who waits has it. */
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
}

/** Watches this thread's turns while the work is under way. */
export async function watchTurns<Result>(work: () => Promise<Result>): Promise<Turns<Result>> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  let longestMs = 0;
  let last = processorMs();
  const look = () => {
    const now = processorMs();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  delay.enable();
  try {
    const result = await work();
    look();
    return { result, longestMs, delayP99Ms: delay.percentile(99) / 1e6, delayMaxMs: delay.max / 1e6 };
  } finally {
    delay.disable();
    clearInterval(timer);
  }
}

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
