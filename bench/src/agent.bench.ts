/**
 * The agent as a process: time from spawn to ready (nothing pinned, and adopting pins), resident memory when idle, and
 * processor time when idle. From source and as the single executable.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { KernelLab, kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { type AgentForm, startAgent } from "./lib/agentProcess.ts";
import { publish } from "./lib/publish.ts";
import { rounded, summarize } from "./lib/statistics.ts";

const RUNS = Number(process.env.WARDLINE_BENCH_RUNS ?? 7);
const IDLE_MS = Number(process.env.WARDLINE_BENCH_IDLE_MS ?? 10_000);

const problem = kernelLabProblem();
if (problem !== null) {
  console.log(`agent: left out, ${problem}`);
  process.exit(0);
}
readBpfObject();

const executable = fileURLToPath(new URL("../../dist/wardline-agent", import.meta.url));
const forms: AgentForm[] = existsSync(executable) ? ["source", "executable"] : ["source"];
if (forms.length === 1) console.log("agent: dist/wardline-agent is not built (npm run build:agent); from source only");

interface Samples {
  readonly coldMs: number[];
  readonly adoptMs: number[];
  readonly residentMiB: number[];
  readonly idlePercent: number[];
}

async function measureOnce(form: AgentForm, samples: Samples): Promise<void> {
  const lab = new KernelLab();
  try {
    const first = await startAgent(lab, form);
    samples.coldMs.push(first.readyMs);
    await first.stop();
    const second = await startAgent(lab, form);
    samples.adoptMs.push(second.readyMs);
    await sleep(2000);
    const before = second.processorSeconds();
    await sleep(IDLE_MS);
    samples.idlePercent.push(((second.processorSeconds() - before) / (IDLE_MS / 1000)) * 100);
    samples.residentMiB.push(second.residentMiB());
    await second.stop();
  } finally {
    await lab.close();
  }
}

const all = new Map<AgentForm, Samples>(
  forms.map((form) => [form, { coldMs: [], adoptMs: [], residentMiB: [], idlePercent: [] }]),
);
for (let run = 0; run < RUNS; run++) for (const [form, samples] of all) await measureOnce(form, samples);

publish("agent", {
  what: "The agent as a process: spawn to ready in ms, first with nothing pinned and then adopting the pins; resident memory and processor time when idle.",
  method: `${RUNS} runs of each form, interleaved; idle over ${IDLE_MS} ms after 2 s of rest.`,
  forms: Object.fromEntries(
    [...all].map(([form, samples]) => [
      form,
      {
        coldStartMs: rounded(summarize(samples.coldMs), 0),
        adoptingStartMs: rounded(summarize(samples.adoptMs), 0),
        idleResidentMiB: rounded(summarize(samples.residentMiB), 1),
        idleProcessorPercent: rounded(summarize(samples.idlePercent), 2),
      },
    ]),
  ),
});
