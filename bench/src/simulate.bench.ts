/**
 * One million recorded flows through 10,000 policies over 1,000 hosts: from the bytes of `wardline flows --format json`
 * to counted groups, on one thread and from a file on two; beside it reading alone, judging alone, `JSON.parse` of the
 * same lines and the reference evaluator.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { evaluate, type PolicyWorld, readPolicyFiles } from "@wardline/domain/policy";
import {
  type ColumnBatch,
  FlowLineReader,
  type RecordedFlow,
  Simulation,
  type SimulationResult,
  simulateFlows,
} from "@wardline/domain/policy/simulate";
import { readFlowFileOnThread } from "@wardline/main/cli/input/flow-lines-thread";
import { makeFleet, makeFlowLines } from "./lib/fleet.ts";
import { publish } from "./lib/publish.ts";
import { rounded, summarize } from "./lib/statistics.ts";

const FLOWS = Number(process.env.WARDLINE_BENCH_FLOWS ?? 1_000_000);
const RUNS = Number(process.env.WARDLINE_BENCH_RUNS ?? 3);
const HOSTS = 1000;
const POLICIES = 10_000;
/** The reference takes milliseconds for each flow, so a part of them stands for all. */
const REFERENCE_FLOWS = 200;
const CHUNK_BYTES = 1024 * 1024;

const reading = readPolicyFiles(makeFleet(HOSTS, POLICIES));
if (!reading.ok) throw new Error(JSON.stringify(reading.diagnostics.find(({ severity }) => severity === "error")));
const world: PolicyWorld = reading.world;
const bytes = makeFlowLines(FLOWS, HOSTS);
const directory = mkdtempSync(join(tmpdir(), "wardline-bench-simulate-"));
process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
const file = join(directory, "flows.ndjson");
writeFileSync(file, bytes);

/** Processor time, because the machine may be shared, and elapsed time beside it. */
async function timed<Result>(body: () => Result | Promise<Result>) {
  const used = process.cpuUsage();
  const start = performance.now();
  const result = await body();
  const { user, system } = process.cpuUsage(used);
  return { ms: (user + system) / 1000, elapsedMs: performance.now() - start, result };
}

function readAll(each: (batch: ColumnBatch) => void): void {
  const reader = new FlowLineReader();
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    each(reader.push(bytes.subarray(start, start + CHUNK_BYTES)));
  }
  each(reader.finish());
}

function simulateBytes(withBase: boolean): SimulationResult {
  const simulation = new Simulation({ candidate: world, base: withBase ? world : null });
  readAll(({ columns }) => simulation.addColumns(columns));
  return simulation.result();
}

async function simulateFile(): Promise<SimulationResult> {
  const batches = readFlowFileOnThread(file, new AbortController().signal);
  const steps = simulateFlows(batches, { candidate: world });
  for (;;) {
    const step = await steps.next();
    if (step.done) return step.value;
  }
}

const samples = {
  twoThreads: [] as number[],
  twoThreadsElapsed: [] as number[],
  whole: [] as number[],
  wholeElapsed: [] as number[],
  withBase: [] as number[],
  reading: [] as number[],
  judging: [] as number[],
  jsonParse: [] as number[],
};
let summary: SimulationResult | null = null;
for (let run = 0; run < RUNS; run++) {
  const twoThreads = await timed(simulateFile);
  samples.twoThreads.push(twoThreads.ms);
  samples.twoThreadsElapsed.push(twoThreads.elapsedMs);
  const whole = await timed(() => simulateBytes(false));
  if (JSON.stringify(twoThreads.result) !== JSON.stringify(whole.result))
    throw new Error("two threads differ from one");
  samples.whole.push(whole.ms);
  samples.wholeElapsed.push(whole.elapsedMs);
  summary = whole.result;
  samples.withBase.push((await timed(() => simulateBytes(true))).ms);
  const batches: ColumnBatch[] = [];
  samples.reading.push((await timed(() => readAll((batch) => batches.push(batch)))).ms);
  samples.judging.push(
    (
      await timed(() => {
        const simulation = new Simulation({ candidate: world });
        for (const { columns } of batches) simulation.addColumns(columns);
      })
    ).ms,
  );
  samples.jsonParse.push(
    (
      await timed(() => {
        for (let start = 0; start < bytes.length; ) {
          const end = bytes.indexOf(10, start);
          JSON.parse(bytes.toString("latin1", start, end));
          start = end + 1;
        }
      })
    ).ms,
  );
}
const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);

const referenceFlows: RecordedFlow[] = [];
readAll(({ flows }) => {
  const step = Math.floor(FLOWS / REFERENCE_FLOWS);
  for (const flow of flows) if (referenceFlows.length < REFERENCE_FLOWS * step) referenceFlows.push(flow);
});
const step = Math.floor(referenceFlows.length / REFERENCE_FLOWS);
const owners = new Map(
  world.inventory.endpoints.flatMap((endpoint) => endpoint.addresses.map((own) => [own, endpoint.key])),
);
const reference = await timed(() => {
  for (let index = 0; index < REFERENCE_FLOWS; index++) {
    const flow = referenceFlows[index * step];
    if (!flow) throw new Error("too few flows");
    const end = (address: string) => ({ endpointKey: owners.get(address) ?? null, address });
    evaluate(world, { ...flow, from: end(flow.sourceAddress), to: end(flow.destinationAddress) });
  }
});
const referenceMs = (reference.ms / REFERENCE_FLOWS) * FLOWS;
const whole = summarize(samples.whole);

publish("simulate", {
  what: `${FLOWS} flows as newline-delimited JSON (${Math.round(bytes.length / 2 ** 20)} MiB) through ${POLICIES} policies over ${HOSTS} hosts; ms of processor time.`,
  method: `${RUNS} runs in one process, flows in memory; with two threads in a file in the page cache. The reference evaluator decides ${REFERENCE_FLOWS} of the flows; its time for all is scaled.`,
  distinctQuestions: new Set(
    referenceFlows.map(
      (flow) => `${flow.direction} ${flow.sourceAddress} ${flow.destinationAddress} ${flow.protocol} ${flow.port}`,
    ),
  ).size,
  classes: summary?.recorded,
  groups: summary?.groups.length,
  twoThreadsMs: rounded(summarize(samples.twoThreads), 0),
  twoThreadsElapsedMs: rounded(summarize(samples.twoThreadsElapsed), 0),
  wholeMs: rounded(whole, 0),
  wholeElapsedMs: rounded(summarize(samples.wholeElapsed), 0),
  withBaseMs: rounded(summarize(samples.withBase), 0),
  readingMs: rounded(summarize(samples.reading), 0),
  judgingMs: rounded(summarize(samples.judging), 0),
  jsonParseMs: rounded(summarize(samples.jsonParse), 0),
  readingOverJsonParse: Number((summarize(samples.reading).median / summarize(samples.jsonParse).median).toFixed(2)),
  referenceScaledMs: Math.round(referenceMs),
  referenceOverWhole: Math.round(referenceMs / whole.median),
  peakResidentMiB: peakMiB,
});
