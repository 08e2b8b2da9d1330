/** Throughput of iperf3 with 1 and 4 streams (B5): whether a filter costs any, not how fast a network card is. */
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { runBeside, withAwakeProcessors } from "./lib/beside.ts";
import { type Filter, type FilterName, makeFilters, SERVICE_PORTS } from "./lib/filters.ts";
import { Attempts, fromEnvironment, shuffled } from "./lib/measuring.ts";
import { programProblem, runAt, startAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";
import { confidenceInterval, rounded, summarize } from "./lib/statistics.ts";

/** Rounds of all filters; Wardline, which need not come and go for it, compares several pairs in each. */
const ROUNDS = fromEnvironment("ROUNDS", 5);
const TURNS = 3;
const SECONDS = fromEnvironment("SECONDS", 1);
const RULES = fromEnvironment("RULES", 1000);
const STREAMS = [1, 4] as const;
const PORT = SERVICE_PORTS.low + 20;
/** A second for each: what established.json shows apart is not measured again. */
const NOT_COMPARED: readonly FilterName[] = ["empty hooks", "nftables linear"];

const problem = kernelLabProblem() ?? programProblem("iperf3");
if (problem !== null) {
  console.log(`throughput: left out, ${problem}`);
  process.exit(0);
}

interface IperfReport {
  readonly error?: string;
  readonly end?: { readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number } };
}

readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const { oneSide: filters } = makeFilters(lab, RULES);
const compared = filters.filter(({ name }) => !NOT_COMPARED.includes(name));
interface Pair {
  readonly filtered: number;
  readonly bare: number;
}
const gigabits = new Map<number, Map<FilterName, Pair[]>>(
  STREAMS.map((streams) => [streams, new Map(compared.map(({ name }) => [name, []]))]),
);

async function runIperf(streams: number, guarded: boolean): Promise<{ gigabits: number; packets: number }> {
  const target = ["-c", PEER_ADDRESS[4], "-p", `${PORT}`, "-J", "-P", `${streams}`];
  // iperf3 takes whole seconds; an amount of bytes would favour the slow.
  const command = ["timeout", "20", "iperf3", ...target, "-t", `${Math.max(1, Math.ceil(SECONDS))}`];
  const report = JSON.parse(await runAt(lab, { side: "host", processor: 0, guarded }, command)) as IperfReport;
  const received = report.end?.sum_received;
  if (!received) throw new Error(report.error ?? "iperf3 gave no sum");
  // A segment that the stack hands down whole counts as its parts: 64 KiB each at most.
  return { gigabits: received.bits_per_second / 1e9, packets: Math.floor(received.bytes / 65_536) };
}

async function measure(filter: Filter): Promise<void> {
  await runBeside(filter, {
    attempts,
    cases: STREAMS,
    turns: filter.name === "wardline" ? TURNS : 1,
    nameOf: (streams) => `${streams} streams`,
    measure: runIperf,
    leastPackets: ({ packets }) => packets,
    record: (streams, filtered, bare) =>
      gigabits.get(streams)?.get(filter.name)?.push({ filtered: filtered.gigabits, bare: bare.gigabits }),
  });
}

const command = ["iperf3", "-s", "-p", `${PORT}`, "--forceflush"];
const server = await startAt(lab, { side: "peer", processor: 1 }, command);
try {
  await withAwakeProcessors(async () => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const filter of shuffled(compared)) await attempts.run(filter.name, () => measure(filter));
      console.log(`round ${round + 1} of ${ROUNDS}`);
    }
  });
} finally {
  await server.stop();
  await lab.close();
}

publish("throughput", {
  what: "TCP throughput of iperf3 in Gbit/s, guarded sender; and the 95 % interval of the median ratio to no filter, by resampling the pairs.",
  method: `${ROUNDS} rounds of ${Math.max(1, Math.ceil(SECONDS))} s, filters in random order, ${TURNS} pairs of Wardline in each; each run under a filter has a neighbour without one (a sender outside of the guarded cgroup; for nftables and the edge, the filter taken down), and is compared with it; sender on CPU 0, receiver on CPU 1, processors kept awake; ${RULES} rules of each family and direction.`,
  passLine: "the interval of the ratio holds 1, or the ratio is above it",
  gigabitsPerSecond: Object.fromEntries(
    STREAMS.map((streams) => {
      const measured = [...(gigabits.get(streams) ?? [])].filter(([, pairs]) => pairs.length > 0);
      const ratiosOf = (pairs: readonly Pair[]): number[] => pairs.map(({ filtered, bare }) => filtered / bare);
      const described = measured.map(([name, pairs]) => {
        const differences = summarize(pairs.map(({ filtered, bare }) => filtered - bare));
        const ratios = rounded(summarize(ratiosOf(pairs)), 3);
        const value = rounded(summarize(pairs.map(({ filtered }) => filtered)));
        return [name, { value, overNone: rounded(differences), ratioToNone: ratios }] as const;
      });
      const intervals = measured.map(
        ([name, pairs]) => [name, pairs.length > 1 ? confidenceInterval(ratiosOf(pairs)) : null] as const,
      );
      return [
        `${streams} stream${streams === 1 ? "" : "s"}`,
        { filters: Object.fromEntries(described), ratioInterval95: Object.fromEntries(intervals) },
      ];
    }),
  ),
  leftOut: attempts.leftOut,
});
