/**
 * Established flows (B2 with real sockets, and B4): 64 bytes there and back, datagrams per second, and what the kernel counts
 * of each attached program while that traffic runs.
 */
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { type Filter, makeFilters, measureLive, SERVICE_PORTS, underFilter } from "./lib/filters.ts";
import { Attempts, fromEnvironment, shuffled } from "./lib/measuring.ts";
import { buildNative, programProblem, type Running, runAt, startAt } from "./lib/native.ts";
import { costBetween, namedProgramRuns, pinnedProgramRuns, withProgramStatistics } from "./lib/programCost.ts";
import { publish } from "./lib/publish.ts";
import { Rounds } from "./lib/rounds.ts";
import { rounded, summarize } from "./lib/statistics.ts";

const ROUNDS = fromEnvironment("ROUNDS", 6);
const MILLISECONDS = fromEnvironment("MS", 150);
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
const FIGURES = ["meanMicroseconds", "p50Microseconds", "p99Microseconds", "p999Microseconds"] as const;

readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const binary = buildNative(lab.directory, "exchange");
const { oneSide: filters } = makeFilters(lab, RULES);
const latency = new Map(
  CASES.map(({ name }) => [name, new Map(FIGURES.map((figure) => [figure, new Rounds(filters)]))]),
);
const rate = new Rounds(filters);
const received = new Rounds(filters);

const server = { side: "peer", processor: 1 } as const;
const client = { side: "host", processor: 0 } as const;

function place(family: 4 | 6, port: number): readonly string[] {
  return [`${family}`, PEER_ADDRESS[family], `${port}`];
}

async function pingPong({ protocol, family, port }: Case, milliseconds: number): Promise<PingPong> {
  const command = [binary, "pingpong", protocol, ...place(family, port), `${milliseconds}`];
  return JSON.parse(await runAt(lab, client, command)) as PingPong;
}

async function measureLatency(filter: Filter, round: number): Promise<void> {
  await underFilter(filter, async (live) => {
    for (const one of CASES)
      await attempts.run(`${filter.name}: ${one.name}`, async () => {
        await pingPong(one, Math.min(30, MILLISECONDS));
        const result = await measureLive(
          filter.name,
          live,
          () => pingPong(one, MILLISECONDS),
          ({ roundTrips }) => roundTrips,
        );
        if (result.lost > 0) throw new Error(`${result.lost} of ${result.roundTrips} round trips were lost`);
        const values = [result.meanNs, result.p50Ns, result.p99Ns, result.p999Ns];
        FIGURES.forEach((figure, index) => {
          latency
            .get(one.name)
            ?.get(figure)
            ?.set(filter.name, round, (values[index] ?? Number.NaN) / 1000);
        });
      });
    await attempts.run(`${filter.name}: datagrams per second`, () => measureRate(filter, round, live));
  });
}

async function measureRate(filter: Filter, round: number, live: { seenPackets(): number }): Promise<void> {
  const sink = await startAt(lab, server, [binary, "sink", "udp", ...place(4, SINK_PORT)]);
  try {
    const before = live.seenPackets();
    const command = [binary, "send", "udp", ...place(4, SINK_PORT), `${MILLISECONDS}`];
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
      await pingPong(one, 30);
      const before = read();
      const { roundTrips } = await pingPong(one, MILLISECONDS * 2);
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
  for (let round = 0; round < Math.min(3, ROUNDS); round++) {
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
  for (let round = 0; round < ROUNDS; round++) {
    for (const filter of shuffled(filters)) await attempts.run(filter.name, () => measureLatency(filter, round));
    console.log(`round ${round + 1} of ${ROUNDS}`);
  }
  const missing = programProblem("bpftool");
  if (missing !== null) attempts.skip("nanoseconds of each program", missing);
  else
    for (const one of CASES) programs[one.name] = await attempts.run(`programs: ${one.name}`, () => programCosts(one));
} finally {
  for (const one of servers) await one.stop();
  await lab.close();
}

/** By difference: a round trip is two packets of the guarded host. */
function perPacketNs(name: string, filter: Filter): number | null {
  const over = latency.get(name)?.get("meanMicroseconds")?.describe(filter.name, 4)?.overNone;
  return over ? Math.round((over.median * 1000) / 2) : null;
}

publish("established", {
  what: "Packets of established flows: round trip of 64 bytes in microseconds, 64-byte datagrams sent per second, and nanoseconds that the kernel counts for each program.",
  method: `${ROUNDS} rounds of ${MILLISECONDS} ms, filters interleaved in random order; client on CPU 0 in the guarded cgroup, server on CPU 1. A round trip is two packets of the guarded host. Programs: kernel.bpf_stats_enabled, minus empty programs measured the same way in the same round.`,
  passLine: "an established packet costs under 100 ns over an empty program",
  roundTrip: Object.fromEntries(
    CASES.map(({ name }) => [
      name,
      Object.fromEntries([...(latency.get(name) ?? [])].map(([figure, rounds]) => [figure, rounds.describeAll()])),
    ]),
  ),
  wardlineToNftablesSet: Object.fromEntries(
    CASES.map(({ name }) => [
      name,
      latency.get(name)?.get("meanMicroseconds")?.ratio("wardline", "nftables set") ?? null,
    ]),
  ),
  perPacketOverNoneNs: Object.fromEntries(
    CASES.map(({ name }) => [
      name,
      Object.fromEntries(filters.map((filter) => [filter.name, perPacketNs(name, filter)])),
    ]),
  ),
  datagramsPerSecond: rate.describeAll(0),
  percentReceived: received.describeAll(1),
  programs,
  leftOut: attempts.leftOut,
});
