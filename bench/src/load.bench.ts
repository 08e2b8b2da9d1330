/**
 * What the agent and the console cost (B15) when nothing happens and while new flows appear at a fixed rate: processor time
 * from /proc over twenty seconds, and memory. The agent is the single executable where that is built. At rest means that the
 * start, the connection of the console and the flows of the proof are over, the detectors that these flows started included:
 * that lasts for a minute, which is not how an agent lives.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { connectAgent } from "@wardline/helper/testing/agentClient";
import { KernelLab, kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { type AgentForm, type AgentProcess, processorSeconds, residentMiB, startAgent } from "./lib/agentProcess.ts";
import { Attempts, fromEnvironment } from "./lib/measuring.ts";
import { buildNative, programProblem, runAt } from "./lib/native.ts";
import { pinnedProgramRuns, withProgramStatistics } from "./lib/programCost.ts";
import { publish } from "./lib/publish.ts";

const SECONDS = fromEnvironment("SECONDS", 20);
const SETTLE_MS = fromEnvironment("SETTLE_MS", 4000);
const REST_MS = fromEnvironment("REST_MS", 60_000);
const RATES = [0, 1000, 10_000];
const SILENT_ADDRESS = "10.77.0.200";
const FIRST_PORT = 10_000;
const PORTS = 20_000;
const PROOF_FLOWS = 1000;
const root = fileURLToPath(new URL("../..", import.meta.url));

const problem = kernelLabProblem() ?? programProblem("bpftool");
if (problem !== null) {
  console.log(`load: left out, ${problem}`);
  process.exit(0);
}
readBpfObject();

const form: AgentForm = existsSync(join(root, "dist/wardline-agent")) ? "executable" : "source";
const lab = new KernelLab();
const attempts = new Attempts();
if (form === "source") attempts.skip("the single executable", "dist/wardline-agent is not built (npm run build:agent)");
const flows = buildNative(lab.directory, "flows");

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: bench, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 10.77.0.0/24}}]
`;
const HOST = `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: bench}\nspec: {addresses: [10.77.0.2]}\n`;

/** Something to enforce: every flow of the generator is allowed by a rule. */
async function applyPolicy(agent: AgentProcess): Promise<void> {
  const state = {
    files: [
      { path: "bench.yaml", text: POLICY },
      { path: "host.yaml", text: HOST },
    ],
  };
  const first = connectAgent(agent.socketPath);
  const { programDigest } = await first.agent.check({ state });
  const { generation } = await first.agent.apply({
    state,
    expectedProgramDigest: programDigest,
    mode: EnforcementMode.ENFORCE,
    baseGeneration: 0n,
    confirmWithin: durationFromMs(60_000),
  });
  first.close();
  if (!generation) throw new Error("the agent named no generation");
  const fresh = connectAgent(agent.socketPath);
  await fresh.agent.confirm({ generation: generation.number, programDigest: generation.programDigest });
  fresh.close();
}

function addSilentNeighbour(): void {
  const ip = (side: string, ...args: string[]): string =>
    execFileSync("ip", ["-n", `${lab.name}-${side}`, ...args]).toString();
  const hardware = /link\/ether (\S+)/.exec(ip("peer", "link", "show", "eth0"))?.[1] ?? "";
  ip("host", "neigh", "replace", SILENT_ADDRESS, "lladdr", hardware, "dev", "eth0");
}

async function makeFlows(count: number, perSecond: number): Promise<{ sent: number; nanoseconds: number }> {
  const command = [flows, SILENT_ADDRESS, `${FIRST_PORT}`, `${PORTS}`, `${count}`, `${perSecond}`];
  return JSON.parse(await runAt(lab, { side: "host" }, command));
}

/** The console, connected to the agent that runs. Resolves when it has printed its address. */
async function startConsole(agent: AgentProcess): Promise<ChildProcess> {
  const options = ["--no-open", "--state-dir", join(lab.directory, "console"), "--agent-socket", agent.socketPath];
  const child = spawn(join(root, "bin/wardline"), ["start", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.includes("http://127.0.0.1:")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`the console ended with ${code}`)));
  });
  return child;
}

async function stopConsole(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  await exited;
}

/** That the agent's programs decide the generator's packets: the kernel counts their runs for a moment. */
async function proveLive(): Promise<void> {
  await withProgramStatistics(async () => {
    const runs = (): number => pinnedProgramRuns(lab.bpffsDir).get("wardline_egress")?.runs ?? 0;
    const before = runs();
    await makeFlows(PROOF_FLOWS, 0);
    if (runs() - before < PROOF_FLOWS) throw new Error(`the egress program ran ${runs() - before} times`);
  });
}

/** `rate` 0 = nothing is made. */
async function measureRate(rate: number, agent: AgentProcess, console_: ChildProcess | null): Promise<object> {
  const before = { agent: agent.processorSeconds(), console: console_ === null ? 0 : processorSeconds(console_.pid) };
  const start = performance.now();
  const generated = rate === 0 ? sleep(SECONDS * 1000).then(() => null) : makeFlows(rate * SECONDS, rate);
  const made = await generated;
  const seconds = (performance.now() - start) / 1000;
  const percent = (after: number, earlier: number): number => Number((((after - earlier) / seconds) * 100).toFixed(2));
  return {
    flowsPerSecond: made === null ? 0 : Math.round((made.sent * 1e9) / made.nanoseconds),
    seconds: Number(seconds.toFixed(1)),
    agentProcessorPercent: percent(agent.processorSeconds(), before.agent),
    agentResidentMiB: Number(agent.residentMiB().toFixed(1)),
    // Without the pages of its file, which it shares with whoever else runs it.
    agentOwnMiB: Number(agent.ownMiB().toFixed(1)),
    consoleProcessorPercent: console_ === null ? null : percent(processorSeconds(console_.pid), before.console),
    consoleResidentMiB: console_ === null ? null : Number(residentMiB(console_.pid).toFixed(1)),
  };
}

const results: Record<string, object | null> = {};
try {
  addSilentNeighbour();
  const agent = await startAgent(lab, form);
  try {
    await applyPolicy(agent);
    await proveLive();
    await sleep(REST_MS);
    results["at rest, alone"] = await attempts.run("at rest, alone", () => measureRate(0, agent, null));
    const console_ = await attempts.run("the console", () => startConsole(agent));
    try {
      for (const rate of RATES) {
        await sleep(rate === 0 ? REST_MS : SETTLE_MS);
        results[`${rate} flows/s`] = await attempts.run(`${rate} flows/s`, () => measureRate(rate, agent, console_));
        console.log(`${rate} flows/s measured`);
      }
      await sleep(REST_MS);
      results["at rest again"] = await attempts.run("at rest again", () => measureRate(0, agent, console_));
    } finally {
      if (console_ !== null) await stopConsole(console_);
    }
  } finally {
    await agent.stop();
  }
} finally {
  // The agent leaves enforcement in place when it ends: its pins go with the lab's file system.
  await lab.close();
}

publish("load", {
  what: "Processor time (percent of one processor) and resident memory of the agent and of the console, at rest and while new flows appear.",
  method: `${SECONDS} s at each rate, after ${SETTLE_MS} ms of rest, and ${REST_MS} ms before each row in which nothing is made; agent: ${form === "executable" ? "single executable" : "from source"}; console on the same machine, connected to it but in the row that says alone. The agent's own memory is what is in no file (RssAnon). UDP flows allowed by a rule.`,
  passLine: "agent idle: under 1 % and under 90 MB; at 10,000 flows/s under 30 % of one processor",
  results,
  leftOut: attempts.leftOut,
});
