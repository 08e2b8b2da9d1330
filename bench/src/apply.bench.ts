/**
 * Apply latency for 10 to 2,500 rules (B6), through the agent's real socket: read, check, compile, fill, read back,
 * self-test, record on disk, flip. Each apply changes every rule, so nothing is reused. The peer is `nft -f` of the same
 * rules as a set in the same round: a whole process that parses, checks and commits.
 */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { connectAgent } from "@wardline/helper/testing/agentClient";
import { KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { startAgent } from "./lib/agentProcess.ts";
import { fromEnvironment, listFromEnvironment } from "./lib/measuring.ts";
import { publish } from "./lib/publish.ts";
import { makeRules, toNftSet, toPolicy } from "./lib/rules.ts";
import { quantile, rounded, summarize, summarizeRatios } from "./lib/statistics.ts";

const ROUNDS = fromEnvironment("ROUNDS", 20);
const SIZES = listFromEnvironment("SIZES", [10, 100, 1000, 2500]);
/** Nobody applies twice in a moment: what is left to do after a flip is done meanwhile. */
const REST_MS = fromEnvironment("REST_MS", 80);
const HOST = `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: bench}\nspec: {addresses: [10.77.0.2]}\n`;

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`apply: left out, ${problem}`);
  process.exit(0);
}
readBpfObject();

interface Samples {
  readonly totalMs: number[];
  readonly roundTripMs: number[];
  readonly parts: Record<"read" | "compile" | "fill" | "selfTest" | "flip", number[]>;
  readonly nftMs: number[];
}

const lab = new KernelLab();
const agent = await startAgent(lab, "source");
const samples = new Map<number, Samples>(
  SIZES.map((size) => [
    size,
    { totalMs: [], roundTripMs: [], parts: { read: [], compile: [], fill: [], selfTest: [], flip: [] }, nftMs: [] },
  ]),
);

function loadWithNft(size: number): number {
  const script = toNftSet(makeRules(size, { cidr: `${PEER_ADDRESS[4]}/32`, low: 7000, high: 7000 }));
  const start = performance.now();
  execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", "-f", "-"], { input: script });
  const elapsed = performance.now() - start;
  execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", "delete", "table", "inet", "wardline_bench"]);
  return elapsed;
}

let base = 0n;

/** Applies and confirms; the server's port differs in each round, so that the tables do too. */
async function applyOnce(size: number, round: number, into: Samples): Promise<void> {
  const port = 7000 + round;
  const text = toPolicy(makeRules(size, { cidr: `${PEER_ADDRESS[4]}/32`, low: port, high: port }));
  const { agent: client, close } = connectAgent(agent.socketPath);
  const state = {
    files: [
      { path: "bench.yaml", text },
      { path: "host.yaml", text: HOST },
    ],
  };
  const { programDigest } = await client.check({ state });
  await sleep(REST_MS);
  const start = performance.now();
  const answer = await client.apply({
    state,
    expectedProgramDigest: programDigest,
    mode: EnforcementMode.ENFORCE,
    baseGeneration: base,
    confirmWithin: durationFromMs(60_000),
  });
  into.roundTripMs.push(performance.now() - start);
  close();
  const { timings, generation } = answer;
  if (!timings || !generation) throw new Error("the agent sent no timings");
  into.totalMs.push(timings.totalUs / 1000);
  into.parts.read.push(timings.readUs / 1000);
  into.parts.compile.push(timings.compileUs / 1000);
  into.parts.fill.push(timings.fillUs / 1000);
  into.parts.selfTest.push(timings.selfTestUs / 1000);
  into.parts.flip.push(timings.flipUs / 1000);
  // A confirmation counts only over a connection that was opened after the flip.
  const fresh = connectAgent(agent.socketPath);
  await fresh.agent.confirm({ generation: generation.number, programDigest: generation.programDigest });
  fresh.close();
  base = generation.number;
}

try {
  for (let round = 0; round < ROUNDS; round++)
    for (const [size, into] of samples) {
      await applyOnce(size, round, into);
      into.nftMs.push(loadWithNft(size));
    }
} finally {
  await agent.stop();
  await lab.close();
}

publish("apply", {
  what: "Apply latency in ms as the agent reports it and as its client sees it, and `nft -f` of the same rules.",
  method: `${ROUNDS} rounds, sizes and peer interleaved; agent from source; every apply is confirmed before the next, which comes ${REST_MS} ms later or more.`,
  sizes: Object.fromEntries(
    [...samples].map(([size, own]) => [
      `${size} rules`,
      {
        agentMs: rounded(summarize(own.totalMs)),
        roundTripMs: rounded(summarize(own.roundTripMs)),
        p95AgentMs: Number(quantile(own.totalMs, 0.95).toFixed(1)),
        p95RoundTripMs: Number(quantile(own.roundTripMs, 0.95).toFixed(1)),
        parts: Object.fromEntries(
          Object.entries(own.parts).map(([part, values]) => [part, rounded(summarize(values), 3)]),
        ),
        nftMs: rounded(summarize(own.nftMs)),
        ratioToNft: rounded(summarizeRatios(own.roundTripMs, own.nftMs), 3),
      },
    ]),
  ),
});
