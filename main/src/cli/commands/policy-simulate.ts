/** `wardline policy simulate`: what policies that are not in force would have done to recorded flows. */
import { type PolicyWorld, readPolicyFiles, withoutExpired } from "@wardline/domain/policy";
import { type SimulationProgress, type SimulationResult, simulateFlows } from "@wardline/domain/policy/simulate";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { readInput } from "../input/policy-files.ts";
import { type FlowInput, withRecordedFlows } from "../input/recorded-flows.ts";
import type { Output } from "../output.ts";
import { hasErrors } from "../terminal/diagnostics.ts";
import { allDiagnostics, formatProblems } from "./policy-check.ts";
import type { SimulateOptions } from "./policy-simulate.options.ts";
import { formatSimulation, simulationJson } from "./policy-simulate-view.ts";

const PROGRESS_INTERVAL_MS = 500;

/**
 * Exits with 1 when flows that were allowed become blocked: against the present policies where `--base` names them,
 * else against what was recorded.
 */
export async function policySimulate(
  output: Output,
  names: readonly string[],
  options: SimulateOptions,
): Promise<ExitCode> {
  const extra = options.inventory === undefined ? [] : [options.inventory];
  const candidate = await readWorld(output, [...names, ...extra]);
  if (candidate === null) return EXIT.problems;
  const base = options.base === undefined ? null : await readWorld(output, [options.base, ...extra]);
  if (base === null && options.base !== undefined) return EXIT.problems;

  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await withRecordedFlows(options, stopping.signal, async (input) => {
      const run = {
        candidate,
        base,
        sampleEvery: options.sample,
        maxGroups: options.groups,
        signal: stopping.signal,
        ...(options.limit === undefined ? {} : { limit: options.limit }),
      };
      const result = await follow(output, input, simulateFlows(input.batches, run));
      if (output.format === "json") output.json(simulationJson(result, input));
      else output.text(formatSimulation(output, result, input, walkthroughOptions(names, options)));
      return exitCodeFor(result);
    });
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

function exitCodeFor({ recorded, base, isCancelled }: SimulationResult): ExitCode {
  return (base ?? recorded)["newly-blocked"] > 0 || isCancelled ? EXIT.problems : EXIT.done;
}

async function readWorld(output: Output, names: readonly string[]): Promise<PolicyWorld | null> {
  const input = await readInput(names);
  const reading = readPolicyFiles(input.files);
  const errors = allDiagnostics(input, reading).filter(({ severity }) => severity === "error");
  if (!hasErrors(errors)) return withoutExpired(reading.world, Date.now());
  if (output.format === "json") output.json({ result: null, diagnostics: errors });
  else output.text(formatProblems(output, input, errors));
  output.note("The policies have errors, so nobody can say what they decide. Correct them first.");
  return null;
}

async function follow(
  output: Output,
  { total }: FlowInput,
  steps: AsyncGenerator<SimulationProgress, SimulationResult>,
): Promise<SimulationResult> {
  let toldAtMs = performance.now();
  for (;;) {
    const step = await steps.next();
    if (step.done) return step.value;
    if (!process.stderr.isTTY || performance.now() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
    toldAtMs = performance.now();
    const { read, recorded } = step.value;
    const of = total === null ? "" : ` of ${total.toLocaleString("en")}`;
    output.note(`${read.toLocaleString("en")}${of} flows read, ${recorded["newly-blocked"]} newly blocked so far`);
  }
}

/** The options that make `policy explain` look at the candidate. */
function walkthroughOptions(names: readonly string[], { inventory }: SimulateOptions): readonly string[] {
  const [only] = names;
  if (only === undefined || names.length > 1 || only === "-") return ["--policies", "CANDIDATE"];
  return ["--policies", only, ...(inventory === undefined ? [] : ["--inventory", inventory])];
}
