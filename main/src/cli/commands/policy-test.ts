import { proveTests, type TestRun } from "@wardline/domain/policy/proof";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type ReadInput, readInput } from "../input/policy-files.ts";
import { readingOf, readSources } from "../input/sources.ts";
import type { Output } from "../output.ts";
import type { TestOptions } from "./policy-test.options.ts";
import { formatTestRun, type ShownRun, testRunData } from "./policy-test-view.ts";

/** `wardline policy test [FILE…]`. A case that cannot be asked was not shown to hold, and counts as failed. */
export async function policyTest(output: Output, names: readonly string[], options: TestOptions): Promise<ExitCode> {
  const reading = readingOf(output, await readSet(names, options));
  if (typeof reading === "number") return reading;
  if (reading.tests.length === 0) output.note("There is no PolicyTest document, so nothing was proved.");
  const run = proveTests(reading.world, reading.tests, { coverage: options.coverage });
  const shown: ShownRun = { world: reading.world, run, explainOptions: explainOptions(names, options) };
  if (output.format === "json") output.json(testRunData(shown));
  else output.text(formatTestRun(output, shown));
  return hasFailed(run) ? EXIT.problems : EXIT.done;
}

function hasFailed({ counts }: TestRun): boolean {
  return counts.fails + counts.refused > 0;
}

/** Everything that is named; the workspace takes the place of policies that are not. */
async function readSet(names: readonly string[], options: TestOptions): Promise<ReadInput> {
  if (names.length === 0) return readSources(options);
  return readInput([...names, ...[options.policies, options.inventory].filter((name) => name !== undefined)]);
}

/** `policy explain` takes up to two names for what it reads. */
function explainOptions(names: readonly string[], { policies, inventory }: TestOptions): readonly string[] {
  if (names.length === 0) {
    return [...option("--policies", policies), ...option("--inventory", inventory)];
  }
  const [first, second, ...more] = [...names, ...[policies, inventory].filter((name) => name !== undefined)];
  if (more.length > 0 || first === "-" || second === "-") return ["--policies", "FILES"];
  return [...option("--policies", first), ...option("--inventory", second)];
}

function option(name: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [name, value];
}
