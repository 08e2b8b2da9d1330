/**
 * What a filter costs, on a machine that does other things too: each slice of some 50 ms under the filter has one without a
 * filter right beside it, and what is told is the median of their differences with its interval. Nothing is left out.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { type Filter, type FilterName, type LiveFilter, measureLive, underFilter } from "./filters.ts";
import type { Attempts } from "./measuring.ts";
import { confidenceInterval, rounded, type Summary, summarize } from "./statistics.ts";

/** These act on processes of the guarded cgroup alone: a process outside of it has none while they are up. */
const BY_CGROUP: ReadonlySet<FilterName> = new Set(["none", "empty hooks", "wardline"]);

export interface BesideRun<Case, Measured> {
  readonly attempts: Attempts;
  readonly cases: readonly Case[];
  /** Comparisons while the filter is up. One that acts on a whole namespace has to come and go for each, and gets one. */
  readonly turns: number;
  nameOf(one: Case): string;
  /** One slice; the client is inside of the guarded cgroup or not. */
  measure(one: Case, guarded: boolean): Promise<Measured>;
  /** What the filter must have counted of a slice, or it was not live. */
  leastPackets(measured: Measured): number;
  record(one: Case, filtered: Measured, bare: Measured): void;
}

/** All cases under one filter, each slice beside one without a filter, in random order. */
export async function runBeside<Case, Measured>(filter: Filter, run: BesideRun<Case, Measured>): Promise<void> {
  const { attempts, cases, nameOf, measure, leastPackets, record } = run;
  const under = (one: Case, live: LiveFilter): Promise<Measured> =>
    measureLive(filter.name, live, () => measure(one, true), leastPackets);
  const bareFirst = Math.random() < 0.5;
  if (BY_CGROUP.has(filter.name)) {
    await underFilter(filter, async (live) => {
      for (let turn = 0; turn < run.turns; turn++)
        for (const one of cases)
          await attempts.run(`${filter.name}: ${nameOf(one)}`, async () => {
            const before = bareFirst === (turn % 2 === 0) ? await measure(one, false) : null;
            const filtered = await under(one, live);
            record(one, filtered, before ?? (await measure(one, false)));
          });
    });
    return;
  }
  const filtered = new Map<Case, Measured | null>();
  const bare = new Map<Case, Measured | null>();
  const measureBare = async (): Promise<void> => {
    for (const one of cases) bare.set(one, await attempts.run(`none: ${nameOf(one)}`, () => measure(one, false)));
  };
  if (bareFirst) await measureBare();
  await underFilter(filter, async (live) => {
    for (const one of cases)
      filtered.set(one, await attempts.run(`${filter.name}: ${nameOf(one)}`, () => under(one, live)));
  });
  if (!bareFirst) await measureBare();
  for (const one of cases) {
    const [own, beside] = [filtered.get(one) ?? null, bare.get(one) ?? null];
    if (own !== null && beside !== null) record(one, own, beside);
  }
}

export interface Difference extends Summary {
  /** 95 % interval of the median, by resampling the pairs. */
  readonly interval95: { readonly low: number; readonly high: number };
}

/** Of what was measured in pairs. Throws without a pair. */
export function describeDifferences(values: readonly number[], digits = 2): Difference {
  return { ...rounded(summarize(values), digits), interval95: confidenceInterval(values) };
}

/**
 * Keeps the processors out of their sleep states: waking one takes as long as what is measured, and depends on whatever else
 * is on the machine. Where the kernel offers no such switch the figures are wider, not wrong.
 */
export async function withAwakeProcessors<T>(use: () => Promise<T>): Promise<T> {
  let file: number | null = null;
  try {
    file = openSync("/dev/cpu_dma_latency", "r+");
    writeSync(file, Buffer.alloc(4));
  } catch {
    // Not offered here.
  }
  try {
    return await use();
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** For `method`: how {@link runBeside} measures. */
export const BESIDE_METHOD =
  "each slice under a filter has a neighbour without one (a client outside of the guarded cgroup; for nftables and the edge, the filter taken down), figures over none are medians of these differences with their 95 % interval; client (CPU 0) and server (CPU 1) at real-time priority, so that other processes of the machine, the agent's reader of events among them, cost caches and not turns; processors kept awake";
