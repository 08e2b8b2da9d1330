/**
 * Access over 10,000 policies and 1,000 hosts: what preparing a world costs, `policy reach` of one service, of a tier and
 * of everybody on a prepared world, and `policy diff` of two worlds as they were read, preparation included.
 *
 * The peer of the diff is the comparison host by host: compile both worlds for a host and compare the programs, measured
 * on some hosts in the same round and multiplied to all of them.
 */
import { compile, diffPrograms, type PolicyWorld } from "@wardline/domain/policy";
import { type AccessEnd, createAccessModel, diffAccess, reach } from "@wardline/domain/policy/access";
import { publish } from "./lib/publish.ts";
import { afterADay, makeServiceWorld } from "./lib/serviceWorlds.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 7);
const SIZE = { policies: Number(process.env.WARDLINE_BENCH_POLICIES ?? 10_000), hosts: 1_000 };
const PEER_HOSTS = 4;
const ANY: AccessEnd = { kind: "any" };

/** Wall-clock time, and the processor time of this thread: the first says little on a machine that others use. */
interface Sample {
  readonly wallMs: number;
  readonly processorMs: number;
}

const samples = new Map<string, Sample[]>();

function measure<Result>(name: string, body: () => Result): Result {
  const start = performance.now();
  const before = process.threadCpuUsage();
  const result = body();
  const { user, system } = process.threadCpuUsage(before);
  const sample = { wallMs: performance.now() - start, processorMs: (user + system) / 1000 };
  samples.set(name, [...(samples.get(name) ?? []), sample]);
  return result;
}

function labelled(key: string, value: string): AccessEnd {
  const requirements = [{ key, operator: "In" as const, values: [value] }];
  return { kind: "endpoints", selector: { namespaces: { kind: "any" }, endpoints: { requirements } } };
}

/** Every second round has the world of the day after as its old one, so that nothing can be remembered. */
function measureRound(old: PolicyWorld, next: PolicyWorld, round: number): object {
  const model = measure("prepare", () => createAccessModel(old));
  // Each question is the first one of its kind in its round.
  const service = `app-${17 + round * 11}`;
  const to = measure("reach to a service", () => reach(model, { from: ANY, to: labelled("app", service) }));
  const from = measure("reach from a service", () => reach(model, { from: labelled("app", service), to: ANY }));
  const again = measure("reach to another service", () =>
    reach(model, { from: ANY, to: labelled("app", `app-${40 + round * 7}`) }),
  );
  const tier = measure("reach to a tier of 250 hosts", () =>
    reach(model, { from: ANY, to: labelled("tier", "database") }),
  );
  const diff = measure("diff with preparation", () => diffAccess(createAccessModel(old), createAccessModel(next)));
  for (let host = 0; host < PEER_HOSTS; host++) {
    const name = `host-${(round * PEER_HOSTS + host) * 31}`;
    measure("peer: one host", () => diffPrograms(compile(old, name), compile(next, name), next));
  }
  const count = ({ rows, leftOut }: { readonly rows: readonly unknown[]; readonly leftOut: number }) =>
    rows.length + leftOut;
  return {
    toService: count(to),
    fromService: count(from),
    toAnother: count(again),
    toTier: count(tier),
    diff: count(diff),
  };
}

const before = makeServiceWorld(SIZE);
const after = afterADay(before);
let rows: object = {};
for (let round = 0; round < ROUNDS; round++) {
  rows = round % 2 === 0 ? measureRound(before, after, round) : measureRound(after, before, round);
}

const times = (name: string, field: keyof Sample): number[] => (samples.get(name) ?? []).map((sample) => sample[field]);
const peerPerRound = (field: keyof Sample): number[] => {
  const hosts = times("peer: one host", field);
  return Array.from({ length: ROUNDS }, (_, round) => {
    const own = hosts.slice(round * PEER_HOSTS, (round + 1) * PEER_HOSTS);
    return (own.reduce((sum, ms) => sum + ms, 0) / PEER_HOSTS) * SIZE.hosts;
  });
};

publish("access", {
  what: "Access by `policy reach` and `policy diff` in ms; the ratio is that of a comparison host by host to the diff.",
  method:
    `${ROUNDS} rounds; worlds in memory as the reader gives them; each round prepares anew. The peer is measured on ` +
    `${PEER_HOSTS} hosts in each round and multiplied to ${SIZE.hosts}.`,
  world: { ...SIZE, shape: "services: bench/src/lib/serviceWorlds.ts" },
  rowsOfLastRound: rows,
  times: Object.fromEntries(
    [...samples.keys()].map((name) => [
      name,
      {
        wallMs: rounded(summarize(times(name, "wallMs")), 1),
        processorMs: rounded(summarize(times(name, "processorMs")), 1),
      },
    ]),
  ),
  ratioOfPeerToDiff: rounded(
    summarizeRatios(peerPerRound("processorMs"), times("diff with preparation", "processorMs")),
    1,
  ),
});
