/**
 * How long a host's script takes: compile the policy, write the nftables text, load it with `nft -f`. The peer is `nft -f`
 * of the same rules as a plain list, and as one set written by hand, in the same round.
 */
import { compile, readPolicyFiles } from "@wardline/domain/policy";
import { emitNftables, requireScript } from "@wardline/domain/policy/emit";
import { NetfilterLab, netfilterLabProblem } from "@wardline/helper/testing/netfilterLab";
import { publish } from "./lib/publish.ts";
import { type BenchRule, makeRules, toNftSet, toPolicy } from "./lib/rules.ts";
import { rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 5);
const SIZES = [100, 1000, 5000];
const SERVER: BenchRule = { cidr: "10.77.0.1/32", low: 7000, high: 7000 };
const HOST = "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: bench}\nspec: {addresses: [10.77.0.2]}\n";

const problem = netfilterLabProblem();
if (problem !== null) {
  console.log(`emit: left out, ${problem}`);
  process.exit(0);
}

const lab = new NetfilterLab();

function loadMs(script: string, table: string): number {
  const start = performance.now();
  lab.load(script);
  const elapsed = performance.now() - start;
  lab.inside("host", "nft", ["delete", "table", "inet", table]);
  return elapsed;
}

function toNftList(rules: readonly BenchRule[]): string {
  const lines = rules.map(({ cidr, low, high }) => `    ip daddr ${cidr} tcp dport ${low}-${high} counter accept`);
  return `table inet wardline_bench {
  chain output {
    type filter hook output priority 0; policy drop;
    oif "lo" accept
    ct state established,related counter accept
${lines.join("\n").replaceAll(/ (\d+)-\1 /g, " $1 ")}
  }
}
`;
}

const results = [];
for (const size of SIZES) {
  const rules = makeRules(size, SERVER);
  const { world } = readPolicyFiles([
    { path: "bench.yaml", text: toPolicy(rules) },
    { path: "host.yaml", text: HOST },
  ]);
  const samples = {
    compileMs: [] as number[],
    emitMs: [] as number[],
    load: [] as number[],
    list: [] as number[],
    set: [] as number[],
  };
  let script = "";
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const program = compile({ ...world }, "bench");
    const compiled = performance.now();
    script = requireScript(emitNftables(program, { mode: "enforce" }));
    samples.compileMs.push(compiled - start);
    samples.emitMs.push(performance.now() - compiled);
    samples.load.push(loadMs(script, "wardline"));
    samples.list.push(loadMs(toNftList(rules), "wardline_bench"));
    samples.set.push(loadMs(toNftSet(rules), "wardline_bench"));
  }
  results.push({
    rules: size,
    scriptBytes: script.length,
    compileMs: rounded(summarize(samples.compileMs)),
    emitMs: rounded(summarize(samples.emitMs)),
    loadMs: rounded(summarize(samples.load)),
    nftListMs: rounded(summarize(samples.list)),
    nftSetMs: rounded(summarize(samples.set)),
    loadToList: rounded(summarizeRatios(samples.load, samples.list)),
    loadToSet: rounded(summarizeRatios(samples.load, samples.set)),
  });
}
await lab.close();
publish("emit", { unit: "milliseconds", rounds: ROUNDS, results });
