/** Throughput of iperf3 with 1 and 4 streams (B5): whether a filter costs any, not how fast a network card is. */
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { type Filter, type FilterName, makeFilters, measureLive, SERVICE_PORTS, underFilter } from "./lib/filters.ts";
import { Attempts, fromEnvironment, shuffled } from "./lib/measuring.ts";
import { programProblem, runAt, startAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";
import { Rounds } from "./lib/rounds.ts";
import { confidenceInterval } from "./lib/statistics.ts";

const ROUNDS = fromEnvironment("ROUNDS", 8);
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
const gigabits = new Map(STREAMS.map((streams) => [streams, new Rounds(filters)]));

async function runIperf(streams: number): Promise<{ gigabits: number; packets: number }> {
  const target = ["-c", PEER_ADDRESS[4], "-p", `${PORT}`, "-J", "-P", `${streams}`];
  // iperf3 takes whole seconds; an amount of bytes would favour the slow.
  const command = ["timeout", "20", "iperf3", ...target, "-t", `${Math.max(1, Math.ceil(SECONDS))}`];
  const report = JSON.parse(await runAt(lab, { side: "host", processor: 0 }, command)) as IperfReport;
  const received = report.end?.sum_received;
  if (!received) throw new Error(report.error ?? "iperf3 gave no sum");
  // A segment that the stack hands down whole counts as its parts: 64 KiB each at most.
  return { gigabits: received.bits_per_second / 1e9, packets: Math.floor(received.bytes / 65_536) };
}

async function measure(filter: Filter, round: number): Promise<void> {
  await underFilter(filter, async (live) => {
    for (const streams of STREAMS)
      await attempts.run(`${filter.name}: ${streams} streams`, async () => {
        const result = await measureLive(
          filter.name,
          live,
          () => runIperf(streams),
          ({ packets }) => packets,
        );
        gigabits.get(streams)?.set(filter.name, round, result.gigabits);
      });
  });
}

const command = ["iperf3", "-s", "-p", `${PORT}`, "--forceflush"];
const server = await startAt(lab, { side: "peer", processor: 1 }, command);
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const filter of shuffled(filters.filter(({ name }) => !NOT_COMPARED.includes(name))))
      await attempts.run(filter.name, () => measure(filter, round));
    console.log(`round ${round + 1} of ${ROUNDS}`);
  }
} finally {
  await server.stop();
  await lab.close();
}

publish("throughput", {
  what: "TCP throughput of iperf3 in Gbit/s, guarded sender; and the 95 % interval of the median ratio to no filter, by resampling the rounds.",
  method: `${ROUNDS} rounds of ${Math.max(1, Math.ceil(SECONDS))} s, filters interleaved in random order; sender on CPU 0, receiver on CPU 1; ${RULES} rules of each family and direction.`,
  passLine: "the interval of the ratio holds 1, or the ratio is above it",
  gigabitsPerSecond: Object.fromEntries(
    STREAMS.map((streams) => {
      const rounds = gigabits.get(streams);
      const described = rounds?.describeAll() ?? {};
      const intervals = Object.fromEntries(
        filters.map(({ name }) => {
          const { left, right } = rounds?.pairs(name, "none") ?? { left: [], right: [] };
          const ratios = left.map((value, index) => value / (right[index] ?? Number.NaN));
          return [name, ratios.length > 1 ? confidenceInterval(ratios) : null];
        }),
      );
      return [`${streams} stream${streams === 1 ? "" : "s"}`, { filters: described, ratioInterval95: intervals }];
    }),
  ),
  leftOut: attempts.leftOut,
});
