/**
 * Connection set-up cost (B3): connect, one byte each way, close, from a guarded host to a server in another network
 * namespace over a veth pair. TCP and UDP, IPv4 and IPv6, with the client guarded and with both ends guarded. Each
 * slice under a filter has one without beside it. What the programs themselves take is counted by the kernel, apart from that.
 */
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { BESIDE_METHOD, describeDifferences, runBeside, withAwakeProcessors } from "./lib/beside.ts";
import { type Filter, type FilterName, makeFilters, SERVICE_PORTS, underFilter } from "./lib/filters.ts";
import { Attempts, fromEnvironment, shuffled } from "./lib/measuring.ts";
import { buildNative, programProblem, type Running, runAt, startAt } from "./lib/native.ts";
import { costBetween, namedProgramRuns, pinnedProgramRuns, withProgramStatistics } from "./lib/programCost.ts";
import { publish } from "./lib/publish.ts";
import { rounded, type Summary, summarize } from "./lib/statistics.ts";

/** Rounds of all filters; a filter that need not come and go for it compares several pairs of slices in each. */
const ROUNDS = fromEnvironment("ROUNDS", 12);
const TURNS = 5;
const TURNS_OF_FLOORS = 2;
const BOTH_SIDES_ROUNDS = 4;
const COUNT_ROUNDS = 4;
const MILLISECONDS = fromEnvironment("MS", 60);
const WARM_UP_MILLISECONDS = 20;
const RULES = fromEnvironment("RULES", 1000);

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`connection: left out, ${problem}`);
  process.exit(0);
}

interface Measured {
  readonly connections: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
}

interface Case {
  readonly name: string;
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  /** The server runs in the guarded cgroup too. */
  readonly bothGuarded: boolean;
}

const CASES: readonly Case[] = [false, true].flatMap((bothGuarded) =>
  (["tcp", "udp"] as const).flatMap((protocol) =>
    // The second end does the same work in either family.
    (bothGuarded ? ([4] as const) : ([4, 6] as const)).map((family) => ({
      name: `${protocol.toUpperCase()} IPv${family}, ${bothGuarded ? "both ends" : "client"} guarded`,
      protocol,
      family,
      bothGuarded,
    })),
  ),
);

interface Pair {
  readonly round: number;
  readonly filtered: Measured;
  readonly bare: Measured;
}

readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const binary = buildNative(lab.directory, "connect");
const filters = makeFilters(lab, RULES);
const pairsOf = new Map<string, Map<FilterName, Pair[]>>(
  CASES.map(({ name }) => [name, new Map(filters.oneSide.map((filter) => [filter.name, []]))]),
);

/** Port of the server that is inside of the guarded cgroup, or of the one that is not. */
function portOf({ bothGuarded }: Case, guarded: boolean): number {
  return SERVICE_PORTS.low + (bothGuarded && guarded ? 1 : 0);
}

function startServer(protocol: Case["protocol"], family: 4 | 6, guarded: boolean): Promise<Running> {
  const address = [`${family}`, PEER_ADDRESS[family], `${SERVICE_PORTS.low + (guarded ? 1 : 0)}`];
  const place = { side: "peer", processor: 1, guarded, realTime: true } as const;
  return startAt(lab, place, [binary, "server", protocol, ...address]);
}

async function runClient(one: Case, guarded: boolean, milliseconds: number): Promise<Measured> {
  const { protocol, family } = one;
  const address = [`${family}`, PEER_ADDRESS[family], `${portOf(one, guarded)}`];
  const place = { side: "host", processor: 0, guarded, realTime: true } as const;
  return JSON.parse(await runAt(lab, place, [binary, "client", protocol, ...address, `${milliseconds}`])) as Measured;
}

async function measureRound(bothGuarded: boolean, round: number): Promise<void> {
  for (const filter of shuffled(bothGuarded ? filters.bothSides : filters.oneSide))
    await attempts.run(filter.name, () =>
      runBeside(filter, {
        attempts,
        cases: CASES.filter((candidate) => candidate.bothGuarded === bothGuarded),
        turns: filter.name === "wardline" ? TURNS : TURNS_OF_FLOORS,
        nameOf: ({ name }) => name,
        measure: (one, guarded) => runClient(one, guarded, MILLISECONDS),
        leastPackets: ({ connections }) => connections,
        record: (one, filtered, bare) => pairsOf.get(one.name)?.get(filter.name)?.push({ round, filtered, bare }),
      }),
    );
}

const EMPTY_PROGRAMS = [
  "ingress",
  "egress",
  "connect4",
  "connect6",
  "sendmsg4",
  "sendmsg6",
  "post_bind4",
  "post_bind6",
];
/** ns of every program that ran, by its hook, for one connection of a case. */
const counted = new Map<string, Map<"wardline" | "empty hooks", Map<string, number[]>>>();

/** What the kernel itself counts: it does not depend on who else wants the processors. */
async function countPrograms(filter: Filter, name: "wardline" | "empty hooks"): Promise<void> {
  const read = (): ReturnType<typeof pinnedProgramRuns> =>
    name === "wardline"
      ? pinnedProgramRuns(lab.bpffsDir)
      : namedProgramRuns(EMPTY_PROGRAMS.map((hook) => `empty_${hook}`));
  await underFilter(filter, () =>
    withProgramStatistics(async () => {
      for (const one of CASES.filter(({ bothGuarded }) => !bothGuarded)) {
        await runClient(one, true, WARM_UP_MILLISECONDS);
        const before = read();
        const { connections } = await runClient(one, true, MILLISECONDS * 2);
        const own = counted.get(one.name) ?? new Map<typeof name, Map<string, number[]>>();
        counted.set(one.name, own);
        const hooks = own.get(name) ?? new Map<string, number[]>();
        own.set(name, hooks);
        let total = 0;
        for (const [program, cost] of costBetween(before, read())) {
          if (cost === null) continue;
          const ns = (cost.runs * cost.nsPerRun) / connections;
          total += ns;
          const hook = program.slice(program.indexOf("_") + 1);
          hooks.set(hook, [...(hooks.get(hook) ?? []), ns]);
        }
        hooks.set("total", [...(hooks.get("total") ?? []), total]);
      }
    }),
  );
}

const servers: Running[] = [];
try {
  for (const { protocol, family, bothGuarded } of CASES) servers.push(await startServer(protocol, family, bothGuarded));
  await withAwakeProcessors(async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await measureRound(false, round);
      if (round < BOTH_SIDES_ROUNDS) await measureRound(true, round);
      console.log(`round ${round + 1} of ${ROUNDS}`);
    }
    const missing = programProblem("bpftool");
    if (missing !== null) attempts.skip("nanoseconds of each program", missing);
    else
      for (let round = 0; round < Math.min(ROUNDS, COUNT_ROUNDS); round++)
        for (const name of ["empty hooks", "wardline"] as const) {
          const filter = filters.oneSide.find((candidate) => candidate.name === name);
          if (filter) await attempts.run(`programs: ${name}`, () => countPrograms(filter, name));
        }
  });
} finally {
  for (const server of servers) await server.stop();
  await lab.close();
}

function describe(of: string, name: FilterName): object | null {
  const pairs = pairsOf.get(of)?.get(name) ?? [];
  if (pairs.length === 0) return null;
  const all = (pick: (measured: Measured) => number): Summary =>
    rounded(summarize(pairs.map(({ filtered }) => pick(filtered) / 1000)));
  return {
    microseconds: all(({ meanNs }) => meanNs),
    overNone: describeDifferences(pairs.map(({ filtered, bare }) => (filtered.meanNs - bare.meanNs) / 1000)),
    p50OverNone: describeDifferences(pairs.map(({ filtered, bare }) => (filtered.p50Ns - bare.p50Ns) / 1000)),
    ratioToNone: describeDifferences(
      pairs.map(({ filtered, bare }) => filtered.meanNs / bare.meanNs),
      3,
    ),
    p50Microseconds: all(({ p50Ns }) => p50Ns),
    p99Microseconds: all(({ p99Ns }) => p99Ns),
    p999Microseconds: all(({ p999Ns }) => p999Ns),
  };
}

/** Each over its own neighbours, and compared within a round. */
function ratioToNftables(of: string): object | null {
  const inRound = (name: FilterName, round: number): number | null => {
    const ratios = (pairsOf.get(of)?.get(name) ?? [])
      .filter((pair) => pair.round === round)
      .map(({ filtered, bare }) => filtered.meanNs / bare.meanNs);
    return ratios.length === 0 ? null : summarize(ratios).median;
  };
  const ratios = Array.from({ length: ROUNDS }, (_, round) => round).flatMap((round) => {
    const [own, peer] = [inRound("wardline", round), inRound("nftables set", round)];
    return own === null || peer === null ? [] : [own / peer];
  });
  return ratios.length === 0 ? null : describeDifferences(ratios, 3);
}

function describeCounted(of: string): object | null {
  const own = counted.get(of);
  const medians = (name: "wardline" | "empty hooks"): Record<string, Summary> =>
    Object.fromEntries([...(own?.get(name) ?? [])].map(([hook, ns]) => [hook, rounded(summarize(ns), 0)]));
  const [wardline, empty] = [medians("wardline"), medians("empty hooks")];
  if (!wardline.total || !empty.total) return null;
  return { wardline, emptyHooks: empty, totalOverEmptyNs: wardline.total.median - empty.total.median };
}

publish("connection", {
  what: "Time of one connect, one byte each way, close; microseconds per connection (mean of a slice, summarised over slices). And nanoseconds that the kernel counts of all programs for one connection.",
  method: `${ROUNDS} rounds (${BOTH_SIDES_ROUNDS} with both ends guarded) of slices of ${MILLISECONDS} ms, filters in random order; ${BESIDE_METHOD}. veth between two network namespaces; ${RULES} rules of each family and direction from one source, TCP and UDP. Programs: kernel.bpf_stats_enabled, ${COUNT_ROUNDS} rounds, all runs during a slice divided by its connections.`,
  passLine: "TCP, IPv4, client guarded: at most 3 µs over none, and below nftables with a set",
  cases: Object.fromEntries(
    CASES.map(({ name }) => [
      name,
      {
        filters: Object.fromEntries(filters.oneSide.map((filter) => [filter.name, describe(name, filter.name)])),
        wardlineToNftablesSet: ratioToNftables(name),
        programsNs: describeCounted(name),
      },
    ]),
  ),
  leftOut: attempts.leftOut,
});
