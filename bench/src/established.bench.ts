/**
 * Established flows (B2 with real sockets, and B4): 64 bytes there and back, datagrams per second, and what the kernel counts
 * of each attached program while that traffic runs.
 */
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { BESIDE_METHOD, describeDifferences, runBeside, withAwakeProcessors } from "./lib/beside.ts";
import { type Filter, type FilterName, makeFilters, SERVICE_PORTS, underFilter } from "./lib/filters.ts";
import { Attempts, fromEnvironment, shuffled } from "./lib/measuring.ts";
import { buildNative, programProblem, type Running, runAt, startAt } from "./lib/native.ts";
import { costBetween, namedProgramRuns, pinnedProgramRuns, withProgramStatistics } from "./lib/programCost.ts";
import { publish } from "./lib/publish.ts";
import { Rounds } from "./lib/rounds.ts";
import { rounded, summarize } from "./lib/statistics.ts";

/** Rounds of all filters; a filter that need not come and go for it compares several pairs of slices in each. */
const ROUNDS = fromEnvironment("ROUNDS", 8);
const TURNS = 4;
const TURNS_OF_FLOORS = 2;
const RATE_ROUNDS = 4;
const PROGRAM_ROUNDS = 5;
const MILLISECONDS = fromEnvironment("MS", 60);
const WARM_UP_MILLISECONDS = 20;
/** Of datagrams, and of runs of programs: a sum and no difference, so that length counts and not number. */
const LONG_MILLISECONDS = MILLISECONDS * 3;
const RULES = fromEnvironment("RULES", 1000);

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`established: left out, ${problem}`);
  process.exit(0);
}

interface PingPong {
  readonly roundTrips: number;
  readonly lost: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
}

const CASES = (["udp", "tcp"] as const).flatMap((protocol, row) =>
  ([4, 6] as const).map((family, column) => ({
    name: `${protocol.toUpperCase()} IPv${family}`,
    protocol,
    family,
    port: SERVICE_PORTS.low + row * 2 + column,
  })),
);
type Case = (typeof CASES)[number];
const SINK_PORT = SERVICE_PORTS.low + 10;
const FIELDS = {
  meanMicroseconds: "meanNs",
  p50Microseconds: "p50Ns",
  p99Microseconds: "p99Ns",
  p999Microseconds: "p999Ns",
} as const;
const FIGURES = Object.keys(FIELDS) as (keyof typeof FIELDS)[];

readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const binary = buildNative(lab.directory, "exchange");
const { oneSide: filters } = makeFilters(lab, RULES);
interface Pair {
  readonly filtered: PingPong;
  readonly bare: PingPong;
}
const pairsOf = new Map<string, Map<FilterName, Pair[]>>(
  CASES.map(({ name }) => [name, new Map(filters.map((filter) => [filter.name, []]))]),
);
const rate = new Rounds(filters);
const received = new Rounds(filters);

const server = { side: "peer", processor: 1, realTime: true } as const;
const client = { side: "host", processor: 0, realTime: true } as const;

function place(family: 4 | 6, port: number): readonly string[] {
  return [`${family}`, PEER_ADDRESS[family], `${port}`];
}

async function pingPong({ protocol, family, port }: Case, milliseconds: number, guarded = true): Promise<PingPong> {
  const command = [binary, "pingpong", protocol, ...place(family, port), `${milliseconds}`];
  const result = JSON.parse(await runAt(lab, { ...client, guarded }, command)) as PingPong;
  if (result.lost > 0) throw new Error(`${result.lost} of ${result.roundTrips} round trips were lost`);
  return result;
}

async function measureLatency(filter: Filter): Promise<void> {
  await runBeside(filter, {
    attempts,
    cases: CASES,
    turns: filter.name === "wardline" ? TURNS : TURNS_OF_FLOORS,
    nameOf: ({ name }) => name,
    measure: (one, guarded) => pingPong(one, MILLISECONDS, guarded),
    leastPackets: ({ roundTrips }) => roundTrips,
    record: (one, filtered, bare) => pairsOf.get(one.name)?.get(filter.name)?.push({ filtered, bare }),
  });
}

async function measureRate(filter: Filter, round: number, live: { seenPackets(): number }): Promise<void> {
  const sink = await startAt(lab, server, [binary, "sink", "udp", ...place(4, SINK_PORT)]);
  try {
    const before = live.seenPackets();
    const command = [binary, "send", "udp", ...place(4, SINK_PORT), `${LONG_MILLISECONDS}`];
    const { sent, nanoseconds } = JSON.parse(await runAt(lab, client, command)) as {
      sent: number;
      nanoseconds: number;
    };
    const seen = live.seenPackets() - before;
    if (seen < sent) throw new Error(`it was not live: it saw ${seen} of ${sent}`);
    rate.set(filter.name, round, (sent * 1e9) / nanoseconds);
    const said = JSON.parse((await sink.stop()).split("\n").at(-2) ?? "{}") as { received?: number };
    received.set(filter.name, round, (100 * (said.received ?? Number.NaN)) / sent);
  } finally {
    await sink.stop();
  }
}

/** ns of each program by the kernel's own count, for one kind of traffic; those of the empty programs beside it. */
async function measurePrograms(name: "wardline" | "empty hooks", one: Case): Promise<Map<string, number>> {
  const filter = filters.find((candidate) => candidate.name === name);
  if (!filter) throw new Error(`there is no ${name}`);
  const read = (): ReturnType<typeof pinnedProgramRuns> =>
    name === "wardline" ? pinnedProgramRuns(lab.bpffsDir) : namedProgramRuns(["empty_ingress", "empty_egress"]);
  return underFilter(filter, () =>
    withProgramStatistics(async () => {
      await pingPong(one, WARM_UP_MILLISECONDS);
      const before = read();
      const { roundTrips } = await pingPong(one, LONG_MILLISECONDS);
      const cost = costBetween(before, read());
      const costs = new Map<string, number>();
      for (const hook of ["ingress", "egress"]) {
        const own = [...cost].find(([program]) => program.endsWith(`_${hook}`))?.[1];
        if (!own || own.runs < roundTrips) throw new Error(`the ${hook} program ran ${own?.runs ?? 0} times`);
        costs.set(hook, own.nsPerRun);
      }
      return costs;
    }),
  );
}

async function programCosts(one: Case): Promise<object | null> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round < Math.min(PROGRAM_ROUNDS, ROUNDS); round++) {
    const empty = await measurePrograms("empty hooks", one);
    const wardline = await measurePrograms("wardline", one);
    for (const [hook, ns] of wardline) {
      const over = ns - (empty.get(hook) ?? Number.NaN);
      for (const [name, value] of [
        [`${hook}Ns`, ns],
        [`${hook}OverEmptyNs`, over],
      ] as const)
        samples.set(name, [...(samples.get(name) ?? []), value]);
    }
  }
  return Object.fromEntries([...samples].map(([name, values]) => [name, rounded(summarize(values), 1)]));
}

const servers: Running[] = [];
const programs: Record<string, object | null> = {};
try {
  for (const { protocol, family, port } of CASES)
    servers.push(await startAt(lab, server, [binary, "echo", protocol, ...place(family, port)]));
  await withAwakeProcessors(async () => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const filter of shuffled(filters)) {
        await attempts.run(filter.name, () => measureLatency(filter));
        if (round < RATE_ROUNDS)
          await attempts.run(`${filter.name}: datagrams per second`, () =>
            underFilter(filter, (live) => measureRate(filter, round, live)),
          );
      }
      console.log(`round ${round + 1} of ${ROUNDS}`);
    }
    const missing = programProblem("bpftool");
    if (missing !== null) attempts.skip("nanoseconds of each program", missing);
    else
      for (const one of CASES)
        programs[one.name] = await attempts.run(`programs: ${one.name}`, () => programCosts(one));
  });
} finally {
  for (const one of servers) await one.stop();
  await lab.close();
}

/** The figure itself, how far it is from its neighbour without a filter, and their ratio. */
function describe(of: string, name: FilterName, figure: (typeof FIGURES)[number]): object | null {
  const pairs = pairsOf.get(of)?.get(name) ?? [];
  if (pairs.length === 0) return null;
  const values = pairs.map(
    ({ filtered, bare }) => [filtered[FIELDS[figure]] / 1000, bare[FIELDS[figure]] / 1000] as const,
  );
  return {
    value: rounded(summarize(values.map(([own]) => own))),
    overNone: describeDifferences(values.map(([own, beside]) => own - beside)),
    ratioToNone: describeDifferences(
      values.map(([own, beside]) => own / beside),
      3,
    ),
  };
}

/** By difference: a round trip is two packets of the guarded host. */
function perPacketNs(of: string, name: FilterName): number | null {
  const pairs = pairsOf.get(of)?.get(name) ?? [];
  if (pairs.length === 0) return null;
  return Math.round(summarize(pairs.map(({ filtered, bare }) => filtered.meanNs - bare.meanNs)).median / 2);
}

function ratioToNftables(of: string): number | null {
  const median = (name: FilterName): number | null => {
    const pairs = pairsOf.get(of)?.get(name) ?? [];
    return pairs.length === 0
      ? null
      : summarize(pairs.map(({ filtered, bare }) => filtered.meanNs / bare.meanNs)).median;
  };
  const [own, peer] = [median("wardline"), median("nftables set")];
  return own === null || peer === null ? null : Number((own / peer).toFixed(3));
}

publish("established", {
  what: "Packets of established flows: round trip of 64 bytes in microseconds, 64-byte datagrams sent per second, and nanoseconds that the kernel counts for each program.",
  method: `${ROUNDS} rounds of slices of ${MILLISECONDS} ms, filters in random order; ${BESIDE_METHOD}. A round trip is two packets of the guarded host. Programs: kernel.bpf_stats_enabled, ${PROGRAM_ROUNDS} rounds of ${LONG_MILLISECONDS} ms, minus empty programs measured the same way in the same round.`,
  passLine: "an established packet costs under 100 ns over an empty program",
  roundTrip: Object.fromEntries(
    CASES.map(({ name }) => [
      name,
      Object.fromEntries(
        FIGURES.map((figure) => [
          figure,
          Object.fromEntries(filters.map((filter) => [filter.name, describe(name, filter.name, figure)])),
        ]),
      ),
    ]),
  ),
  wardlineToNftablesSet: Object.fromEntries(CASES.map(({ name }) => [name, ratioToNftables(name)])),
  perPacketOverNoneNs: Object.fromEntries(
    CASES.map(({ name }) => [
      name,
      Object.fromEntries(filters.map((filter) => [filter.name, perPacketNs(name, filter.name)])),
    ]),
  ),
  datagramsPerSecond: rate.describeAll(0),
  percentReceived: received.describeAll(1),
  programs,
  leftOut: attempts.leftOut,
});
