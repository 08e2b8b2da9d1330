/** What the console's process bears meanwhile: memory, and how long its event loop is held up. */
import { monitorEventLoopDelay } from "node:perf_hooks";

const SAMPLE_MS = 50;
const NS_PER_MS = 1e6;
const MIB = 2 ** 20;

export interface ConsoleLoad {
  readonly wallMs: number;
  /** Beyond the sampling interval, which is 1 ms. */
  readonly eventLoopDelayP99Ms: number;
  readonly eventLoopDelayMaxMs: number;
  readonly peakResidentMiB: number;
  readonly processorSeconds: number;
}

export async function underWatch(work: () => Promise<unknown>): Promise<ConsoleLoad> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  let peakBytes = process.memoryUsage().rss;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, process.memoryUsage().rss);
  }, SAMPLE_MS);
  delays.enable();
  const usedBefore = process.cpuUsage();
  const startedAt = performance.now();
  try {
    await work();
    const { user, system } = process.cpuUsage(usedBefore);
    return {
      wallMs: Math.round(performance.now() - startedAt),
      eventLoopDelayP99Ms: Number((delays.percentile(99) / NS_PER_MS).toFixed(1)),
      eventLoopDelayMaxMs: Number((delays.max / NS_PER_MS).toFixed(1)),
      peakResidentMiB: Math.round(peakBytes / MIB),
      processorSeconds: Number(((user + system) / 1e6).toFixed(2)),
    };
  } finally {
    delays.disable();
    clearInterval(sampler);
  }
}
