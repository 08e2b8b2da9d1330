/**
 * Apply against the number of rules (B6), and one changed rule (B7), in one process with the agent's own parts: read,
 * compile, fill and read back, self-test, flip. The peer is nft with the same rules as a set: `nft -f` of the whole, and
 * `nft add element` for one. What the agent adds (socket, record on disk) is in apply.json.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createCompiler, createPolicyReader, type HostProgram, type SourceFile } from "@wardline/domain/policy";
import { EbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import { KernelLab, kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { Attempts, fromEnvironment, listFromEnvironment } from "./lib/measuring.ts";
import { programProblem } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";
import { toNftSet } from "./lib/rules.ts";
import { sizedFiles, sizedRule, sizedRules } from "./lib/rulesOfSize.ts";
import { quantile, rounded, summarize } from "./lib/statistics.ts";

const SIZES = listFromEnvironment("SIZES", [10, 100, 1000, 2500, 10_000, 100_000]);
const ROUNDS = fromEnvironment("ROUNDS", 20);
/** Large sizes get fewer rounds: they take seconds. */
const ROUNDS_AT_LARGE = Math.min(ROUNDS, fromEnvironment("ROUNDS_AT_LARGE", 5));
const ROUNDS_AT_LARGEST = Math.min(ROUNDS, fromEnvironment("ROUNDS_AT_LARGEST", 2));
const LARGE = 5000;
const LARGEST = 50_000;
/** Where each network cannot have a rule of its own, ten share one. */
const SHARED_NETWORKS = 10;
/** Nobody applies twice in a moment: what is left to do after a flip is done meanwhile, as in the agent. */
const REST_MS = fromEnvironment("REST_MS", 80);
const DELTA_SIZES = SIZES.filter((size) => size >= 10_000);

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`scale: left out, ${problem}`);
  process.exit(0);
}

/** `datapath`: fill, self-test and flip together. */
type Part = "read" | "compile" | "fill" | "selfTest" | "flip" | "datapath" | "total";
type Parts = Record<Part, number>;

/** Keeps what it read and compiled, as the agent does from one apply to the next. */
class Engine {
  readonly #reader = createPolicyReader({ limits: { maxTotalLength: 64 * 1024 * 1024 } });
  readonly #enforcer: EbpfEnforcer;
  #compiler: ReturnType<typeof createCompiler> | null = null;
  #generation = 0;

  constructor(enforcer: EbpfEnforcer) {
    this.#enforcer = enforcer;
  }

  async apply(files: readonly SourceFile[]): Promise<Parts> {
    await sleep(REST_MS);
    const start = performance.now();
    const { world, ok, diagnostics } = this.#reader.read(files, { errorsOnly: true });
    if (!ok) throw new Error(JSON.stringify(diagnostics.find(({ severity }) => severity === "error")));
    const readAt = performance.now();
    // The platform's SHA-256, as the agent's engine takes it.
    if (this.#compiler === null) this.#compiler = createCompiler(world, () => createHash("sha256"));
    else this.#compiler.update(world);
    const program: HostProgram = this.#compiler.program("bench");
    const compiledAt = performance.now();
    this.#generation += 1;
    const prepared = await this.#enforcer.prepare(program, this.#generation);
    const flipUs = this.#enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
    const end = performance.now();
    const { selfTestUs } = prepared.timings;
    return {
      read: readAt - start,
      compile: compiledAt - readAt,
      // Whatever is not the self-test or the flip: packing, filling, installing, reading back.
      fill: end - compiledAt - (selfTestUs + flipUs) / 1000,
      selfTest: selfTestUs / 1000,
      flip: flipUs / 1000,
      datapath: end - compiledAt,
      total: end - start,
    };
  }
}

const lab = new KernelLab();
const attempts = new Attempts();
const nftMissing = programProblem("nft");
if (nftMissing !== null) attempts.skip("nftables", nftMissing);

function nft(args: readonly string[], script?: string): number {
  const start = performance.now();
  const options = { ...(script === undefined ? {} : { input: script }), maxBuffer: 1 << 28, timeout: 60_000 };
  execFileSync("nsenter", [`--net=${lab.hostNamespace}`, "nft", ...args], options);
  return performance.now() - start;
}

function summary(samples: readonly Parts[]): object {
  const parts: Part[] = ["read", "compile", "fill", "selfTest", "flip", "datapath", "total"];
  return Object.fromEntries(
    parts.map((part) => {
      const values = samples.map((sample) => sample[part]);
      return [`${part}Ms`, { ...rounded(summarize(values), 3), p95: Number(quantile(values, 0.95).toFixed(3)) }];
    }),
  );
}

async function withEnforcer<T>(use: (engine: Engine) => Promise<T>): Promise<T> {
  const { cgroupRoot, bpffsDir } = lab;
  const enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: readBpfObject() });
  await enforcer.open();
  try {
    return await use(new Engine(enforcer));
  } finally {
    await enforcer.release();
  }
}

/** Every round changes every rule: nothing that was read, compiled or loaded before can be used again. */
async function measureWhole(size: number, networksPerRule = 1): Promise<object> {
  const rounds = size >= LARGEST ? ROUNDS_AT_LARGEST : size >= LARGE ? ROUNDS_AT_LARGE : ROUNDS;
  const samples: Parts[] = [];
  const nftMs: number[] = [];
  let firstMs = Number.NaN;
  await withEnforcer(async (engine) => {
    // The first has nothing to build on, and in a new process the code is not compiled yet: it is told apart.
    firstMs = (await engine.apply(sizedFiles(size, 0, { networksPerRule }))).total;
    for (let round = 1; round <= rounds; round++) {
      samples.push(await engine.apply(sizedFiles(size, round, { networksPerRule })));
      if (nftMissing === null) {
        nftMs.push(nft(["-f", "-"], toNftSet(sizedRules(size, round))));
        nft(["delete", "table", "inet", "wardline_bench"]);
      }
    }
  });
  return {
    rounds,
    networksPerRule,
    ...summary(samples),
    firstMs: Number(firstMs.toFixed(1)),
    nftFileMs: nftMs.length > 0 ? rounded(summarize(nftMs), 1) : null,
  };
}

/** One rule in the middle gets another port; then it goes back. */
async function measureDelta(size: number, networksPerRule = 1): Promise<object> {
  const middle = size >> 1;
  const samples: Parts[] = [];
  await withEnforcer(async (engine) => {
    await engine.apply(sizedFiles(size, 0, { networksPerRule }));
    // Two applies that are not counted: both slots then hold tables of this size.
    for (let round = -2; round < Math.min(ROUNDS, size >= LARGEST ? 4 : 8); round++) {
      const parts = await engine.apply(
        sizedFiles(size, 0, { networksPerRule, changed: round % 2 === 0 ? middle : null }),
      );
      if (round >= 0) samples.push(parts);
    }
  });
  return { rounds: samples.length, networksPerRule, ...summary(samples) };
}

/** A whole process that adds one element to a set of that size. */
function measureNftElement(size: number): object {
  nft(["-f", "-"], toNftSet(sizedRules(size, 0)));
  try {
    const samples = Array.from({ length: Math.min(ROUNDS, 10) }, (_, round) => {
      const { cidr, low } = sizedRule(size + round, 0);
      return nft(["add", "element", "inet", "wardline_bench", "allowed", `{ ${cidr} . ${low} }`]);
    });
    return rounded(summarize(samples), 1);
  } finally {
    nft(["delete", "table", "inet", "wardline_bench"]);
  }
}

/** One rule for each network; where that is refused the reason is published, and ten networks share a rule. */
async function withFallback(
  what: string,
  measure: (networksPerRule: number) => Promise<object>,
): Promise<object | null> {
  const alone = await attempts.run(what, () => measure(1));
  if (alone !== null) return alone;
  return attempts.run(`${what}, ${SHARED_NETWORKS} networks in each`, () => measure(SHARED_NETWORKS));
}

const whole: Record<string, object | null> = {};
const oneRule: Record<string, object | null> = {};
try {
  for (const size of SIZES) {
    whole[`${size} rules`] = await withFallback(`${size} rules`, (networks) => measureWhole(size, networks));
    console.log(`${size} rules measured`);
  }
  for (const size of DELTA_SIZES) {
    const wardline = await withFallback(`one rule of ${size}`, (networks) => measureDelta(size, networks));
    const nftAddElementMs =
      nftMissing === null ? await attempts.run(`nft add element to ${size}`, () => measureNftElement(size)) : null;
    oneRule[`one of ${size} rules`] = { wardline, nftAddElementMs };
  }
} finally {
  await lab.close();
}

publish("scale", {
  what: "Apply in ms against the number of rules, one network and port range each: every rule changed, and one rule changed.",
  method: `${ROUNDS} applies of each size (${ROUNDS_AT_LARGE} above ${LARGE}, ${ROUNDS_AT_LARGEST} above ${LARGEST}), in one process, ${REST_MS} ms after each other; no socket, no record on disk. nft: a whole process with the same rules as one set.`,
  passLine: "p95: 2,500 rules under 30 ms, 100,000 rules under 500 ms, one changed rule in 100,000 under 20 ms",
  whole,
  oneRule,
  leftOut: attempts.leftOut,
});
