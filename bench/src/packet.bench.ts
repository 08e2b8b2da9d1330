/**
 * Nanoseconds per packet (B1, and the part of B2 that needs no sockets), by BPF_PROG_TEST_RUN on one processor.
 *
 * Two views. "decisions": the table lookups of one decision with another address in every run, because a repeated packet
 * finds its path in the cache; peers asked the same questions in the same run are a bare hash (lower bound) and one rule
 * after the other. "packets": the whole attached programs on one repeated packet each.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { MAP_NAMES } from "@wardline/helper/enforce/ebpf/layout";
import {
  type LoadedObject,
  loadObject,
  lookupElement,
  testRun,
  updateBatch,
  updateElement,
} from "@wardline/helper/linux/bpf/libbpf";
import { kernelLabProblem } from "@wardline/helper/testing/kernelLab";
import { ProgramRunner } from "@wardline/helper/testing/programRunner";
import { ethernet, ipv4, ipv6, TCP_FLAG, tcp, udp } from "@wardline/helper/testing/rawPacket";
import { Attempts, fromEnvironment, listFromEnvironment, pinThisProcess, shuffled } from "./lib/measuring.ts";
import { bpfilterProblem, buildBpf, programProblem } from "./lib/native.ts";
import { publish } from "./lib/publish.ts";
import { summarize } from "./lib/statistics.ts";
import {
  type Family,
  LINEAR_RULE_BYTES,
  type Order,
  type Outcome,
  packAddresses,
  packLinearRules,
  packQuestions,
  QUESTION_BYTES,
  type Shape,
  tableProgram,
} from "./lib/tableProgram.ts";

const SIZES = listFromEnvironment("SIZES", [8, 128, 1024, 16_384, 131_072, 1_048_576]);
const REPEAT = fromEnvironment("REPEAT", 1_000_000);
const RUNS = fromEnvironment("RUNS", 5);
/** Peers settle sooner than tables that miss the cache. One rule after the other takes about 9 ns a rule. */
const PEER_REPEAT = Math.min(REPEAT, 100_000);
const LINEAR_LIMIT = 16_384;
const LINEAR_BUDGET_NS = 50_000_000;
/** Sizes at which whole packets are measured: they ask the tables once, or not at all. */
const PACKET_SIZES = [8, 16_384];
const LARGE = 100_000;
const CURSOR_BYTES = 24;
const LOCAL = { 4: "198.51.100.1", 6: "2001:db8:ffff::1" } as const;

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`packet: left out, ${problem}`);
  process.exit(0);
}

interface Case {
  readonly family: Family;
  readonly shape: Shape;
  readonly order: Order;
  readonly outcome: Outcome;
}

/** Every case for tables that fit a cache; for the large ones the cases that differ. */
function casesFor(size: number): Case[] {
  return ([4, 6] as const).flatMap((family) => {
    const shared: Case[] = [
      { family, shape: "shared", order: "random", outcome: "hit" },
      { family, shape: "shared", order: "zipf", outcome: "hit" },
      { family, shape: "shared", order: "random", outcome: "deny" },
      { family, shape: "shared", order: "random", outcome: "miss" },
    ];
    // A table of ports for each of a million networks is no policy that anybody has.
    if (size >= LARGE) return shared.slice(0, family === 4 ? 2 : 1);
    return [{ family, shape: "own", order: "random", outcome: "hit" }, ...shared];
  });
}

interface Cost {
  readonly minNs: number;
  readonly medianNs: number;
}

function costOf(samples: readonly number[]): Cost {
  const { min, median } = summarize(samples);
  return { minNs: min, medianNs: median };
}

/** The bench's own programs on the maps that the enforcer pinned, with peers of one size. */
class Questions {
  readonly #object: LoadedObject;
  readonly #packet = ethernet(ipv4("192.0.2.1", LOCAL[4], 17, udp(1, 2)));
  #mask = 0;

  constructor(objectBytes: Uint8Array, runner: ProgramRunner, size: number) {
    // Only what the included headers declare: the object's table of names has it.
    const own = MAP_NAMES.filter((name) => Buffer.from(objectBytes).includes(`\0${name}\0`));
    const reuse = new Map<string, number>(own.map((name) => [name, runner.pin(name)]));
    const peers = Math.min(size, LINEAR_LIMIT);
    this.#object = loadObject(objectBytes, {
      maxEntries: new Map([
        ["bench_hash", size],
        ["bench_linear", peers],
      ]),
      reuse,
    });
  }

  /** Keys are the indexes of an array unless given. */
  #fill(map: string, values: Buffer, valueBytes: number, keys?: Buffer): void {
    const count = values.length / valueBytes;
    const indexes = keys ?? Buffer.from(Uint32Array.from({ length: count }, (_, index) => index).buffer);
    updateBatch(this.#object.mapFd(map), indexes, values, count);
  }

  /** `length` is a power of two. */
  ask(questions: Buffer): void {
    this.#fill("bench_sequence", questions, QUESTION_BYTES);
    this.#mask = questions.length / QUESTION_BYTES - 1;
  }

  /** The same networks in the tables of the peers. */
  fillPeers(size: number, { family, shape }: Case): void {
    this.#fill("bench_hash", Buffer.alloc(size * 4, 1), 4, packAddresses(size, family));
    if (size > LINEAR_LIMIT) return;
    this.#fill("bench_linear", packLinearRules(size, family, shape), LINEAR_RULE_BYTES);
    const count = Buffer.alloc(4);
    count.writeUInt32LE(size);
    updateElement(this.#object.mapFd("bench_linear_count"), Buffer.alloc(4), count);
  }

  /** Average ns of one run, and the share of questions that were allowed. */
  run(program: string, repeat: number): { durationNs: number; allowed: number } {
    const cursor = Buffer.alloc(CURSOR_BYTES);
    cursor.writeUInt32LE(this.#mask, 4);
    updateElement(this.#object.mapFd("bench_cursor"), Buffer.alloc(4), cursor);
    const { durationNs } = testRun(this.#object.programFd(program), this.#packet, null, repeat);
    lookupElement(this.#object.mapFd("bench_cursor"), Buffer.alloc(4), cursor);
    return { durationNs, allowed: Number(cursor.readBigUInt64LE(8)) / repeat };
  }

  close(): void {
    this.#object.close();
  }
}

const SUBJECTS = {
  empty: "bench_empty",
  wardline: "bench_wardline",
  hash: "bench_hash_only",
  linear: "bench_linear_scan",
};
type Subject = keyof typeof SUBJECTS;

function measureCase(questions: Questions, size: number, one: Case): object {
  const length = size < LARGE ? 65_536 : 1_048_576;
  questions.ask(packQuestions(length, { count: size, ...one }, one.order, one.outcome));
  const subjects = (Object.keys(SUBJECTS) as Subject[]).filter((name) => name !== "linear" || size <= LINEAR_LIMIT);
  const samples = new Map<Subject, number[]>(subjects.map((name) => [name, []]));
  const linearRepeat = Math.max(100, Math.min(PEER_REPEAT, Math.round(LINEAR_BUDGET_NS / (size * 9))));
  const repeatOf = (name: Subject): number =>
    name === "wardline" ? REPEAT : name === "linear" ? linearRepeat : PEER_REPEAT;
  for (let run = 0; run < RUNS; run++)
    for (const name of shuffled(subjects)) {
      const { durationNs, allowed } = questions.run(SUBJECTS[name], repeatOf(name));
      const expected = one.outcome === "hit" ? 1 : 0;
      if ((name === "wardline" || name === "linear") && allowed !== expected)
        throw new Error(`${name} allowed ${allowed} of the questions and should have allowed ${expected}`);
      samples.get(name)?.push(durationNs);
    }
  const costs = Object.fromEntries([...samples].map(([name, values]) => [name, costOf(values)]));
  const lookupNs = (costs.wardline?.medianNs ?? Number.NaN) - (costs.empty?.medianNs ?? Number.NaN);
  return { ...costs, lookupNs };
}

/** The attached programs on one repeated packet each; the flow is opened first, and answered where that matters. */
function measurePackets(runner: ProgramRunner, size: number, family: Family): object {
  const middle = size >> 1;
  const make = family === 4 ? ipv4 : ipv6;
  const remote =
    family === 4 ? ipv4Text(middle) : `2001:db8:${(middle >>> 16).toString(16)}:${(middle & 0xffff).toString(16)}::1`;
  const local = LOCAL[family];
  const port = 1000 + ((middle % 64) % 20_000);
  const opening = make(remote, local, 6, tcp(50_000, port, TCP_FLAG.syn));
  const answer = make(local, remote, 6, tcp(port, 50_000, TCP_FLAG.syn | TCP_FLAG.ack));
  const established = make(remote, local, 6, tcp(50_000, port, TCP_FLAG.ack));
  const denied = make(remote, local, 6, tcp(50_000, 1, TCP_FLAG.syn));
  if (runner.run("ingress", opening).returnValue !== 1) throw new Error("the opening packet was denied");
  runner.run("egress", answer);
  const cost = (packet: Buffer, direction: "ingress" | "egress", verdict: number): Cost =>
    costOf(
      Array.from({ length: RUNS }, () => {
        const { returnValue, durationNs } = runner.run(direction, packet, { repeat: REPEAT });
        if (returnValue !== verdict) throw new Error(`the program answered ${returnValue}, not ${verdict}`);
        return durationNs;
      }),
    );
  return {
    emptyProgram: emptyCost(established),
    establishedIngress: cost(established, "ingress", 1),
    establishedEgress: cost(make(local, remote, 6, tcp(port, 50_000, TCP_FLAG.ack)), "egress", 1),
    denied: cost(denied, "ingress", 0),
    firstPacketLookups: costOf(
      Array.from({ length: RUNS }, () => runner.runSelfTest("ingress", opening, REPEAT).durationNs),
    ),
  };
}

/** What a program that only says yes costs in the same loop. */
function emptyCost(packet: Buffer): Cost {
  const object = loadObject(emptyBytes, { maxEntries: new Map(), reuse: new Map() });
  try {
    const run = (): number => testRun(object.programFd("empty_ingress"), ethernet(packet), null, REPEAT).durationNs;
    return costOf(Array.from({ length: RUNS }, run));
  } finally {
    object.close();
  }
}

function ipv4Text(index: number): string {
  const address = 0x0a64_0000 + index * 16 + 1;
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

const attempts = new Attempts();
const pinned = pinThisProcess(1);
const objectBytes = readFileSync(buildBpf(tmpdir(), "lookups"));
const emptyBytes = readFileSync(buildBpf(tmpdir(), "empty"));
const runner = new ProgramRunner();
const decisions: Record<string, Record<string, object | null>> = {};
const packets: Record<string, Record<string, object | null>> = {};
const entriesOf: Record<string, number> = {};
let generation = 0;
await runner.open();
try {
  for (const size of SIZES) await measureSize(size);
} finally {
  await runner.close();
}

async function measureSize(size: number): Promise<void> {
  const name = `${size}`;
  decisions[name] = {};
  packets[name] = {};
  const cases = casesFor(size);
  const tables = [...new Set(cases.map(({ family, shape }) => `${family} ${shape}`))];
  for (const table of tables) {
    const own = cases.filter(({ family, shape }) => `${family} ${shape}` === table);
    const [first] = own;
    if (!first) continue;
    const into = { decisions: decisions[name] ?? {}, packets: packets[name] ?? {} };
    await attempts.run(`${size} entries, IPv${first.family}, ${first.shape} ports`, () =>
      measureTable(size, first, own, into),
    );
  }
  console.log(`${size} entries measured`);
}

async function measureTable(
  size: number,
  { family, shape }: Case,
  cases: readonly Case[],
  into: { decisions: Record<string, object | null>; packets: Record<string, object | null> },
): Promise<void> {
  const { program, entries } = tableProgram(size, family, shape);
  entriesOf[`${size} IPv${family} ${shape}`] = entries;
  generation += 1;
  const prepared = await runner.enforcer.prepare(program, generation);
  runner.enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  const questions = new Questions(objectBytes, runner, size);
  try {
    questions.fillPeers(size, { family, shape, order: "random", outcome: "hit" });
    for (const one of cases) {
      const name = `IPv${family}, ${shape} ports, ${one.order} ${one.outcome}`;
      into.decisions[name] = await attempts.run(`${size} entries, ${name}`, () => measureCase(questions, size, one));
    }
  } finally {
    questions.close();
  }
  if (shape === "shared" && PACKET_SIZES.includes(size))
    into.packets[`IPv${family}`] = await attempts.run(`${size} entries, whole IPv${family} packets`, () =>
      measurePackets(runner, size, family),
    );
}

/** How often the processor waits for memory, where the machine can count it. */
function cacheMissProblem(): string {
  const missing = programProblem("perf");
  if (missing !== null) return missing;
  const said = execFileSync("sh", ["-c", "perf stat -e cache-misses true 2>&1"]).toString();
  return /not supported|not counted/.test(said)
    ? "perf stat: cache-misses is not supported in this machine"
    : "counted, not published";
}

attempts.skip("cache misses of the large tables", cacheMissProblem());
attempts.skip("bpfilter, chain and set", bpfilterProblem());

function at(size: number, name: string): number | null {
  const found = decisions[`${size}`]?.[name] as { wardline?: Cost } | null | undefined;
  return found?.wardline?.medianNs ?? null;
}

function growth(name: string): number | null {
  const [small, large] = [at(8, name), at(16_384, name)];
  return small === null || large === null ? null : Number((large / small).toFixed(2));
}

publish("packet", {
  what: "ns per packet by BPF_PROG_TEST_RUN: the lookups of a decision with changing addresses, and whole programs on one packet.",
  method: `${RUNS} runs of ${REPEAT} each (peers fewer), interleaved, processor 1${pinned ? "" : " (not pinned: taskset is missing)"}. "empty" is the same program without a lookup; "lookupNs" is the difference. Every run's count of allowed questions was checked.`,
  entriesOf,
  passLine: "under 2x from 8 to 16,384 entries: networks that share services (whole run of the decision program)",
  growthFrom8To16384: Object.fromEntries(
    casesFor(8).map((one) => {
      const name = `IPv${one.family}, ${one.shape} ports, ${one.order} ${one.outcome}`;
      return [name, growth(name)];
    }),
  ),
  decisions,
  packets,
  leftOut: attempts.leftOut,
});
