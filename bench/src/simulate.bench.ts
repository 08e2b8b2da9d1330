/**
 * One million recorded flows through 10,000 policies over 1,000 hosts: from the bytes of `wardline flows --format json`
 * to counted groups; beside it reading alone, judging alone, `JSON.parse` of the same lines and the reference evaluator.
 */
import { evaluate, type PolicyWorld, readPolicyFiles } from "@wardline/domain/policy";
import { type FlowBatch, FlowLineReader, Simulation } from "@wardline/domain/policy/simulate";
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

/** Processor time, because the machine may be shared, and elapsed time beside it. */
function timed<Result>(body: () => Result): { ms: number; elapsedMs: number; result: Result } {
  const used = process.cpuUsage();
  const start = performance.now();
  const result = body();
  const { user, system } = process.cpuUsage(used);
  return { ms: (user + system) / 1000, elapsedMs: performance.now() - start, result };
}

function readAll(each: (batch: FlowBatch) => void): void {
  const reader = new FlowLineReader();
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    each(reader.push(bytes.subarray(start, start + CHUNK_BYTES)));
  }
  each(reader.finish());
}

function simulateBytes(withBase: boolean) {
  const simulation = new Simulation({ candidate: world, base: withBase ? world : null });
  readAll(({ flows }) => {
    for (const flow of flows) simulation.add(flow);
  });
  return simulation.result();
}

const samples = {
  whole: [] as number[],
  wholeElapsed: [] as number[],
  withBase: [] as number[],
  reading: [] as number[],
  judging: [] as number[],
  jsonParse: [] as number[],
};
let summary: ReturnType<typeof simulateBytes> | null = null;
for (let run = 0; run < RUNS; run++) {
  const whole = timed(() => simulateBytes(false));
  samples.whole.push(whole.ms);
  samples.wholeElapsed.push(whole.elapsedMs);
  summary = whole.result;
  samples.withBase.push(timed(() => simulateBytes(true)).ms);
  const batches: FlowBatch[] = [];
  samples.reading.push(timed(() => readAll((batch) => batches.push(batch))).ms);
  samples.judging.push(
    timed(() => {
      const simulation = new Simulation({ candidate: world });
      for (const { flows } of batches) for (const flow of flows) simulation.add(flow);
    }).ms,
  );
  samples.jsonParse.push(
    timed(() => {
      for (let start = 0; start < bytes.length; ) {
        const end = bytes.indexOf(10, start);
        JSON.parse(bytes.toString("latin1", start, end));
        start = end + 1;
      }
    }).ms,
  );
}
const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);

const referenceFlows: FlowBatch["flows"][number][] = [];
readAll(({ flows }) => {
  const step = Math.floor(FLOWS / REFERENCE_FLOWS);
  for (const flow of flows) if (referenceFlows.length < REFERENCE_FLOWS * step) referenceFlows.push(flow);
});
const step = Math.floor(referenceFlows.length / REFERENCE_FLOWS);
const owners = new Map(
  world.inventory.endpoints.flatMap((endpoint) => endpoint.addresses.map((own) => [own, endpoint.key])),
);
const reference = timed(() => {
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
  method: `${RUNS} runs in one process, flows in memory. The reference evaluator decides ${REFERENCE_FLOWS} of the flows; its time for all is scaled.`,
  distinctQuestions: new Set(
    referenceFlows.map(
      (flow) => `${flow.direction} ${flow.sourceAddress} ${flow.destinationAddress} ${flow.protocol} ${flow.port}`,
    ),
  ).size,
  classes: summary?.recorded,
  groups: summary?.groups.length,
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
