/**
 * Connection set-up cost (B3): connect, one byte each way, close, from a guarded host to a server in another network
 * namespace over a veth pair. TCP and UDP, IPv4 and IPv6, with the client guarded and with both ends guarded. Filters are
 * interleaved in a random order in each round and compared within the round.
 */
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { type Filter, type FilterName, makeFilters, measureLive, SERVICE_PORTS, underFilter } from "./lib/filters.ts";
import { Attempts, fromEnvironment, shuffled } from "./lib/measuring.ts";
import { buildNative, type Running, runAt, startAt } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const ROUNDS = fromEnvironment("ROUNDS", 8);
const MILLISECONDS = fromEnvironment("MS", 150);
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
  readonly port: number;
}

const CASES: readonly Case[] = [false, true].flatMap((bothGuarded) =>
  (["tcp", "udp"] as const).flatMap((protocol) =>
    // The second end does the same work in either family.
    (bothGuarded ? ([4] as const) : ([4, 6] as const)).map((family) => ({
      name: `${protocol.toUpperCase()} IPv${family}, ${bothGuarded ? "both ends" : "client"} guarded`,
      protocol,
      family,
      bothGuarded,
      port: SERVICE_PORTS.low + (bothGuarded ? 1 : 0),
    })),
  ),
);

readBpfObject();
const lab = new KernelLab();
const attempts = new Attempts();
const binary = buildNative(lab.directory, "connect");
const filters = makeFilters(lab, RULES);
const samples = new Map<string, Map<FilterName, (Measured | null)[]>>(
  CASES.map(({ name }) => [name, new Map(filters.oneSide.map((filter) => [filter.name, []]))]),
);

function startServer({ protocol, family, bothGuarded, port }: Case): Promise<Running> {
  const address = [`${family}`, PEER_ADDRESS[family], `${port}`];
  return startAt(lab, { side: "peer", processor: 1, guarded: bothGuarded }, [binary, "server", protocol, ...address]);
}

async function runClient({ protocol, family, port }: Case, milliseconds: number): Promise<Measured> {
  const address = [`${family}`, PEER_ADDRESS[family], `${port}`];
  const command = [binary, "client", protocol, ...address, `${milliseconds}`];
  return JSON.parse(await runAt(lab, { side: "host", processor: 0 }, command)) as Measured;
}

async function measureCases(filter: Filter, bothGuarded: boolean): Promise<void> {
  await underFilter(filter, async (live) => {
    for (const one of CASES.filter((candidate) => candidate.bothGuarded === bothGuarded)) {
      const measured = await attempts.run(`${filter.name}: ${one.name}`, async () => {
        await runClient(one, Math.min(50, MILLISECONDS));
        return measureLive(
          filter.name,
          live,
          () => runClient(one, MILLISECONDS),
          (result) => result.connections,
        );
      });
      samples.get(one.name)?.get(filter.name)?.push(measured);
    }
  });
}

const servers: Running[] = [];
try {
  for (const one of CASES) servers.push(await startServer(one));
  for (let round = 0; round < ROUNDS; round++) {
    for (const bothGuarded of [false, true])
      for (const filter of shuffled(bothGuarded ? filters.bothSides : filters.oneSide))
        await attempts.run(filter.name, () => measureCases(filter, bothGuarded));
    // A filter that did not come up has no figure in this round, and rounds are compared by their number.
    for (const byFilter of samples.values())
      for (const own of byFilter.values()) while (own.length <= round) own.push(null);
    console.log(`round ${round + 1} of ${ROUNDS}`);
  }
} finally {
  for (const server of servers) await server.stop();
  await lab.close();
}

/** Pairs of one round where both were measured. */
function pairs(of: string, left: FilterName, right: FilterName): { left: number[]; right: number[] } {
  const own = samples.get(of)?.get(left) ?? [];
  const other = samples.get(of)?.get(right) ?? [];
  const both = own.flatMap((measured, round) => {
    const beside = other[round];
    return measured && beside ? [[measured.meanNs / 1000, beside.meanNs / 1000] as const] : [];
  });
  return { left: both.map(([value]) => value), right: both.map(([, value]) => value) };
}

function describe(of: string, name: FilterName): object | null {
  const own = (samples.get(of)?.get(name) ?? []).filter((measured) => measured !== null);
  const { left, right } = pairs(of, name, "none");
  if (own.length === 0 || left.length === 0) return null;
  const over = left.map((value, index) => value - (right[index] ?? Number.NaN));
  return {
    microseconds: rounded(summarize(own.map(({ meanNs }) => meanNs / 1000))),
    overNone: rounded(summarize(over)),
    ratioToNone: rounded(summarizeRatios(left, right), 3),
    p50Microseconds: rounded(summarize(own.map(({ p50Ns }) => p50Ns / 1000))),
    p99Microseconds: rounded(summarize(own.map(({ p99Ns }) => p99Ns / 1000))),
    p999Microseconds: rounded(summarize(own.map(({ p999Ns }) => p999Ns / 1000))),
  };
}

publish("connection", {
  what: "Time of one connect, one byte each way, close; microseconds per connection (mean of a run, summarised over rounds).",
  method: `${ROUNDS} rounds of ${MILLISECONDS} ms, filters interleaved in random order; client on CPU 0 in the guarded cgroup, server on CPU 1; veth between two network namespaces; ${RULES} rules of each family and direction from one source, TCP and UDP.`,
  cases: Object.fromEntries(
    CASES.map(({ name }) => {
      const ratio = pairs(name, "wardline", "nftables set");
      return [
        name,
        {
          filters: Object.fromEntries(filters.oneSide.map((filter) => [filter.name, describe(name, filter.name)])),
          wardlineToNftablesSet: ratio.left.length > 0 ? rounded(summarizeRatios(ratio.left, ratio.right), 3) : null,
        },
      ];
    }),
  ),
  leftOut: attempts.leftOut,
});
