/**
 * Compiling 10,000 policies over 1,000 hosts, in several shapes: one host, the same host after one changed policy, and all
 * hosts from one compiler. The peer is `nft -f` of the same tables' address and port rules: 10,000 of them from one
 * source, read and committed by nftables, compiled and built into tables by Wardline, in the same round.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  compile,
  createCompiler,
  createLookup,
  evaluate,
  type HostProgram,
  type PolicyWorld,
  type ProgramPacket,
} from "@wardline/domain/policy";
import { KernelLab, kernelLabProblem } from "@wardline/helper/testing/kernelLab";
import { publish } from "./lib/publish.ts";
import { makeRules, toNftSet, toWorld } from "./lib/rules.ts";
import { rounded, type Summary, summarize, summarizeRatios } from "./lib/statistics.ts";
import { FULL_SIZE, hostNameAt, makeWorld, WORLD_SHAPES, type WorldShape, withOnePolicyChanged } from "./lib/worlds.ts";

const ROUNDS = Number(process.env.WARDLINE_BENCH_ROUNDS ?? 7);
const ALL_HOSTS = Number(process.env.WARDLINE_BENCH_HOSTS ?? FULL_SIZE.hosts);
const NFT_RULES = 10_000;
const LOOKUPS = 1_000_000;
const HOST = 7;

/** Both clocks: what a user waits, and what the thread worked while others used the processor. */
interface Timed<Value> {
  readonly value: Value;
  readonly elapsedMs: number;
  readonly processorMs: number;
}

function timed<Value>(work: () => Value): Timed<Value> {
  const processor = process.threadCpuUsage();
  const start = performance.now();
  const value = work();
  const elapsedMs = performance.now() - start;
  const { user, system } = process.threadCpuUsage(processor);
  return { value, elapsedMs, processorMs: (user + system) / 1000 };
}

function summary(samples: readonly Timed<unknown>[]): { elapsedMs: Summary; processorMs: Summary } {
  return {
    elapsedMs: rounded(summarize(samples.map(({ elapsedMs }) => elapsedMs)), 1),
    processorMs: rounded(summarize(samples.map(({ processorMs }) => processorMs)), 1),
  };
}

/** As the console has its programs digested. */
const createSha256 = () => createHash("sha256");

/** A policy that decides something on the host, so that a change of it changes the program. */
function decidingPolicy(world: PolicyWorld, program: HostProgram): number {
  const decision = program.decisions.find(({ reason }) => reason === "rule");
  return world.policies.findIndex(({ key }) => key === decision?.policyKeys[0]);
}

function measureOneHost(shape: WorldShape) {
  return Array.from({ length: ROUNDS }, () => {
    const world = makeWorld(shape);
    globalThis.gc?.();
    return timed(() => compile(world, hostNameAt(HOST), createSha256));
  });
}

function measureOneChange(shape: WorldShape) {
  let world = makeWorld(shape);
  const compiler = createCompiler(world, createSha256);
  let program = compiler.program(hostNameAt(HOST));
  const index = decidingPolicy(world, program);
  return Array.from({ length: ROUNDS }, (_, round) => {
    world = withOnePolicyChanged(world, index, 20_000 + round);
    const changed = timed(() => {
      compiler.update(world);
      return compiler.program(hostNameAt(HOST));
    });
    if (changed.value.digest === program.digest) throw new Error("the change did not reach the program");
    program = changed.value;
    return changed;
  });
}

function measureAllHosts(shape: WorldShape) {
  const world = makeWorld(shape);
  return timed(() => {
    const compiler = createCompiler(world, createSha256);
    const digests = new Set<string>();
    for (let index = 0; index < ALL_HOSTS; index++) digests.add(compiler.program(hostNameAt(index)).digest);
    return digests.size;
  });
}

function measureLookup(program: HostProgram) {
  const packets = Array.from({ length: LOOKUPS }, (_, index): ProgramPacket => {
    const random = Math.imul(index + 1, 2_654_435_761) >>> 0;
    return {
      set: 0,
      direction: random & 1 ? "ingress" : "egress",
      remote: `172.16.${(random >>> 8) & 7}.${(random >>> 16) & 255}`,
      local: "172.16.0.7",
      protocol: index % 8 === 0 ? 17 : 6,
      port: (random >>> 4) % 10_000,
    };
  });
  return timed(() => {
    const lookup = createLookup(program);
    let denied = 0;
    for (const packet of packets) if (lookup(packet).verdict === "deny") denied++;
    return denied;
  });
}

function measureExplain(world: PolicyWorld) {
  const end = (index: number) => ({ endpointKey: `Host/${hostNameAt(index)}`, address: `172.16.0.${index}` });
  return timed(() => evaluate(world, { from: end(HOST), to: end(HOST + 2), protocol: 6, port: 1001 }));
}

function measureShape(shape: WorldShape) {
  const oneHost = measureOneHost(shape);
  const oneChange = measureOneChange(shape);
  const allHosts = measureAllHosts(shape);
  const program = oneHost[0]?.value;
  if (!program) throw new RangeError("at least one round is needed");
  const lookup = measureLookup(program);
  const explain = measureExplain(makeWorld(shape));
  return {
    tables: {
      addresses: program.addresses4.length + program.addresses6.length,
      classes: program.classes.length,
      ports: program.ports.length,
      decisions: program.decisions.length,
    },
    first: rounded(summarize([oneHost[0]?.elapsedMs ?? 0]), 1).median,
    oneHost: summary(oneHost),
    oneChangedPolicy: summary(oneChange),
    allHosts: {
      hosts: ALL_HOSTS,
      elapsedMs: Math.round(allHosts.elapsedMs),
      processorMs: Math.round(allHosts.processorMs),
    },
    millionLookups: { elapsedMs: Math.round(lookup.elapsedMs), processorMs: Math.round(lookup.processorMs) },
    explain: { elapsedMs: Math.round(explain.elapsedMs), processorMs: Math.round(explain.processorMs) },
  };
}

/** Parsing text belongs to nft's figure and not to ours; bench `read` measures ours. */
async function compareWithNft() {
  const lab = new KernelLab();
  const [nftMs, compileMs]: [number[], number[]] = [[], []];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const rules = makeRules(NFT_RULES, { cidr: "10.77.0.1/32", low: 7000 + round, high: 7000 + round });
      const script = toNftSet(rules);
      const world = toWorld(rules, "bench");
      nftMs.push(
        timed(() => execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", "-f", "-"], { input: script }))
          .elapsedMs,
      );
      execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", "delete", "table", "inet", "wardline_bench"]);
      compileMs.push(timed(() => createLookup(compile(world, "bench"))).elapsedMs);
    }
  } finally {
    await lab.close();
  }
  return {
    rules: NFT_RULES,
    nftMs: rounded(summarize(nftMs), 1),
    compileMs: rounded(summarize(compileMs), 1),
    ratioToNft: rounded(summarizeRatios(compileMs, nftMs), 3),
  };
}

const problem = kernelLabProblem();
publish("compile", {
  what: "Compiling 10,000 policies over 1,000 hosts: one host, after one changed policy, all hosts; ms.",
  method: `${ROUNDS} rounds, a new world in each for one host; processorMs is the time of the thread. Comparison with nft: ${
    problem ?? "the same rules loaded by `nft -f` in the same round"
  }.`,
  shapes: Object.fromEntries(WORLD_SHAPES.map((shape) => [shape, measureShape(shape)])),
  ...(problem === null ? { nft: await compareWithNft() } : {}),
});
